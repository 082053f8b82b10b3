"""Figures that are drawn last: beside scores and a report that are written by then, so that what fails in drawing costs
no more than the figure it fails in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ..disk.files import own_folder
from ..runs.folder import FIGURES
from .style import save_figure

AGAIN = "the same command with --resume draws again"


class NotDrawn(RuntimeError):
    """A figure could not be drawn; everything beside it is written."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure yet to be drawn, and what a report written before it says of it. ``name``: of its files, without suffix;
    ``draw``: makes it; ``title``, ``caption``: as the report has them."""

    name: str
    draw: Callable[[], Figure]
    title: str = ""
    caption: str = ""

    @property
    def link(self) -> str:
        """The PNG, from the folder of the report."""
        return f"{FIGURES}/{self.name}.png"


def save_drawings(drawings: Iterable[Drawing], folder: Path, again: str = AGAIN) -> list[Path]:
    """Draw each into ``folder``/figures, made if it is missing; the paths of the PNG and SVG files. ``again``: how to
    draw what fails once more.

    Raises NotDrawn, once all the others are drawn, naming those that could not be and why the first could not; OSError
    for a disk that takes no more; ValueError where figures/ is a symbolic link.
    """
    into, paths = own_folder(folder / FIGURES), list[Path]()
    failed: list[tuple[str, Exception]] = []
    for one in drawings:
        try:
            paths += save_figure(one.draw(), into, one.name)
        except OSError:
            raise
        except Exception as error:  # whatever a library raises
            failed.append((one.name, error))
    if failed:
        names, first = ", ".join(name for name, _ in failed), failed[0][1]
        raise NotDrawn(
            f"{names} could not be drawn ({type(first).__name__}: {first}); everything else is in {folder}, and {again}"
        ) from first
    return paths
