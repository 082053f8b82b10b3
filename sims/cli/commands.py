"""The command line: fiedler theory | compare | train | score | paths | recall | headroom | reproduce | sweep | profile.

Bad input ends in one line on standard error and exit code 2, a failed computation in one line and exit code 1.
``--json`` prints one JSON object on standard output and nothing else; progress goes to standard error, and only to a
terminal. The commands' files do without the annotations of ``__future__``, whose texts typer compiles one by one.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from ..extras import check_part
from .compare import compare
from .completion import bash_completion
from .doctor import doctor
from .entry import run_app
from .export import export
from .figure import figure
from .headroom import headroom
from .paths import paths
from .profile import profile
from .recall import recall
from .report import report
from .reproduce.command import reproduce
from .score import score
from .sweep import sweep
from .theory import theory
from .train import train
from .welcome import print_welcome, version

app = typer.Typer(
    name="fiedler",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What softmax embeddings of a graph should converge to, and what real training runs do.",
)

COMMANDS = (
    theory, compare, train, score, paths, recall, headroom, reproduce, sweep, profile, report, figure, export, doctor,
)  # fmt: skip

# What a command needs beyond the base install (``extras.PARTS``); the others ask for what a part of them needs.
NEEDS = {"sims": (compare, train, paths, recall, headroom, sweep, report), "kernels": (profile,)}


def needing(part: str, command: Callable[..., None]) -> Callable[..., None]:
    """The command that says what is not installed before it begins, not halfway."""

    @functools.wraps(command)
    def run(**given: object) -> None:
        check_part(part, command.__name__)
        command(**given)

    return run


for command in COMMANDS:
    needed = next((part for part, commands in NEEDS.items() if command in commands), None)
    app.command()(command if needed is None else needing(needed, command))


@app.callback(invoke_without_command=True)
def begin(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if show_version:
        print(f"fiedler {version()}")
        raise typer.Exit
    if context.invoked_subcommand is None and not context.resilient_parsing:
        print_welcome(context.command.list_commands(context))  # type: ignore[attr-defined]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 2 bad input, 1 failure, 130 interrupted."""
    with bash_completion(os.environ):
        return run_app(app, "fiedler", sys.argv[1:] if arguments is None else arguments)
