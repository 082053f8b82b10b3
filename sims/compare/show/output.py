"""What a finished comparison leaves in its folder beside its numbers: the figure and report.md."""

from __future__ import annotations

from pathlib import Path

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.style import save_figure
from ..comparison import Comparison
from .figure import plot_comparison
from .report import comparison_markdown


def write_comparison(comparison: Comparison) -> list[Path]:
    """Draw and write under the folder's lock; the paths of figure, report and scores. Raises ValueError for a
    comparison without a folder, or one that another process is writing."""
    folder = comparison.folder
    if folder is None:
        raise ValueError("the comparison was kept nowhere: give compare() a folder, out=...")
    with locked(folder.path):
        # The report first: what may fail in drawing costs no more than the figure.
        figure, report = folder.figures / "compare.png", folder.path / "report.md"
        shown = figure.relative_to(folder.path).as_posix()
        write_text(report, comparison_markdown(comparison, folder.read_environment(), shown))
        save_figure(plot_comparison(comparison), folder.figures, figure.stem)
    return [figure, report, folder.path / "scores.json"]
