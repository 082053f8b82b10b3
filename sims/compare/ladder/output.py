"""What a finished ladder leaves in its folder: the figure, scores.json and report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.markdown import environment_section, markdown_table
from ...draw.style import save_figure
from ...runs.control import Watch
from ..presets.run import PresetResult, describe_preset
from .figure import ladder_caption, plot_ladder
from .rows import LadderRow, ladder_rows
from .table import HEADER, NOTES, SECOND, SECOND_NOTES, ladder_lines, ladder_rendering, second_lines, verdict

Graphs = Sequence[tuple[str, Sequence[LadderRow]]]


def write_ladder(result: PresetResult, watch: Watch) -> tuple[Mapping[str, Any], RenderableType]:
    """Predict every run, draw, sum up and write under the folder's lock: the JSON of the command, and what a terminal
    shows. Raises Interrupted where ``watch`` asks to stop."""
    preset, folder = result.preset, result.folder
    graphs = [
        (one.comparison.task.graph.name + one.cell.extra, ladder_rows(one.comparison, watch.within(one.cell.name)))
        for one in result.cells
    ]
    with locked(folder.path):
        folder.figures.mkdir(exist_ok=True)
        path = save_figure(plot_ladder(graphs), folder.figures, "ladder")[0]
        answer = {
            **describe_preset(preset, result.seeds, result.cells),
            "ladder": {name: [row.describe() for row in rows] for name, rows in graphs},
        }
        folder.write_scores(answer)
        folder.seal()
        figure = (path.relative_to(folder.path), ladder_caption(graphs))
        report = _markdown(result, graphs, figure, folder.read_environment())
        write_text(folder.path / "report.md", report)
    return answer, ladder_rendering(graphs)


def _markdown(result: PresetResult, graphs: Graphs, figure: tuple[Path, str], environment: Mapping[str, Any]) -> str:
    path, caption = figure
    lines = [f"# {result.preset.title}", "", f"Preset `ladder`; seeds {', '.join(map(str, result.seeds))}.", ""]
    lines += [f"![The ladder]({path.as_posix()})", "", caption, ""]
    for name, rows in graphs:
        lines += [f"## {name}", "", verdict(rows), "", *markdown_table(HEADER, ladder_lines(rows)), ""]
        lines += [*markdown_table(SECOND, second_lines(rows)), ""]
    lines += [NOTES, "", SECOND_NOTES, "", "## Settings", ""]
    for one in result.cells[0].comparison.models:
        given = ", ".join(f"{name} {value}" for name, value in vars(one.settings).items() if value != "")
        lines.append(f"- **{one.model.title}**: {given}")
    lines += ["", *environment_section(environment), ""]
    return "\n".join(lines)
