"""From a command line to an exit code, for every program of the package: what is wrong is one line on standard error.

0 done, 2 bad input, 1 failure, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer

from ..disk.files import Damage
from ..extras import Lacking, explained
from ..foreign import visible
from ..runs.stopping import Interrupted
from ..suggest import did_you_mean

INTERRUPTED = 130
# click's base class of bad options and arguments; newer typers carry their own copy of click, so it is asked for here.
UsageError: type[Any] = typer.BadParameter.__mro__[1]

Say = Callable[[BaseException, str], None]


def run_app(app: typer.Typer, name: str, arguments: list[str], say: Say | None = None) -> int:
    """Run ``app`` with ``arguments`` under the program's ``name`` and return its exit code. ``say(error, message)``:
    prints the one line of an error, on standard error when None."""
    # Reference code paths are meant on a CPU: transformers' warnings about them say nothing about a run.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    _write_what_cannot_be_encoded()
    tell = say or (lambda error, message: print_line(message))
    with warnings.catch_warnings():
        _say_damage_once()
        try:
            code = typer.main.get_command(app).main(arguments, prog_name=name, standalone_mode=False)
            if code == INTERRUPTED:  # newer typers turn Ctrl-C into this exit code without a word
                raise KeyboardInterrupt
            return code if isinstance(code, int) else 0
        except typer.Exit as error:
            return int(error.exit_code)
        except (typer.Abort, KeyboardInterrupt) as error:
            tell(error, "interrupted")
            return INTERRUPTED
        except Interrupted as error:
            tell(error, str(error))
            return INTERRUPTED
        except UsageError as error:
            tell(error, usage_message(error, name))
            return 2
        except (ValueError, TypeError) as error:
            tell(error, str(error) or type(error).__name__)
            return 2
        except ImportError as error:
            found = explained(error, "this")
            if not isinstance(found, Lacking):
                raise
            tell(found, str(found))
            return 2
        except (RuntimeError, FloatingPointError, OSError, MemoryError) as error:
            tell(error, str(error) or type(error).__name__)
            return 1


def _write_what_cannot_be_encoded() -> None:
    """Characters that the terminal's encoding lacks are written as escapes, which JSON takes too, not refused."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in ("strict", "surrogateescape") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_line(message: str) -> None:
    print(f"fiedler: {visible(' '.join(message.split()))}", file=sys.stderr, flush=True)


def usage_message(error: Any, name: str) -> str:
    """One line for a click ``UsageError`` of the program ``name``, with the nearest command or option where one is
    near."""
    context, message = error.ctx, error.format_message().rstrip(".")
    program, hint = name, ""
    if context is not None:
        program = context.command_path
        option = getattr(error, "option_name", None)
        if option is not None and message.startswith("No such option"):
            message = f"No such option: {option}"
            names = [known for one in context.command.params for known in (*one.opts, *one.secondary_opts)]
            hint = did_you_mean(option, [known for known in names if known.startswith("--")], "{}")
        elif message.startswith("No such command"):
            word = message.split("'")[1]
            message = f"No such command '{word}'"
            hint = did_you_mean(word, context.command.list_commands(context), "{}")
    return f"{message}; {hint}See '{program} --help'." if hint else f"{message}. See '{program} --help'."


def _say_damage_once() -> None:
    """Each damaged file is named in one line, once; and so is what libraries warn of, without the lines of their
    sources."""
    said = set[str]()

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            print_line(f"warning: {message}")

    warnings.showwarning = show  # type: ignore[assignment]
    warnings.simplefilter("always", Damage)
