"""The first screen, the version, and what is said about a command line that does not parse."""

from __future__ import annotations

import io
import sys
from importlib import metadata

import pytest

from commands import Capture, refusal
from fiedler.sims.cli.commands import app, main

NAMES = [command.callback.__name__ for command in app.registered_commands if command.callback is not None]


def test_the_first_screen_fits_a_terminal_and_names_every_command(capsys: Capture) -> None:
    assert main([]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert captured.err == ""
    assert len(lines) <= 23  # and the prompt below
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in captured.out
    assert [name for name in NAMES if f" {name} " not in captured.out] == []
    assert all(f"fiedler {name}" in captured.out for name in ("theory", "compare", "doctor"))


def test_the_first_screen_on_a_terminal_says_the_same(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    main([])
    plain = capsys.readouterr().out
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert main([]) == 0
    import re

    shown = screen.getvalue()
    assert "\x1b[1m" in shown
    assert [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()] == plain.splitlines()


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fiedler {metadata.version('fiedler')}\n"
    assert main(["--version", "theory"]) == 0  # and nothing after it runs


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("comprae karate", "No such command 'comprae'; did you mean compare? See 'fiedler --help'."),
        ("train karate --sead 1", "No such option: --sead; did you mean --seed? See 'fiedler train --help'."),
        ("theory karate --unteid", "No such option: --unteid; did you mean --untied? See 'fiedler theory --help'."),
        ("xyzzy", "No such command 'xyzzy'. See 'fiedler --help'."),
        ("--bad", "No such option: --bad. See 'fiedler --help'."),
    ],
)
def test_mistyped_commands_and_options(capsys: Capture, line: str, message: str) -> None:
    assert refusal(capsys, *line.split()) == message
