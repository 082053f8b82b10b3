"""What a finished preset leaves in its folder: figures, scores.json and report.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.drawing import save_drawings
from ...runs.control import UNWATCHED, Watch
from .report import preset_drawings, preset_markdown, preset_rendering
from .run import PresetResult, describe_preset


def write_preset(
    result: PresetResult, watch: Watch = UNWATCHED, jobs: int | None = 1, seconds: float | None = None
) -> tuple[Mapping[str, Any], RenderableType]:
    """Sum up, write and draw under the folder's lock: the JSON of the command, and what a terminal shows. ``jobs``
    and ``seconds``: processes in which the runs of a ladder are predicted, and how long those of a model may take.
    Raises NotDrawn as ``save_drawings``."""
    if result.preset.ladder:
        from ..ladder.output import write_ladder  # which needs torch, where Node2Vec alone does not

        return write_ladder(result, watch, jobs, seconds)
    preset, seeds, cells, folder = result.preset, result.seeds, result.cells, result.folder
    with locked(folder.path):
        answer = describe_preset(preset, seeds, cells)
        folder.write_scores(answer)
        folder.seal()
        drawings = preset_drawings(preset, cells)
        report = preset_markdown(preset, seeds, cells, drawings, folder.read_environment())
        write_text(folder.path / "report.md", report)
        save_drawings(drawings, folder.path)
    return answer, preset_rendering(cells)
