"""What finished path runs leave in their folder: scores.json, figures and report.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import foreign
from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.style import save_figure
from ..run import PathResult
from .curves import learning_figure
from .maps import heat_figure, projection_figure
from .report import path_markdown
from .summary import describe_paths


def write_paths(result: PathResult, about: str, projection: str = "pca") -> tuple[dict[str, Any], list[Path]]:
    """Sum up, draw and write under the folder's lock; the JSON of the command and the paths of the files. ``about``:
    the figures' subject."""
    answer, folder = describe_paths(result), result.folder
    with locked(folder.path):
        folder.write_scores(answer)
        title = f"{foreign.drawn(result.graph.name)}, {about}"
        written = save_figure(learning_figure(result.runs, title), folder.figures, "curves")
        if any(not group[0].settings.in_context for group in result.runs.values()):
            written += save_figure(heat_figure(result.graph, result.runs, title), folder.figures, "heat")
            drawn = projection_figure(result.graph, result.runs, title, projection)
            written += save_figure(drawn, folder.figures, projection)
        shown = [path.relative_to(folder.path).as_posix() for path in written if path.suffix == ".png"]
        write_text(folder.path / "report.md", path_markdown(answer, folder.read_environment(), shown))
        folder.seal()
    return answer, [*written, folder.path / "report.md", folder.path / "scores.json"]
