"""Public maps whose names are imported when they are asked for, so that importing a package costs next to nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

QUOTES = '"""'
WIDTH = 80  # columns of the list of names that help() shows
_LISTED = re.compile(r"^    from ([\w.]+) import (\w+) as \2$", re.MULTILINE)
LONGEST_ABOUT = 2000  # characters of a file, in which the first paragraph of its docstring ends


def attach(package: str, init: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of ``package``: the names that its ``__init__`` file imports under
    ``if TYPE_CHECKING``, each from its own module on first use, and the modules beside the file."""
    modules = listed(init)
    names = sorted(modules)

    def get(name: str) -> Any:
        if name in modules:
            return getattr(import_module(modules[name], package), name)
        if not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: names, names


def names_by_room(init: str) -> str:
    """The public names of the package of the ``__init__`` file by the modules they are imported from, each under the
    first paragraph of its docstring, for ``help``."""
    rooms: dict[str, list[str]] = {}
    for name, module in listed(init).items():
        rooms.setdefault(module.lstrip("."), []).append(name)
    return "\n\n".join(
        f"{_filled(f'{room}: {_about(Path(init).parent / room)}')}\n{_filled(', '.join(names), 4)}"
        for room, names in rooms.items()
    )


@cache
def listed(init: str) -> dict[str, str]:
    """name -> the relative module it is imported from, as the file ``init`` says under ``if TYPE_CHECKING``, one line a
    name. Read as text: parsing takes longer than all the rest of importing a package."""
    block = Path(init).read_text(encoding="utf-8").partition("\nif TYPE_CHECKING:\n")[2]
    return {name: module for module, name in _LISTED.findall(block)}


def _filled(text: str, indent: int = 0) -> str:
    """``text`` in lines of WIDTH columns: textwrap takes longer than all the rest of importing the package."""
    lines = [" " * indent]
    for word in text.split():
        if len(lines[-1]) + len(word) >= WIDTH and lines[-1].strip():
            lines.append(" " * indent)
        lines[-1] += word if not lines[-1].strip() else f" {word}"
    return "\n".join(lines)


def _about(room: Path) -> str:
    """The first paragraph of the docstring, read as text: parsing every room would take long."""
    file = room / "__init__.py" if room.is_dir() else room.with_suffix(".py")
    with file.open(encoding="utf-8") as stream:
        text = stream.read(LONGEST_ABOUT).removeprefix(QUOTES)
    return " ".join(text.partition(QUOTES)[0].partition("\n\n")[0].split())
