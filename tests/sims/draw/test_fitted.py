"""Tables fit the terminal, and every number of theirs stands in one piece."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fiedler.sims.draw.fitted import fitted_tables
from fiedler.sims.draw.over_seeds import mean_and_deviation, mean_and_interval
from fiedler.sims.recall.presets import PRESETS
from fiedler.sims.recall.show.report import RECALL, STRUCTURE

TITLE = "[b]64 subjects[/b]"


def shown(header: list[str], rows: list[list[str]], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(*fitted_tables(TITLE, header, rows, width), sep="\n")
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_tables_of_every_recall_preset_fit(width: int) -> None:
    for preset in PRESETS.values():
        header = ["", *(name.replace("_", " ") for name in preset.conditions)]
        numbers = iter(range(1000, 9999))
        rows = [
            [name, *(mean_and_deviation(next(numbers) / 1e4, next(numbers) / 1e4, ".4f") for _ in preset.conditions)]
            for name, _ in (*RECALL, *STRUCTURE)
        ]
        text = shown(header, rows, width)
        lines = text.splitlines()
        assert max(map(len, lines)) <= width
        assert lines[0].rstrip() == TITLE
        words = text.split()
        for row in rows:
            assert set(row[0].split()) <= set(words)
            assert {part for cell in row[1:] for part in cell.split(" ± ")} <= set(words)
        assert text.count("recall  ") <= len(preset.conditions)


def test_a_table_that_fits_is_left_as_it_is() -> None:
    header, rows = ["", "one case", "[other]"], [["a row", "0.1 ± 0.2", mean_and_interval(0.5, (0.4, 0.6), ".1f")]]
    wide = shown(header, rows, 100)
    assert "│ a row │ 0.1 ± 0.2 │ 0.5 [0.4, 0.6] │" in wide
    assert "one case" in wide
    assert "[other]" in wide
    width = max(map(len, map(str.rstrip, wide.splitlines())))
    assert [*map(str.rstrip, shown(header, rows, width).splitlines())] == [*map(str.rstrip, wide.splitlines())]
    narrow = shown(header, rows, width - 1)
    assert "0.1 ± 0.2" not in narrow
    assert "[0.4, 0.6]" in narrow
