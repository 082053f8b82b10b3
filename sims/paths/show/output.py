"""What finished path runs leave in their folder: scores.json, figures and report.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import foreign
from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.drawing import Drawing, save_drawings
from ..run import PathResult
from .curves import learning_figure
from .maps import heat_figure, projection_figure
from .report import path_markdown
from .summary import describe_paths


def write_paths(result: PathResult, about: str, projection: str = "pca") -> tuple[dict[str, Any], list[Path]]:
    """Sum up, draw and write under the folder's lock; the JSON of the command and the paths of the files. ``about``:
    the figures' subject. Raises NotDrawn as ``save_drawings``."""
    answer, folder = describe_paths(result), result.folder
    title = f"{foreign.drawn(result.graph.name)}, {about}"
    drawings = [Drawing("curves", lambda: learning_figure(result.runs, title))]
    if any(not group[0].settings.in_context for group in result.runs.values()):
        drawings += [
            Drawing("heat", lambda: heat_figure(result.graph, result.runs, title)),
            Drawing(projection, lambda: projection_figure(result.graph, result.runs, title, projection)),
        ]
    with locked(folder.path):
        folder.write_scores(answer)
        shown = [one.link for one in drawings]
        write_text(folder.path / "report.md", path_markdown(answer, folder.read_environment(), shown))
        folder.seal()
        written = save_drawings(drawings, folder.path)
    return answer, [*written, folder.path / "report.md", folder.path / "scores.json"]
