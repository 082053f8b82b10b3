"""The two column widths and their style sheets, single.mplstyle and double.mplstyle beside this file.

Colours: Okabe and Ito, Color Universal Design (2008). Each comes with a line style and a marker of its own, so that
series are told apart in greyscale and under every kind of colour blindness.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..suggest import choose

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Column:
    """A column of a journal: ``name`` "single" or "double", ``width`` in inches, ``sheet`` the path of its style."""

    name: str
    width: float

    @property
    def sheet(self) -> Path:
        return FOLDER / f"{self.name}.mplstyle"

    @property
    def wide(self) -> bool:
        """Whether panels have room beside each other."""
        return self.name == "double"

    @contextmanager
    def style(self) -> Iterator[None]:
        """matplotlib's settings of this column for a block, on top of its defaults and not of what the user set.
        Saving belongs into it too: fonts are embedded when a file is written."""
        import matplotlib

        matplotlib.use("Agg")  # files only: nothing here ever opens a window
        import matplotlib.style
        from cycler import cycler

        with matplotlib.style.context(self.sheet, after_reset=True):
            # Figures of the package say themselves which line and marker a series has: a line without one is solid.
            colours = [one.color for one in looks()]
            matplotlib.rcParams["axes.prop_cycle"] = cycler(color=colours)
            yield


# One column of a two-column journal page, and the page's whole text width.
COLUMNS = {column.name: column for column in (Column("single", 3.375), Column("double", 6.875))}


def get_column(name: str) -> Column:
    """The column called ``name``. Raises ValueError, with the nearest, for another name."""
    if name not in COLUMNS:
        raise ValueError(f"unknown width {name!r}: {choose(name, COLUMNS)}")
    return COLUMNS[name]


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    color: str
    linestyle: Any
    marker: str


@cache
def looks() -> tuple[Look, ...]:
    """The series of the style sheet's cycle, in order: both sheets have the same."""
    import matplotlib

    rc = matplotlib.rc_params_from_file(str(COLUMNS["single"].sheet), use_default_template=False)
    return tuple(Look(one["color"], one["linestyle"], one["marker"]) for one in rc["axes.prop_cycle"])


def look(number: int) -> Look:
    """The look of series ``number``; beyond the last they come again with hollow markers left to the caller."""
    found = looks()
    return found[number % len(found)]
