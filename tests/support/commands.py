"""Running the command line in a test: what it answers in JSON or as a table, and the one line it refuses with."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from fiedler.sims.cli.commands import main

Capture = pytest.CaptureFixture[str]


def _succeeds(arguments: list[str]) -> None:
    """Without the lines that tell the progress of what takes long, for on a busy machine anything does."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("progress", "sweep_progress"):
            patch.setattr(f"fiedler.sims.cli.{module}.LINE_SECONDS", math.inf)
        assert main(arguments) == 0


def answer(capsys: Capture, *arguments: str) -> dict[str, Any]:
    """The one JSON object of a command that succeeds and says nothing else."""
    _succeeds([*arguments, "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1
    return json.loads(captured.out, parse_constant=lambda name: pytest.fail(name))


def table(capsys: Capture, *arguments: str) -> str:
    """The standard output of a command that succeeds in silence otherwise, blanks run together."""
    _succeeds([*arguments])
    captured = capsys.readouterr()
    assert captured.err == ""
    return " ".join(captured.out.split())


def refusal(capsys: Capture, *arguments: str, code: int = 2) -> str:
    """The one line of a command that fails."""
    assert main([*arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"fiedler: [^\n]+\n", captured.err), captured.err
    assert "Traceback" not in captured.err
    return captured.err.removeprefix("fiedler: ").rstrip()


def files_here() -> dict[str, bytes]:
    """Every file under the working directory."""
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}
