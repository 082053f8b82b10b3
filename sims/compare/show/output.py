"""What a finished comparison leaves in its folder beside its numbers: the figure and report.md."""

from __future__ import annotations

from pathlib import Path

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.drawing import Drawing, save_drawings
from ..comparison import Comparison
from .figure import plot_comparison
from .report import comparison_markdown


def write_comparison(comparison: Comparison) -> list[Path]:
    """Draw and write under the folder's lock; the paths of figure, report and scores. Raises ValueError for a
    comparison without a folder, or one that another process is writing, NotDrawn as ``save_drawings``."""
    folder = comparison.folder
    if folder is None:
        raise ValueError("the comparison was kept nowhere: give compare() a folder, out=...")
    drawing = Drawing("compare", lambda: plot_comparison(comparison))
    with locked(folder.path):
        report = folder.path / "report.md"
        write_text(report, comparison_markdown(comparison, folder.read_environment(), drawing.link))
        figure, _ = save_drawings([drawing], folder.path)
    return [figure, report, folder.path / "scores.json"]
