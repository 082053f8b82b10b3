"""Public maps whose names are imported when they are asked for, so that importing a room loads no torch."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def attach(package: str, init: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of ``package``: the names that its ``__init__`` file imports under
    ``if TYPE_CHECKING``, each from its own module on first use."""
    modules = _listed(ast.parse(Path(init).read_text(encoding="utf-8")))
    names = sorted(modules)

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name], package), name)

    return get, lambda: names, names


def _listed(tree: ast.Module) -> dict[str, str]:
    """name -> the relative module it is imported from."""
    return {
        alias.name: "." * node.level + (node.module or "")
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
