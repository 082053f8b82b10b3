"""What a finished ladder leaves in its folder: the figure, scores.json and report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import RenderableType

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.drawing import Drawing, save_drawings
from ...draw.markdown import environment_section, markdown_table, setting_words
from ...runs.control import Watch
from ..presets.run import PresetResult, describe_preset
from .course import Graphs as Courses
from .course import course_arrays, course_shares
from .end_figures import end_figures
from .figure import MOST_GRAPHS, ladder_caption, plot_ladder
from .retention_figure import MOST_SHARES, plot_shares, shares_caption
from .rows import SECONDS, Ladder, ladders_of
from .table import (
    HEADER,
    NOTES,
    SECOND,
    SECOND_NOTES,
    THIRD,
    THIRD_NOTES,
    ladder_lines,
    ladder_rendering,
    second_lines,
    third_lines,
    verdict,
)

Graphs = Sequence[tuple[str, Ladder]]


def write_ladder(
    result: PresetResult, watch: Watch, jobs: int | None = 1, seconds: float | None = None
) -> tuple[Mapping[str, Any], RenderableType]:
    """Predict every run, in ``jobs`` processes, sum up, write, draw under the folder's lock: the JSON of the command,
    and what a terminal shows. Raises Interrupted where ``watch`` asks to stop, NotDrawn as ``save_drawings``."""
    preset, folder = result.preset, result.folder
    names = [one.comparison.task.graph.name + one.cell.extra for one in result.cells]
    compared = [(one.cell.name, one.comparison) for one in result.cells]
    limit = SECONDS if seconds is None else seconds
    ladders = ladders_of(compared, folder.path, jobs=jobs, watch=watch, seconds=limit)
    graphs = list(zip(names, ladders, strict=True))
    drawn = [(name, [row.course for row in ladder.rows]) for name, ladder in graphs]
    with locked(folder.path):
        folder.write_modes(**course_arrays(drawn))
        answer = {
            **describe_preset(preset, result.seeds, result.cells),
            "ladder": {name: [row.describe() for row in ladder.rows] for name, ladder in graphs},
            "ladder_left_out": {name: dict(ladder.left_out) for name, ladder in graphs if ladder.left_out},
        }
        folder.write_scores(answer)
        folder.seal()
        figures = _drawings([one for one in drawn if one[1]])
        figures += end_figures([(name, ladder.rows) for name, ladder in graphs if ladder.rows])
        report = _markdown(result, graphs, figures, folder.read_environment())
        write_text(folder.path / "report.md", report)
        save_drawings(figures, folder.path)
    return answer, ladder_rendering(graphs)


def _drawings(graphs: Courses) -> list[Drawing]:
    """The figures to be drawn; none where no rung has a prediction."""
    found = []
    for start in range(0, len(graphs), MOST_GRAPHS):
        part = graphs[start : start + MOST_GRAPHS]
        name = "ladder" if not start else f"ladder-{start // MOST_GRAPHS + 1}"
        found.append(Drawing(name, partial(plot_ladder, part), "The ladder", ladder_caption(part)))
    if graphs and len(graphs[0][1]) <= MOST_SHARES:
        shares = course_shares(graphs)
        found.append(Drawing("retention", partial(plot_shares, shares), "Retention", shares_caption(shares)))
    return found


def _markdown(result: PresetResult, graphs: Graphs, figures: Sequence[Drawing], environment: Mapping[str, Any]) -> str:
    name, seeds = result.preset.name, ", ".join(map(str, result.seeds))
    lines = [f"# {result.preset.title}", "", f"Preset `{name}`; seeds {seeds}.", ""]
    for drawing in figures:
        lines += [f"![{drawing.title}]({drawing.link})", "", drawing.caption, ""]
    for name, ladder in graphs:
        lines += [f"## {name}", "", verdict(ladder.rows), ""]
        lines += [*markdown_table(HEADER, ladder_lines(ladder.rows)), ""]
        lines += [*markdown_table(SECOND, second_lines(ladder.rows)), ""]
        if untied := third_lines(ladder.rows):
            lines += [*markdown_table(THIRD, untied), ""]
        lines += [line for title, why in ladder.left_out.items() for line in (f"No prediction of {title}: {why}.", "")]
    lines += [NOTES, "", SECOND_NOTES, "", THIRD_NOTES, "", "## Settings", ""]
    for one in result.cells[0].comparison.models:
        lines.append(f"- **{one.model.title}**: {setting_words(vars(one.settings))}")
    lines += ["", *environment_section(environment), ""]
    return "\n".join(lines)
