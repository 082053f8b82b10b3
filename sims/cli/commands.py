"""The command line: fiedler theory | compare | train | score | paths | recall | headroom | sweep | profile.

Bad input ends in one line on standard error and exit code 2, a failed computation in one line and exit code 1.
``--json`` prints one JSON object on standard output and nothing else; progress goes to standard error, and only to a
terminal.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer

from ..disk.files import Damage
from ..runs.stopping import Interrupted
from .compare import compare
from .completion import bash_completion
from .doctor import doctor
from .export import export
from .figure import figure
from .headroom import headroom
from .paths import paths
from .profile import profile
from .recall import recall
from .report import report
from .score import score
from .sweep import sweep
from .theory import theory
from .train import train
from .usage import usage_message
from .welcome import print_welcome, version

# click's base class of bad options and arguments; newer typers carry their own copy of click, so it is asked for here.
UsageError: type[Any] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="fiedler",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What softmax embeddings of a graph should converge to, and what real training runs do.",
)

INTERRUPTED = 130

for command in (theory, compare, train, score, paths, recall, headroom, sweep, profile, report, figure, export, doctor):
    app.command()(command)


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
    # Reference code paths are meant on a CPU: transformers' warnings about them say nothing about a run.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with warnings.catch_warnings():
        _say_warnings()
        return _main(sys.argv[1:] if arguments is None else arguments)


def _main(given: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with bash_completion(os.environ):
            code = command.main(given, prog_name="fiedler", standalone_mode=False)
        if code == INTERRUPTED:  # newer typers turn Ctrl-C into this exit code without a word
            return _say("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else 0
    except typer.Exit as error:
        return int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except Interrupted as error:
        return _say(str(error), INTERRUPTED)
    except UsageError as error:
        return _say(usage_message(error), 2)
    except (ValueError, TypeError) as error:
        return _say(str(error), 2)
    except (RuntimeError, FloatingPointError, OSError, MemoryError) as error:
        return _say(str(error) or type(error).__name__, 1)


def _say_warnings() -> None:
    """Damaged files are named in one line each, once."""
    default, said = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if not issubclass(category, Damage):
            default(message, category, *rest)
        elif str(message) not in said:
            said.add(str(message))
            _say(f"warning: {message}", 0)

    warnings.showwarning = show  # type: ignore[assignment]
    warnings.simplefilter("always", Damage)


def _say(message: str, code: int) -> int:
    print(f"fiedler: {' '.join(message.split())}", file=sys.stderr)
    return code
