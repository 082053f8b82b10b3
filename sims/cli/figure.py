"""The command `fiedler figure`."""

import math
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..extras import check_part
from .completion import complete_figure
from .console import wide_console
from .options import Json

CAPTION_WIDTH = 100  # columns, where standard output is no terminal


def figure(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Which figure; --list names them all.", autocompletion=complete_figure),
    ] = None,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="The run folders it is made from, or JSON files of results."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file, a folder, or a path without suffix (default figures/NAME).")
    ] = None,
    width: Annotated[str, typer.Option("--width", help="single (3.375 in) or double column (6.875 in).")] = "double",
    form: Annotated[list[str] | None, typer.Option("--format", help="pdf (default), svg or png. Repeatable.")] = None,
    title: Annotated[bool, typer.Option("--title/--no-title", help="Draw a title above; captions say more.")] = False,
    modes: Annotated[
        str | None,
        typer.Option("--modes", help="Of `modes`: eigenspaces with a line of their own, such as 1,2,10, by rising μ."),
    ] = None,
    ylim: Annotated[
        str | None, typer.Option("--ylim", help="Of `modes`: ends of the energy axis, such as 1e-2,1e3.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over files that no earlier `fiedler figure` wrote.")
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--list", help="Say what each figure shows and what makes its runs.")
    ] = False,
    json: Json = False,
) -> None:
    """One figure for a publication, from finished runs: of arXiv 2510.26745, of arXiv 2605.12426, and ours.

    Nothing is trained. Beside the files a JSON file says which folders, commands, seeds and versions they come from.
    """
    from ..disk.jsonio import to_json
    from ..figures.registry import KINDS, get_kind

    if show_all:
        if json:
            keys = ("name", "paper", "shows", "commands")
            print(to_json([{key: getattr(kind, key) for key in keys} for kind in KINDS.values()]))
        else:
            _print_list()
        return
    if name is None:
        raise ValueError("give the NAME of a figure and the run folders it is made from; see `fiedler figure --list`")
    check_part("sims", "figure")
    from ..figures.output import check_targets, describe_figure, draw_figure, targets, write_figure
    from ..figures.style import get_column

    kind, column = get_kind(name), get_column(width)
    files = targets(kind.name, out, form or [])
    check_targets(files, overwrite)
    given: dict[str, Any] = {} if modes is None else {"modes": [int(one) for one in _numbers(modes, "--modes", int)]}
    if ylim is not None:
        given["ylim"] = _limits(ylim)
    drawn = draw_figure(kind, folders or [], column, title=title, **given)
    written = write_figure(kind, drawn, column, files)
    if json:
        print(to_json(describe_figure(kind, drawn, column, files)))
        return
    print(textwrap.fill(drawn.caption, wide_console(CAPTION_WIDTH).width))
    for path in written:
        print(f"written: {path}")


def _numbers(text: str, option: str, kind: type) -> list[float]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text!r} is no list of numbers: separate them by commas") from None


def _limits(text: str) -> tuple[float, float]:
    numbers = _numbers(text, "--ylim", float)
    if len(numbers) != 2 or not 0 < numbers[0] < numbers[1] < math.inf:
        raise ValueError(f"--ylim {text!r} is not two ends of a logarithmic axis: want LOW,HIGH with 0 < LOW < HIGH")
    return numbers[0], numbers[1]


def _print_list() -> None:
    from ..figures.registry import KINDS

    table = Table("figure", "what it shows, and the command whose folder it is made from", show_lines=True)
    for kind in KINDS.values():
        shows = f"{kind.shows} ({kind.paper})"
        table.add_row(kind.name, Text("\n".join([shows, *(f"$ {command}" for command in kind.commands)])))
    wide_console().print(table)
