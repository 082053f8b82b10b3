"""Works side by side: one that dies, diverges or is stopped, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import deaths
from fiedler.sims.runs.control import Watch
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.runs.workers import side_by_side

pytestmark = pytest.mark.processes  # of several processes, or killed ones: make processes


def named(*values: int) -> list[tuple[str, partial[int]]]:
    return [(f"work {value}", partial(deaths.works, value)) for value in values]


def collect(answers: Iterator[Any], into: list[Any]) -> None:
    for answer in answers:
        into.append(answer)


def test_one_that_dies_leaves_the_others(tmp_path: Path) -> None:
    found: list[Any] = []
    dying: tuple[str, partial[None]] = ("the second", partial(deaths.dies))
    answers = side_by_side([*named(7), dying, *named(8, 9)], 1, tmp_path / ".stop", Watch())
    with pytest.raises(RuntimeError, match=r"without the second: its process died: SIGSEGV.*; 3 of 4 are done: go on"):
        collect(answers, found)
    assert found == [(0, 7), (2, 8), (3, 9)]
    assert list(tmp_path.iterdir()) == []


def test_one_that_diverges_is_named_and_the_others_save(tmp_path: Path) -> None:
    works = [("waiting", partial(deaths.waits, str(tmp_path / "begun"))), ("bad", partial(deaths.diverges))]
    with pytest.raises(FloatingPointError, match="bad: training diverged at step 3"):
        list(side_by_side(works, 2, tmp_path / ".stop", Watch()))
    assert not (tmp_path / ".stop").exists()


def test_whoever_asks_is_heard(tmp_path: Path) -> None:
    stop = StopRequest(tmp_path / "begun")
    works = [*named(7), ("waiting", partial(deaths.waits, str(tmp_path / "begun"))), *named(8)]
    found: list[Any] = []
    with pytest.raises(Interrupted, match="2 of 3 runs left: go on with --resume"):
        collect(side_by_side(works, 1, tmp_path / ".stop", Watch(stop=stop)), found)
    assert found == [(0, 7)]
    assert not (tmp_path / ".stop").exists()
