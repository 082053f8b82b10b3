"""The measures, at sizes of a second, against what is known otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.reproduce.cell import At
from fiedler.sims.reproduce.measures import associative, dynamics, ladder, node2vec, paths, recall, storage, tiny
from fiedler.sims.runs.control import Restart
from fiedler.sims.sweep.commands import How
from fiedler.theory import cycle_optimum

SOLVER = 1e-6  # of certified optima and integrated flows
ROUNDING = 1e-9


@pytest.fixture
def at(tmp_path: Path) -> At:
    return At(0, tmp_path / "runs", How(Restart(resume=True)))


def test_the_slope_is_that_of_the_loss_and_of_no_other(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    assert node2vec.gradient_step(at, "karate")["error"] < 1e-7  # of a central difference in float64
    monkeypatch.setattr(node2vec, "residual", lambda z, t, w: t - np.eye(len(t)))
    assert node2vec.gradient_step(at, "karate")["error"] > 0.01


def test_a_run_of_node2vec_on_a_cycle_is_at_its_closed_form(at: At) -> None:
    found = node2vec.limit(at, "cycle:15", steps=3000)
    assert found["directions"] == 2
    assert found["effective_rank"] == pytest.approx(2, abs=0.1)  # what t = 30 leaves of the other directions
    assert found["span"] > 0.99
    assert found["first_spaces"] == pytest.approx(found["span"], abs=ROUNDING)  # the eigenspace of the optimum
    assert found["kernel"] < 0.01
    assert 0 <= found["loss_above_optimum"] < 2e-3
    assert node2vec.optimum_rank(at, "cycle:15")["rank"] == len(cycle_optimum(15).eigenvalues) * 2


def test_eigenvectors_are_shared_where_the_graph_is_a_cycle(at: At) -> None:
    assert node2vec.shared_eigenvectors(at, "cycle:15")["commutator"] < ROUNDING
    found = node2vec.shared_eigenvectors(at, "path-star:4x5")
    assert found["commutator"] > 0.1
    assert found["p_imaginary"] < ROUNDING  # P is similar to a symmetric matrix
    assert -ROUNDING < found["p_least"] <= found["p_most"] < 1 + ROUNDING


def test_the_slack_of_the_cycle_at_the_end_of_the_flow(at: At) -> None:
    found = dynamics.coefficients(at, "cycle:15")
    assert found["filtered"] == pytest.approx(-0.0605, abs=1e-4)  # four digits, worked out from the closed form
    assert found["start"] == pytest.approx(2 * np.cos(2 * np.pi / 15) - 2, abs=SOLVER)  # -L, P being the identity
    assert abs(found["kept"]) < 1e-5
    assert dynamics.coefficients(at, "path-star:5x2")["kept"] == 0.0  # a star has no direction


def test_the_mean_drifts_on_irregular_graphs_alone(at: At) -> None:
    found = dynamics.drift(at, "grid:4x4")
    assert found["kappa"] == pytest.approx(0.49449, abs=1e-4)
    assert found["exponent"] == pytest.approx(0.25, abs=0.02)
    assert found["kept"] > 0.99
    assert dynamics.drift(at, "cycle:7")["exponent"] == pytest.approx(0, abs=SOLVER)


def test_storage(at: At) -> None:
    star = storage.norms(at, "path-star:16x2")
    assert star["untied"] == pytest.approx(np.sqrt(4 * 16**0.5 / (2 * 17)), abs=ROUNDING)  # nuclear norm 2 sqrt(d)
    assert storage.norms(at, "cycle:15")["untied"] > 1
    assert storage.codes(at, "hypercube:4")["saved"] == 32 - 15  # the least eigenvalue, -4, is simple
    assert storage.path_star_positions(at, 4, 5) == {"wrong": 0.0, "levels": 1.0, "bits": 1.0}
    assert storage.cycle_bits(at, 100_000)["norm_both"] == pytest.approx(2**0.5, abs=ROUNDING)
    assert storage.path_star_bits(at, 100, 5)["bits_both"] > storage.path_star_bits(at, 100, 5)["bits_forward"]


def test_paths(at: At) -> None:
    base = PathSettings(layers=1, width=16, heads=2, steps=4, edge_batch=8, path_batch=4, records=2, warmup=1)
    for changes in ({}, {"in_context": True, "context_arms": 2}, {"task": "reverse"}):
        settings = tuple(dataclasses.asdict(dataclasses.replace(base, **changes)).items())
        own = dataclasses.replace(at, folder=at.folder / "-".join(changes))
        found = paths.run(own, "path-star:6x4", settings)
        assert {"first", "path", "later", "peak", "area", "in_turn"} <= found.keys()
        assert ("nearest" in found) == ("in_context" not in changes)
        assert 0 <= found["first"] <= found["peak"] <= 1


def record(*positions: float) -> dict[str, Any]:
    return {"per_position": list(positions), "first_token_accuracy": positions[1], "path_accuracy": min(positions)}


@pytest.mark.parametrize(
    ("order", "cascade", "in_turn"), [((1, 2, 3), 1.0, 1.0), ((3, 2, 1), 0.0, 0.0), ((1, 1, 1), 0.0, 0.0),
                                      ((2, 1, 3), 0.0, 0.5)]
)  # fmt: skip
def test_a_cascade_is_from_the_last_position_to_the_first(
    order: tuple[int, ...], cascade: float, in_turn: float
) -> None:
    """``order``: when the last, the middle and the first position are learned."""
    when = (0, order[2], order[1], order[0])
    records = tuple({"step": s, **record(*(float(s >= learned) for learned in when))} for s in range(5))
    run: Any = type("Run", (), {"records": records, "chance": 0.1})()
    found = paths.path_scores_of(run)
    assert (found["cascade"], found["in_turn"]) == (cascade, in_turn)


def test_recall_by_construction(at: At) -> None:
    found = recall.several_hops(at, 12, 2, 2)
    assert found == dict.fromkeys(found, 1.0)
    built = recall.construction(at, 30, 2, 24)
    assert (built["accuracy"], built["transformer_accuracy"], built["transfer_accuracy"]) == (1.0, 1.0, 1.0)
    bounds = recall.bounds(at, 100, 3, 2)
    assert bounds["bits"] > 1
    assert bounds["packing"] > 1
    grown = recall.growth(at, "associative", 16, 64, relations=2)
    assert grown["exponent"] == pytest.approx(np.log(grown["high"] / grown["low"]) / np.log(4), abs=ROUNDING)
    with pytest.raises(RuntimeError, match="no dimension that was tried memorises 64"):
        recall._exponent(3, None, 16, 64)


def test_ladder_and_untied(at: At) -> None:
    found = ladder.limit(at, "torus:4x4", 1, 1000)
    assert found["gram"] == pytest.approx(1, abs=0.01)  # what a start of 0.02 leaves
    assert found["leading"] == pytest.approx(4.7752, abs=0.05)
    own = [dataclasses.replace(at, folder=at.folder / name) for name in "abc"]
    word = "node2vec-untied:width=20,init_std=0.02,steps=800"
    apart, bridged = tiny.modes(own[0], "grid:4x4", word), tiny.modes(own[1], "grid:4x4", word, self_edges=True)
    tied = tiny.modes(own[2], "grid:4x4", "node2vec:width=20,init_std=0.02,steps=800")
    assert tied["negative"] < 0.05 < 0.3 < apart["negative"]
    assert apart["alignment"] < 0 < bridged["alignment"]
    assert tied["neighbours"] > apart["neighbours"]
    assert "alignment" not in tied


def test_recalled_steps(at: At) -> None:
    word = "one-layer:bias=true,width=256,learning_rate=0.1,steps=10,frozen=true"
    found = associative.recall_steps(at, "cycle:9", word)
    assert found["first"] <= 2
    assert found["recall"] == 1
    assert found["level"] == pytest.approx(found["level_start"], abs=1e-6)  # frozen, in float32


def test_the_share_in_the_first_eigenspace(at: At) -> None:
    word = "linear:optimiser=sgd,learning_rate=0.01,width=8,init_std=1e-6,embedding_std=0.02,steps=600"
    found = ladder.peak(at, "cycle:9", word)
    assert 0.5 < found["peak"] <= 1
    assert found["lost"] == pytest.approx(found["peak"] - found["end"], abs=ROUNDING)
