"""What an edge list looks like: what separates its fields, whether its first line names them, which hold what."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..checks import shown
from .reading import WEIGHT, ReadOptions

BLANK, MIXED, EQUAL = "white space", "white space or commas", "="
# Separators of .csv and .tsv files, and those that are looked for in every list, in this order.
_OWN = {".csv": ",", ".tsv": "\t"}
_MARKS = "\t;|,"
_DIGITS = re.compile(r"[+-]?[0-9]*\.?[0-9]+")
ARROWS = ("--", "->", "<->", "<-", "-", "=>")  # between names in other formats
# NetworkX's attributes at the end of a line.
ATTRIBUTES = re.compile(r"[\s,;|]*(?P<attributes>\{.*\})\s*$")
# Names of the two ends, in lower case without blanks, "_", "-" and ".".
_ENDS = {
    ("source", "target"), ("from", "to"), ("src", "dst"), ("src", "dest"), ("src", "tgt"), ("u", "v"), ("i", "j"),
    ("node1", "node2"), ("id1", "id2"), ("vertex1", "vertex2"), ("nodea", "nodeb"), ("start", "end"),
    ("sourceid", "targetid"), ("fromid", "toid"), ("fromnode", "tonode"), ("fromnodeid", "tonodeid"),
    ("sourcenode", "targetnode"), ("source", "destination"), ("head", "tail"), ("tail", "head"),
}  # fmt: skip
_WEIGHTS = ("weight", "weights", "w")
# Columns that are never weights, by the names that pandas and Gephi give them.
_IDLE = {"", "unnamed:0", "index", "id", "label", "type", "timeset", "key"}


@dataclass(frozen=True)
class Layout:
    """``delimiter``: one character, or BLANK, MIXED or EQUAL; ``header``: the names in the first line; ``ends``: the
    columns of the two nodes; ``weight``: the column of the weights, None for none; ``width``: fields a line where the
    header says."""

    delimiter: str
    header: tuple[str, ...] | None = None
    ends: tuple[int, int] = (0, 1)
    weight: int | None = 2
    width: int | None = None

    @property
    def shown_delimiter(self) -> str:
        return {"\t": "tab", " ": BLANK}.get(self.delimiter, self.delimiter)


def split(content: str, delimiter: str) -> list[str]:
    """The fields of a line. ValueError for quotes that are not closed."""
    if delimiter == BLANK:
        return re.split(r"[ \t\f\v\r]+", content.strip(" \t\f\v\r"))
    if delimiter == MIXED:
        return re.split(r"\s*,\s*|\s+", content.strip(), flags=re.ASCII)
    if delimiter == EQUAL:
        return re.split(r"\s*[,=]\s*|\s+", content.strip(), flags=re.ASCII)
    if '"' not in content:
        return [field.strip() for field in content.split(delimiter)]
    try:
        rows = csv.reader([content], delimiter=delimiter, skipinitialspace=True, strict=True)
        return [field.strip() for field in next(rows)]
    except (csv.Error, StopIteration):
        raise ValueError("a quote that is not closed, or text after one") from None


def find_layout(lines: Sequence[str], suffix: str, options: ReadOptions) -> Layout:
    """The layout of the ``lines`` of a file, without comments and empty lines. ValueError where it is not clear."""
    delimiter = find_delimiter(lines, suffix) if options.delimiter is None else options.delimiter
    if delimiter == " ":
        delimiter = BLANK
    header = _find_header(lines, suffix, delimiter, options.header)
    if header is None:
        if options.weight not in (WEIGHT, "") and not any("{" in line for line in lines[:100]):
            raise ValueError(f"no column {shown(options.weight)}: its first line names none; say --header if it does")
        return Layout(delimiter, weight=2 if options.weight else None)
    return _by_name(delimiter, header, lines, options)


def find_delimiter(lines: Sequence[str], suffix: str) -> str:
    """What separates the fields of all ``lines``."""
    plain = [ATTRIBUTES.sub("", line) if "{" in line else line for line in lines]
    plain = [re.sub('"[^"]*"', '""', line) if '"' in line else line for line in plain]
    own = _OWN.get(suffix)
    if own is not None and any(own in line for line in plain):
        if own == "," and all("," in line and ";" in line for line in plain):
            raise ValueError("every line holds both ',' and ';'; say with --delimiter which one separates")
        return own
    for mark in _MARKS:
        if _separates(mark, plain):
            return mark
    number = r"[+-]?[\d.]+(?:[eE][+-]?\d+)?"
    pairs = re.compile(rf"[^\s=,]+\s*=\s*[^\s=,]+(?:[\s,]+{number})?|[^\s=,]+", re.ASCII)
    if any("=" in line for line in plain) and all(pairs.fullmatch(line.strip()) for line in plain):
        return EQUAL
    with_commas = [line for line in plain if "," in line]
    in_names = all(len(line.split()) > 1 and _fits(line.split()) for line in with_commas) and not _numbers(with_commas)
    return MIXED if with_commas and not in_names else BLANK


def _separates(mark: str, lines: Sequence[str]) -> bool:
    """Whether ``mark`` alone separates: every line has it or is one name, and blanks in fields belong to names."""
    found = False
    for line in lines:
        if mark in line:
            found = True
        elif re.search(r"[\s,;|]", line.strip(), re.ASCII):
            return False
    if not found or mark in ";|":
        return found
    # Lines such as "0<tab>1 2.5" or "0 1, 2" are numbers between separators of both kinds.
    blank = [line for line in lines if any(re.search(r"[\s,]", one.strip()) for one in line.split(mark))]
    if mark == "\t" or not blank:
        return bool(blank) == (mark == "\t") and not (blank and _numbers(blank))
    if _numbers(blank) or not all(_fits(line.split(",")) for line in lines):
        return False
    if all(_fits(line.split()) for line in lines):
        raise ValueError("commas and blanks may both separate its fields; say with --delimiter which does")
    return True


def _fits(fields: Sequence[str]) -> bool:
    """Whether these are one name, two, or two and a number."""
    good = len(fields) <= 3 and all(field.strip() for field in fields)
    return good and not any(field.strip(",") != field for field in fields) and (len(fields) < 3 or _number(fields[2]))


def _numbers(lines: Sequence[str]) -> bool:
    return all(_number(piece) for line in lines for piece in re.split(r"[\s,]+", line.strip()))


def _find_header(lines: Sequence[str], suffix: str, delimiter: str, wanted: bool | None) -> tuple[str, ...] | None:
    if wanted is False or not lines:
        return None
    fields = split(lines[0], delimiter)
    if wanted:
        return tuple(fields)
    plain = tuple(_plain(field) for field in fields)
    if suffix in _OWN and plain[:2] in {("source", "target"), ("from", "to"), ("src", "dst")} and plain[2:] in (
        (), ("weight",)
    ):  # fmt: skip
        return tuple(fields)
    if len(lines) < 2 or len(fields) < 2:
        return None
    if all(_number(field) for field in fields):
        return None
    try:
        rest = [split(line, delimiter) for line in lines[1:]]
    except ValueError:
        return None  # the line is named where it is read
    # A third field that is a word above numbers is no weight.
    thirds = [row[2] for row in rest if len(row) > 2]
    weighted = len(fields) > 2 and len(thirds) == len(rest) and all(map(_number, thirds))
    if weighted and not _number(fields[2]) and "{" not in lines[0]:
        return tuple(fields)
    if _ends(plain) is not None:
        ends = {fields[k] for k in _ends(plain) or ()}
        return None if any(ends & set(row[:2]) for row in rest) else tuple(fields)
    first = 1 if plain[0] in _IDLE and len(fields) > 2 else 0
    numbers = all(len(row) > 1 and all(map(_DIGITS.fullmatch, row[first : first + 2])) for row in rest)
    if not numbers or any(_number(field) for field in fields):
        return None
    if suffix in _OWN:
        return tuple(fields)
    raise ValueError(
        f"the first line {shown(lines[0])} is words above numbers; say --header if it names columns, "
        "--no-header if it is an edge"
    )


def _by_name(delimiter: str, header: tuple[str, ...], lines: Sequence[str], options: ReadOptions) -> Layout:
    plain = tuple(_plain(name) for name in header)
    ends, width = _ends(plain), len(header)
    if ends is None:
        first = 1 if plain[0] in _IDLE and len(plain) > 2 else 0
        ends = (first, first + 1)
    if width < 2:
        raise ValueError(f"the header {shown(lines[0])} names {width} column; an edge has two")
    weight = _weight_column(header, plain, ends, options)
    rows = [split(line, delimiter) for line in lines[1:1001]]
    if rows and all(len(row) == width + 1 for row in rows):
        # R writes the row's number, or its name, in a column that the header leaves out.
        numbered = [row[0].strip('"') for row in rows]
        shift = any(numbered == [str(k + first) for k in range(len(rows))] for first in (0, 1))
        if shift and (width > 2 or not all(_number(row[2]) for row in rows) or len(rows) > 1):
            return Layout(
                delimiter, header, (ends[0] + 1, ends[1] + 1), None if weight is None else weight + 1, width + 1
            )
        if width == 2:  # the third is the weight, unnamed
            return Layout(delimiter, header, ends, 2 if options.weight else None, None)
    return Layout(delimiter, header, ends, weight, width)


def _weight_column(
    header: tuple[str, ...], plain: tuple[str, ...], ends: tuple[int, int], options: ReadOptions
) -> int | None:
    if not options.weight:
        return None
    if options.weight in header:
        return header.index(options.weight)
    if options.weight != WEIGHT:
        raise ValueError(f"no column {shown(options.weight)}; its header is {shown(', '.join(header))}")
    found = [k for k, name in enumerate(plain) if name in _WEIGHTS and k not in ends]
    if found:
        return found[0]
    left = [name for k, name in enumerate(header) if k not in ends and plain[k] not in _IDLE]
    if left:
        raise ValueError(
            f"is the column {shown(left[0])} the weight? say --weight {left[0]} if so, --weight '' if every edge "
            "weighs 1"
        )
    return None


def _ends(plain: tuple[str, ...]) -> tuple[int, int] | None:
    """The columns of the two ends by their names."""
    for u, v in sorted(_ENDS):
        if plain.count(u) == plain.count(v) == 1:
            return plain.index(u), plain.index(v)
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "", name.lower())


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
