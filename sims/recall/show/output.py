"""What finished recall runs leave in their folder: scores.json, figures and report.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.drawing import Drawing, save_drawings
from ..run import RecallResult
from .hop_map import describe_hop_map, hop_figure
from .plot import structure_figure
from .report import recall_markdown
from .summary import describe_recall


def write_recall(result: RecallResult, about: str, *, hop_map: bool = False) -> tuple[dict[str, Any], list[Path]]:
    """Sum up, draw and write under the folder's lock; the JSON of the command and the paths of the files. ``about``:
    the figures' subject; ``hop_map``: the conditions are a map over hops and layers. Raises NotDrawn as
    ``save_drawings``."""
    answer, folder = describe_recall(result), result.folder
    drawing = Drawing("structure", lambda: structure_figure(answer, about))
    if hop_map:
        answer["hop_map"] = describe_hop_map(result)
        drawing = Drawing("hops", lambda: hop_figure(answer["hop_map"]))
    with locked(folder.path):
        folder.write_scores(answer)
        report = recall_markdown(answer, about, folder.read_environment(), [drawing.link])
        write_text(folder.path / "report.md", report)
        folder.seal()
        written = save_drawings([drawing], folder.path)
    return answer, [*written, folder.path / "report.md", folder.path / "scores.json"]
