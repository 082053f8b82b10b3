"""The optimum with somebody watching: what is heard of it, and how it ends."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

import fiedler.sims.tasks.optimum as module
from fiedler.sims.runs.control import Watch
from fiedler.sims.runs.seeking import describe_state, seek_optimum, told
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.tasks.search import Search
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse, tied_optimum

TASK = Task(parse("cycle:9"))


def state(gap: float, seconds: float = 10.0, remaining: float | None = 30.0) -> Any:
    return SimpleNamespace(seconds=seconds, relative_gap=gap, rank=5, loss_per_node=1.25, remaining=remaining)


def test_a_state_in_words() -> None:
    assert describe_state(state(1e-3)) == "gap 1.0e-03, rank 5, loss per node 1.250000, about 30 s left"
    assert describe_state(state(1e-3, remaining=float("inf"))) == "gap 1.0e-03, rank 5, loss per node 1.250000"


def test_the_search_goes_to_the_solver_and_its_states_to_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def solver(target: Any, *, watch: Any, **options: Any) -> Any:
        given.update(options)
        assert watch(state(1e-2)) is False
        return tied_optimum(target, weight_decay=options["weight_decay"])

    monkeypatch.setattr(module, "tied_optimum", solver)
    heard: list[tuple[str, Any]] = []
    watch = Watch(lambda *stage: heard.append(stage), None, lambda *note: heard.append(note))
    found = seek_optimum(TASK, 0.1, Search(tolerance=1e-3, time_limit=7.0), watch)
    assert found is not None
    assert (given["tolerance"], given["time_limit"], given["weight_decay"]) == (1e-3, 7.0, 0.1)
    note = "gap 1.0e-02, rank 5, loss per node 1.250000, about 30 s left"
    assert heard == [("optimum", 0.0), ("optimum", note), ("optimum", 0.25), ("optimum", 1.0)]


def test_a_solver_that_asks_nobody_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopRequest()

    def solver(*arguments: Any, **options: Any) -> Any:
        stop.signalled = True
        time.sleep(3)

    monkeypatch.setattr(module, "tied_optimum", solver)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        seek_optimum(TASK, 0.1, watch=Watch(stop=stop))
    assert time.monotonic() - began < 2


def test_a_solver_that_asks_is_ended() -> None:
    stop = StopRequest()
    stop.signalled = True
    with pytest.raises(Interrupted, match="after 10 s of the optimum"):
        told(Watch(stop=stop))(state(0.1))


def test_what_is_left_out_is_not_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "tied_optimum", lambda *_: pytest.fail("sought"))
    assert seek_optimum(TASK, 0.1, Search(optimum=False)) is None
