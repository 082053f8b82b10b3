"""Which optimum embeddings are scored against."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fiedler.sims.predict.rivals import rival_predictions
from fiedler.sims.tasks.optimum import REFERENCE_DECAY, _device_pass, reference_decay, reference_optimum
from fiedler.sims.tasks.search import OPTIMUM_NODES, Search
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse, tied_optimum
from fiedler.theory.optimum.row_pass import softmax_pass

CERTIFIED = 1e-7
NEAR_THE_FLOOR = 0.15  # what REFERENCE_DECAY promises
TINY = ("path-star:4x5", "grid:4x4", "cycle:15", "irregular")


@pytest.mark.parametrize("weights", ["node", "line"])
@pytest.mark.parametrize("word", TINY)
def test_both_directions_and_cycles_need_no_decay(word: str, weights: str) -> None:
    task = Task(parse(word), weights=weights)
    assert reference_decay(task) == 0.0
    found = reference_optimum(task)
    assert found.weight_decay == 0.0
    assert np.array_equal(found.gram, tied_optimum(task.target, row_weight=task.row_weight).gram)
    assert reference_decay(Task(parse("cycle:15"), edges="forward", weights=weights)) == 0.0


@pytest.mark.parametrize("edges", ["forward", "backward"])
@pytest.mark.parametrize("weights", ["node", "line"])
@pytest.mark.parametrize("word", ["path-star:4x5", "grid:4x4", "irregular"])
def test_lines_on_no_cycle_get_the_reference_decay(word: str, weights: str, edges: str) -> None:
    task = Task(parse(word), edges=edges, weights=weights)
    found = reference_optimum(task)
    assert found.weight_decay == reference_decay(task) == REFERENCE_DECAY
    assert found.certificate.max_violation < CERTIFIED
    assert 0 < found.loss_per_node - task.entropy_floor < NEAR_THE_FLOOR


def test_a_decay_that_is_given_is_kept() -> None:
    for edges in ("both", "forward"):
        assert reference_optimum(Task(parse("path-star:3x3"), edges=edges), 0.2).weight_decay == 0.2


def test_rivals_say_nothing_of_one_direction() -> None:
    with pytest.raises(ValueError, match="theories of undirected graphs; got the forward edges"):
        rival_predictions(Task(parse("grid:3x3"), edges="forward"), 2)


@pytest.mark.parametrize(
    "options", [{"tolerance": 1.0}, {"tolerance": -1e-3}, {"tolerance": float("nan")}, {"time_limit": -1.0}]
)
def test_a_search_without_an_end_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"(relative duality gap|must be a positive number).*got .*: give"):
        Search(**options)


def test_the_optimum_is_left_out_by_size_and_on_request() -> None:
    assert Search().left_out(OPTIMUM_NODES) == ""
    assert "taken by itself above 5000 nodes" in Search().left_out(OPTIMUM_NODES + 1)
    assert Search(optimum=True).left_out(OPTIMUM_NODES + 1) == ""
    assert Search(optimum=False).left_out(3) == "without the optimum (--no-optimum)"


def test_passes_stay_on_the_cpu_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the base install, for graphs from DEVICE_NODES nodes on too."""
    monkeypatch.setitem(sys.modules, "torch", None)  # the import system then says that it is not there
    _device_pass.cache_clear()
    try:
        assert _device_pass() is softmax_pass
    finally:
        _device_pass.cache_clear()
