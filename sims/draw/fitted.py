"""Tables of numbers for a terminal that may be narrow: no number is cut or broken, whatever its width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

FRAME = 3  # columns of a terminal beside the text of each column: a border and two blanks
NAMES = 20  # columns for the names of rows, which wrap between words, where they are longer


def fitted_tables(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Table]:
    """The table with names of rows in its first column, as it stands where it fits ``width``. Where it does not, ±, an
    interval and each word of a header begin a line of their own, and the columns stand in as many tables, one below the
    other with the same rows, as they need."""
    columns = [[*column] for column in zip(header, *rows, strict=True)]
    if _width_of(columns) + 1 <= width:
        return [_table(title, columns)]
    names = columns[0]
    numbers = [[head.replace(" ", "\n"), *map(_broken, cells)] for head, *cells in columns[1:]]
    left = width - FRAME - 1 - min(NAMES, _width(names))
    for count in range(1, len(numbers) + 1):  # as many columns in each of them
        size = -(-len(numbers) // count)
        parts = [numbers[k : k + size] for k in range(0, len(numbers), size)]
        if all(_width_of(part) <= left for part in parts):
            break
    return [_table(title if not k else "", [names, *part]) for k, part in enumerate(parts)]


def _table(title: str, columns: Sequence[Sequence[str]]) -> Table:
    table = Table(title=Text(title) if title else None, title_justify="left")
    for number, (head, *_) in enumerate(columns):
        table.add_column(Text(head), justify="right" if number else "left", no_wrap=bool(number))
    for cells in zip(*(column[1:] for column in columns), strict=True):
        table.add_row(*map(Text, cells))
    return table


def _broken(cell: str) -> str:
    return cell.replace(" ± ", "\n± ").replace(" [", "\n[")


def _width_of(columns: Sequence[Sequence[str]]) -> int:
    return sum(FRAME + _width(column) for column in columns)


def _width(column: Sequence[str]) -> int:
    return max(cell_len(line) for cell in column for line in cell.split("\n"))
