"""The first minutes on a card, rehearsed without one: a crash, a hang and a wrong result cost one step each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from card_steps import PATHS

FIRST_CARD = str(Path(__file__).with_name("first_card.py"))

pytestmark = [pytest.mark.triton, pytest.mark.timeout(900)]


def rehearse(out: Path, steps: str, *, fail: str = "", limit: float | None = None) -> tuple[int, str, dict[str, Any]]:
    """Exit status, what was printed, and the outcome of every step."""
    command = [sys.executable, FIRST_CARD, "--out", str(out), "--rehearse", "--processes", "2"]
    command += ["--steps", steps, *([] if limit is None else ["--limit", str(limit)])]
    ran = subprocess.run(
        command, env={**os.environ, "FIRST_CARD_FAIL": fail}, capture_output=True, text=True, check=False
    )
    lines = (out / "first_card.jsonl").read_text().splitlines()
    return ran.returncode, ran.stdout, {line["step"]: line for line in map(json.loads, lines)}


def test_one_bad_kernel_does_not_stop_the_rest(tmp_path: Path) -> None:
    status, printed, found = rehearse(
        tmp_path, "smoke sweep,smoke flash,smoke graph,ladder 24,ladder graph",
        fail="smoke flash=crash,smoke sweep=wrong,smoke graph=crash",
    )  # fmt: skip
    assert status == 1
    assert found["environment"]["status"] == "done"
    assert found["environment"]["results"][0]["torch"]
    assert found["smoke flash"]["status"] == "crashed"
    assert "SIGSEGV" in found["smoke flash"]["error"]
    assert found["smoke sweep"]["status"] == "failed"
    assert any(result["error"] > 0.1 and not result["right"] for result in found["smoke sweep"]["results"])
    ladder = found["ladder 24x16x40"]
    assert ladder["status"] == "done"
    ways = {row["way"]: row for row in ladder["results"]}
    assert set(ways) == {"floor", "chunked", "recompute", "exponential"}  # what is struck is not timed
    assert all(row["ms"] > 0 for row in ways.values())
    assert all(row["error"] < 2e-5 for name, row in ways.items() if name != "floor")
    assert found["ladder graph 40x16"]["status"] == "skipped"
    assert "graph" in found["ladder graph 40x16"]["error"]
    assert "ladder 24x16x40" in printed
    assert "not done" in printed


@pytest.mark.long
def test_a_hang_is_ended_and_the_ways_are_tried_one_by_one(tmp_path: Path) -> None:
    status, _, found = rehearse(tmp_path, "ladder 24,use", fail="ladder 24x16x40=hang", limit=60)
    assert status == 1
    assert found["ladder 24x16x40"]["status"] == "timeout"
    assert found["ladder 24x16x40"]["seconds"] >= 60
    for path in PATHS:
        single = found[f"ladder 24x16x40 only {path}"]
        assert single["status"] == "done"
        assert {row["way"] for row in single["results"]} == {"floor", path}
    assert found["use compile"]["status"] == "done"


def test_no_step_begins_when_the_minutes_are_over(tmp_path: Path) -> None:
    command = [sys.executable, FIRST_CARD, "--out", str(tmp_path), "--rehearse", "--minutes", "0.01"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in (tmp_path / "first_card.jsonl").read_text().splitlines()]
    assert ran.returncode == 0
    assert {line["status"] for line in lines} == {"skipped"}
    assert len({line["step"] for line in lines}) == len(lines) == 22
