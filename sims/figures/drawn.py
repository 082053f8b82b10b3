"""What drawing a figure returns, and the small parts that several figures share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..draw.sources import Source, Unsuitable

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure with its ``title``, a ``caption`` that says what is shown, and where every number comes from."""

    figure: Figure
    title: str
    caption: str
    sources: tuple[Source, ...]


def only_one(folders: Sequence[Path], what: str) -> Path:
    """The one folder a figure is made from. Raises Unsuitable for several."""
    if len(folders) != 1:
        raise Unsuitable(f"the figure is made from one folder, {what}, and {len(folders)} were given")
    return folders[0]


def letter_panels(axes: Iterable[Axes]) -> None:
    """(a), (b), ... before the title of each panel."""
    for letter, ax in zip(LETTERS, axes, strict=False):
        ax.set_title(f"({letter}) {ax.get_title(loc='left')}".rstrip(), loc="left")
