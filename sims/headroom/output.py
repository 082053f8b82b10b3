"""What finished headroom runs leave in their folder: scores.json, the figure and report.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..disk.files import write_text
from ..disk.lock import locked
from ..draw.drawing import Drawing, save_drawings
from ..runs.folder import RunDir
from .plot import headroom_figure
from .report import headroom_markdown


def write_headroom(answer: Mapping[str, Any], folder: RunDir) -> list[Path]:
    """Draw and write ``answer``, that of ``describe_headroom`` or ``describe_path_headroom``, under the folder's lock;
    the paths of figure, report and scores. Raises NotDrawn as ``save_drawings``."""
    drawing = Drawing("headroom", lambda: headroom_figure(answer))
    with locked(folder.path):
        folder.write_scores(answer)
        report = folder.path / "report.md"
        write_text(report, headroom_markdown(answer, folder.read_environment(), drawing.link))
        folder.seal()
        figure, _ = save_drawings([drawing], folder.path)
    return [figure, report, folder.path / "scores.json"]
