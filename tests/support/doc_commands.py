"""Command lines of the documentation without running them: does every command, option and target exist?"""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from dataclasses import dataclass
from typing import Any

import typer

from doc_pages import ROOT
from fiedler.sims.cli import commands as cli
from fiedler.sims.cli.entry import UsageError

MODULES = (
    "fiedler.sims.sharded",
    "fiedler.sims.parallel_transformer",
    "fiedler.kernels.compile_report",
    "fiedler.kernels.profiling.roofline",
    "tests.kernels.gpu.first_card",
)


@dataclass(frozen=True)
class Line:
    """One command of a block of shell: its ``text`` (a heredoc included) and its ``words`` without comments."""

    text: str
    words: tuple[str, ...]


def shell_lines(block: str) -> list[Line]:
    """The commands of a block of shell, continuation lines and heredocs put together."""
    found, lines, at = [], block.split("\n"), 0
    while at < len(lines):
        text = lines[at]
        while text.endswith("\\") and at + 1 < len(lines):
            at += 1
            text = text[:-1] + " " + lines[at].strip()
        if heredoc := re.search(r"<<-? *['\"]?(\w+)", text):
            while at + 1 < len(lines):
                at += 1
                text += "\n" + lines[at]
                if lines[at].strip() == heredoc[1]:
                    break
        words = shlex.split(text.split("\n")[0], comments=True)
        if words:
            found.append(Line(text, tuple(words)))
        at += 1
    return found


def group() -> Any:
    """The command line's click group."""
    return typer.main.get_command(cli.app)


def command(name: str) -> Any:
    """A command of fiedler by its name, or None."""
    return group().commands.get(name)


def options(found: Any) -> set[str]:
    """Every spelling of every option of a click command."""
    names = {name for one in found.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")}
    return names | {"--help", "-h"}


def problem(line: Line) -> str | None:
    """What of a command line does not exist, or None. Commands of other programs are not looked into."""
    words = list(line.words)
    if "fiedler" in words[:1] or ("fiedler" in words and words[0] == "srun"):
        rest = words[words.index("fiedler") + 1 :]
        return _fiedler(_without_shell(rest))
    for module in MODULES:
        if module in words and words[words.index(module) - 1] == "-m":
            return _module(module, _without_shell(words[words.index(module) + 1 :]))
    if words[0] == "make":
        return _make(words[1:])
    if words[:2] == ["pip", "install"]:
        return _extras(" ".join(words[2:]))
    return None


def has_dry_run(line: Line) -> bool:
    """Whether the line runs a command of fiedler that has --dry-run."""
    found = command(line.words[1]) if line.words[0] == "fiedler" and len(line.words) > 1 else None
    return found is not None and "--dry-run" in options(found)


def _without_shell(words: list[str]) -> list[str]:
    ends = [at for at, word in enumerate(words) if word in ("|", ">", "&", "&&", ";", "||")]
    return words[: ends[0]] if ends else words


def _fiedler(words: list[str]) -> str | None:
    if not words or words[0].startswith("-"):
        unknown = [word for word in words if word not in options(group())]
        return f"fiedler has no option {unknown[0]}" if unknown else None
    found = command(words[0])
    if found is None:
        return f"fiedler has no command {words[0]!r}"
    return _parse(found, words[0], words[1:])


def _parse(found: Any, name: str, words: list[str]) -> str | None:
    if {"--help", "-h"} & set(words):
        return None
    try:
        found.make_context(name, list(words)).close()
    except UsageError as error:
        return f"{name}: {error.format_message()}"
    return None


def _module(module: str, words: list[str]) -> str | None:
    if module.startswith("fiedler.kernels."):
        unknown = [word for word in words if word.startswith("--") and word not in argparse_options(module)]
        return f"{module} has no option {unknown[0]}" if unknown else None
    return _parse(module_command(module), module, words)


def argparse_options(module: str) -> set[str]:
    """The options of a module of kernels/, which parses them with argparse."""
    source = (ROOT / module.removeprefix("fiedler.").replace(".", "/")).with_suffix(".py").read_text()
    return set(re.findall(r'"(--[\w-]+)"', source))


def module_command(module: str) -> Any:
    """The click command of a module that is run with python -m."""
    return typer.main.get_command(importlib.import_module(f"{module}.command").app)


def _make(words: list[str]) -> str | None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [word for word in words if "=" not in word and not word.startswith("-") and word not in targets]
    return f"the Makefile has no target {unknown[0]!r}" if unknown else None


def _extras(text: str) -> str | None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for names in re.findall(r"\[([\w, -]+)\]", text):
        for name in names.split(","):
            if name.strip() not in known:
                return f"pyproject.toml has no extra {name.strip()!r}"
    return None
