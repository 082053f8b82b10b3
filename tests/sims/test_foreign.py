"""Names that others chose, where text is drawn, printed and written: they stay text."""

from __future__ import annotations

import io
import re
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from rich.console import Console

from fiedler.sims.cli import entry
from fiedler.sims.cli.commands import main
from fiedler.sims.cli.progress import Stages
from fiedler.sims.cli.sweep_progress import SweepProgress
from fiedler.sims.cli.tables import theory_tables
from fiedler.sims.compare.show import output
from fiedler.sims.draw.style import save_figure
from fiedler.sims.foreign import drawn, spreadsheet_cell, visible
from fiedler.sims.page.html import render_page
from fiedler.sims.sweep.point import Outcome, Point
from fiedler.sims.sweep.run import Counts
from fiedler.sims.sweep.table import write_table

NASTY = "cost$x^$ [/red] \x1b[31m @@DATA@@"


def test_control_characters_become_visible() -> None:
    assert visible("Göteborg 東京 a b") == "Göteborg 東京 a b"
    assert visible("a\x1b[31mb\x07\n\u202e") == r"a\x1b[31mb\x07\n\u202e"
    assert visible("a\nb", keep="\n") == "a\nb"
    assert len(drawn("x" * 5000)) == 60


@pytest.mark.parametrize("name", ["cost$x^$", r"$\frac$", "a$b$c", "$"])
def test_a_dollar_in_a_name_is_no_mathematics(tmp_path: Path, name: str) -> None:
    figure, ax = plt.subplots()
    ax.set_title(drawn(name))
    ax.set_xlabel(name)  # not escaped where it is drawn: costs no figure all the same
    ax.set_ylabel("size $d^{2}$")
    ax.set(xscale="log", yscale="log", xlim=(1, 100), ylim=(1, 100))
    written = save_figure(figure, tmp_path, "figure")
    assert [path.suffix for path in written] == [".png", ".svg"]
    svg = re.sub("<!--.*?-->", "", written[1].read_text())
    assert f">{name}</text>" in svg
    assert "$d" not in svg  # our own mathematics is
    assert "mathdefault" not in svg


def test_a_comparison_of_a_file_with_a_dollar_has_its_figure_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cost$x^$.txt").write_text("a b\nb c\nc a\n")
    command = [
        "compare",
        "cost$x^$.txt",
        "-m",
        "node2vec",
        "--steps",
        "3",
        "--seeds",
        "1",
        "--no-optimum",
        "--out",
        "c",
    ]
    assert main(command) == 0
    assert (tmp_path / "c/figures/compare.png").is_file()

    def broken(*_: object) -> None:
        raise RuntimeError("no figure")

    monkeypatch.setattr(output, "plot_comparison", broken)
    assert main([*command[:-1], "d"]) == 1
    assert (tmp_path / "d/report.md").is_file()
    assert (tmp_path / "d/scores.json").is_file()
    assert "no figure" in capsys.readouterr().err


def test_names_are_no_markup_of_the_terminal() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    progress = SweepProgress(("graph",), console)
    point = Point.make({"graph": "cycle:5", "model": "node2vec"})
    outcome = Outcome(point, 0, "failed", 1.0, NASTY)
    with progress:
        progress.update(Counts(total=2, done=0, failed=1), outcome)
    assert "[/red]" in stream.getvalue()
    assert "\x1b[31m @@" not in stream.getvalue()
    with Stages() as stages:
        stages.update("[/red]", 0.5)
        console.print(stages._progress)
    answer = {"graph": NASTY, "n": 1, "edges": 0, "components": 1, "laplacian": "symmetric", "spectrum": []}
    for table in theory_tables(answer, verbose=True):
        Console(file=(shown := io.StringIO()), width=100).print(table)
        assert "\x1b" not in shown.getvalue()


def test_errors_show_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    entry.print_line(f"{NASTY}\n is wrong")
    assert capsys.readouterr().err == "fiedler: cost$x^$ [/red] \\x1b[31m @@DATA@@ is wrong\n"


def test_a_page_fills_its_places_once() -> None:
    whole, other = render_page("@@DATA@@ @@SCRIPT@@ @@TITLE@@", []), render_page("nothing of the kind, at all", [])
    assert abs(len(whole) - len(other)) < 200
    assert whole.count("<h1>@@DATA@@ @@SCRIPT@@ @@TITLE@@</h1>") == 1


def test_spreadsheets_compute_nothing(tmp_path: Path) -> None:
    assert [spreadsheet_cell(one) for one in ("=1+1", "-x", "@a", "plain", -1.5)] == [
        "'=1+1",
        "'-x",
        "'@a",
        "plain",
        -1.5,
    ]
    table = pd.DataFrame({"graph": ['=HYPERLINK("http://a.org")', "cycle:5"], "loss": [-1.5, 2.0]})
    write_table(table, tmp_path)
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[1].startswith("\"'=HYPERLINK")
    assert lines[1].endswith(",-1.5")
    assert pd.read_parquet(tmp_path / "results.parquet")["graph"][0].startswith("=")


@pytest.mark.parametrize("encoding", ["iso8859-2", "cp437", "ascii"])
def test_terminals_of_other_encodings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("東京….txt").write_text("a b\nb c\n")
    for arguments in (["train", "--help"], ["theory", "東京….txt", "--no-optimum", "-v"]):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        assert main(arguments) == 0
        sys.stdout.flush()
        assert raw.getvalue()


def test_warnings_of_libraries_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        entry._say_damage_once()
        for _ in range(2):
            warnings.warn("Glyph 26481 missing\nfrom font", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "fiedler: warning: Glyph 26481 missing from font\n"
