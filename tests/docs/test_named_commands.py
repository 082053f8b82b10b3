"""Every command, option, make target, file and function that the documentation names exists."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from doc_commands import MODULES, Line, argparse_options, command, group, module_command, options, problem
from doc_pages import ROOT, pages, prose

pytestmark = pytest.mark.docs

CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
OF_OTHERS = {"--no-dashboard", "--nthreads", "--multi_gpu", "--workers", "--architectures"}  # of dask, accelerate, ours
FILE = re.compile(r"\b(?:theory|kernels|sims|tests|benchmarks|docs)/[\w./-]+\.(?:py|json|toml)\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
TEST = re.compile(r"`(test_\w+)`")


def every_option() -> set[str]:
    commands = [group(), *group().commands.values(), *(module_command(name) for name in MODULES[:2])]
    parsed = [argparse_options(name) for name in MODULES[2:]]
    return set().union(*(options(one) for one in commands), *parsed) | OF_OTHERS


def unknown(text: str) -> list[str]:
    """What the prose of a page names in code font and does not exist."""
    found, known = [], every_option()
    for code in CODE.findall(prose(text)):
        if code.startswith(("fiedler ", "make ", "python -m fiedler", "pip install")):
            wrong = _command(code)
        else:
            missing = [name for name in OPTION.findall(code) if name not in known]
            wrong = f"no command has the option {missing[0]}" if missing else None
        if wrong:
            found.append(f"`{code}`: {wrong}")
    return found


def _command(code: str) -> str | None:
    words = shlex.split(code.replace("...", " "))
    if words[:2] == ["python", "-m"]:
        missing = [name for name in OPTION.findall(code) if name not in every_option()]
        return f"no command has the option {missing[0]}" if missing else None
    if words[0] != "fiedler":
        return problem(Line(code, tuple(words)))
    if words[1].startswith("-") or words[1].isupper():  # fiedler --help, fiedler COMMAND
        return problem(Line(code, tuple(word for word in words if not word.isupper())))
    found = command(words[1])
    if found is None:
        return f"fiedler has no command {words[1]!r}"
    missing = [name for name in OPTION.findall(code) if name not in options(found)]
    return f"{words[1]} has no option {missing[0]}" if missing else None


@pytest.mark.parametrize("page", pages(), ids=str)
def test_what_a_page_names_exists(page: Path) -> None:
    text = (ROOT / page).read_text()
    assert unknown(text) == []
    assert [name for name in FILE.findall(text) if not (ROOT / name).is_file()] == []
    files = (ROOT / "tests").rglob("test_*.py")
    assert set(TEST.findall(text)) <= {
        name for path in files for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    for module in re.findall(r"`(fiedler(?:\.\w+)+)`", text):
        _import(module)


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_work_in_the_repository(page: Path) -> None:
    """Of pages as they are read without the site; pages of the reference exist in the site alone."""
    links = LINK.findall(prose((ROOT / page).read_text()))
    here = [link for link in links if "://" not in link and not link.startswith("#") and "reference/" not in link]
    if page.parent.name == "reference":
        here = [link for link in here if link.startswith("../")]
    assert [link for link in here if not (ROOT / page.parent / link.partition("#")[0]).exists()] == []


def _import(name: str) -> None:
    """The module of a dotted name, or the attribute of its parent."""
    parent, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        assert hasattr(importlib.import_module(parent), last), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("See `fiedler theroy cycle:15`.", "no command 'theroy'"),
        ("With `fiedler train --resum`.", "train has no option --resum"),
        ("An option `--untill T`.", "no command has the option --untill"),
        ("Run `make coffee`.", "no target 'coffee'"),
        ("`python -m fiedler.sims.sharded karate --outt x`", "--outt"),
    ],
)
def test_what_does_not_exist_is_found(text: str, message: str) -> None:
    found = unknown(text)
    assert len(found) == 1
    assert message in found[0]
