"""How results show themselves in a notebook: a title and a small table, and figures that are drawn once."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ..extras import require
from ..foreign import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table_html(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text, in which names of others stay text."""

    def line(cells: Sequence[str], kind: str) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(visible(cell))}</{kind}>" for cell in cells) + "</tr>"

    head = f"<thead>{line(header, 'th')}</thead>" if header else ""
    body = "".join(line(row, "td") for row in rows)
    return f"<table><caption>{escape(visible(title))}</caption>{head}<tbody>{body}</tbody></table>"


def frame(rows: Sequence[Any]) -> Any:
    """A pandas DataFrame of ``rows``, dictionaries. Raises ImportError naming the extra without pandas."""
    return require("pandas", "sims").DataFrame(list(rows))


def closed(figure: Figure) -> Figure:
    """``figure``, which a notebook then shows where it is the value of a cell, and not a second time."""
    from matplotlib import pyplot

    pyplot.close(figure)
    return figure
