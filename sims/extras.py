"""What the base install leaves out: which libraries belong to which extra, and the one line that installs it.

The base install is theory and its command. ``PARTS`` is what the extras of those names add (pyproject.toml); a part is
asked for before it is used, so that nothing fails halfway.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

# extra -> the modules of the libraries it installs
PARTS = {
    "kernels": ("torch",),
    "sims": (
        "torch", "transformers", "safetensors", "filelock", "cloudpickle", "pandas", "pyarrow", "matplotlib", "plotly",
        "contourpy",
    ),
}  # fmt: skip
NAMED = 3  # missing libraries that a message names


class Lacking(ImportError):
    """A library of an extra is not installed; the message names the extra and the line that installs it."""


def install_line(extra: str) -> str:
    """The command that installs the ``extra``."""
    return f'pip install "fiedler[{extra}]"'


def absent(part: str) -> list[str]:
    """The libraries of ``part`` that are not installed."""
    return [module for module in PARTS[part] if not _installed(module)]


def check_part(part: str, what: str) -> None:
    """Raises Lacking, naming the libraries and the extra that installs them, where ``what`` needs a ``part`` that
    is not all there."""
    missing = absent(part)
    if missing:
        raise Lacking(_message(what, missing, part), name=missing[0])


def require(module: str, extra: str) -> Any:
    """The imported ``module``. Raises Lacking, an ImportError, naming the extra of fiedler that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise Lacking(_message("this", [module.partition(".")[0]], extra), name=error.name) from error


def explained(error: ImportError, what: str) -> ImportError:
    """``error`` with the line that installs what is missing, where that is a library of ``PARTS``; else itself."""
    library = (error.name or "").partition(".")[0]
    if library not in PARTS["sims"] or isinstance(error, Lacking) or _installed(library):
        return error
    return Lacking(_message(what, [library], "sims"), name=library)


def _message(what: str, missing: list[str], extra: str) -> str:
    more = len(missing) - NAMED
    named = ", ".join(missing[:NAMED]) + (f" and {more} more" if more > 0 else "")
    verb = "is" if len(missing) == 1 else "are"
    return f"{what} needs {named}, which {verb} not installed: {install_line(extra)}"


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a library whose import is barred, or half there
        return False
