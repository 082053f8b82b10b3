"""The public map of theory: every name from its own module, modules as attributes, and what help() shows."""

from __future__ import annotations

import ast
import pydoc
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fiedler.theory
from fiedler.theory.lazy import WIDTH, attach, listed, names_by_room

INIT = str(Path(fiedler.theory.__file__))


def test_every_name_is_the_one_its_room_defines() -> None:
    assert fiedler.theory.__all__ == dir(fiedler.theory) == sorted(set(listed(INIT)))
    for name, room in listed(INIT).items():
        assert getattr(fiedler.theory, name) is getattr(import_module(room, "fiedler.theory"), name)


def test_names_are_those_that_python_reads() -> None:
    root = Path(INIT).resolve().parents[1]
    files = [file for package in ("theory", "sims") for file in (root / package).rglob("__init__.py")]
    inits = [file for file in files if "attach(__name__" in file.read_text(encoding="utf-8")]
    assert len(inits) > 20
    for init in inits:
        parsed = {
            alias.name: "." * node.level + (node.module or "")
            for block in ast.parse(init.read_text(encoding="utf-8")).body
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
            for node in block.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert listed(str(init)) == parsed != {}


def test_modules_are_attributes_and_other_names_are_not() -> None:
    code = (
        "import fiedler.theory as t; assert t.flow.integrator.integrate is t.integrate\n"
        "from fiedler.theory import *; tied_optimum\n"
        "assert not hasattr(t, 'no_such_name') and not hasattr(t, '__wrapped__')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match=r"^module 'fiedler.theory' has no attribute 'tied_optimun'$"):
        _ = fiedler.theory.tied_optimun  # type: ignore[attr-defined]


def test_help_lists_every_name_under_its_room() -> None:
    text = pydoc.render_doc(fiedler.theory, renderer=pydoc.plaintext)
    shown = text[: text.index("PACKAGE CONTENTS")]
    parts = names_by_room(INIT).split("\n\n")
    assert [part.partition(":")[0] for part in parts] == sorted({room.lstrip(".") for room in listed(INIT).values()})
    for part in parts:
        room, body = part.partition(":")[0], part[part.index("\n    ") :]
        assert {name for name, of in listed(INIT).items() if of == f".{room}"} == set(body.replace(",", " ").split())
        assert all(line.strip() in shown for line in part.splitlines())
        assert max(map(len, part.splitlines())) <= WIDTH
        assert len(part.splitlines()[0]) > len(room) + 20  # with what the room is about


def test_attach_takes_what_is_imported_for_type_checkers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lazily"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nimport os\nif TYPE_CHECKING:\n    from .part import thing as thing\n"
    )
    (package / "part.py").write_text("thing = 3\nother = 4\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    get, listing, names = attach("lazily", str(package / "__init__.py"))
    assert names == listing() == ["thing"]
    assert "lazily.part" not in sys.modules
    assert get("thing") == 3
    assert get("part").other == 4
    with pytest.raises(AttributeError):
        get("other")
