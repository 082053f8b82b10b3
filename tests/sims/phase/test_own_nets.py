"""Predictions for linear nets: against a run from the same weights, SciPy's Hessian, and what has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fiedler.sims.models.registry import get_model
from fiedler.sims.phase import own_nets
from fiedler.sims.phase.axes import Axis
from fiedler.sims.phase.own_nets import predict_nets, stable_steps_of_nets, why_not_followed
from fiedler.sims.phase.prediction import predict_phase
from fiedler.sims.phase.scores import stable_steps, why_not_predicted
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.scored import score_final
from fiedler.sims.scores.embedding import score_logits
from fiedler.sims.tasks.task import Task
from fiedler.theory import early_modes, parse, sharpness, tied_optimum

STEP = 2e-3  # of descent: its flow is that far away, relatively
EULER = 2e-2
CYCLE = Task(parse("cycle:7"))
LINEAR, NODE2VEC = get_model("linear"), get_model("node2vec")


def settings(**changes: Any) -> Any:
    given = {"optimiser": "sgd", "learning_rate": STEP, "steps": 600, "width": 6, "embedding_std": 0.3, **changes}
    return LINEAR.make_settings(**given)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_run_from_the_same_weights_scores_as_predicted(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_nets, "FIRST_SEED", 3)
    chosen = settings(layers=layers, weight_decay=0.1)
    (run,) = run_seeds(CYCLE, LINEAR, chosen, [3])
    optimum = tied_optimum(CYCLE.target)
    scores = {**score_final(run.final, CYCLE, optimum), **score_logits(run.final.logits, CYCLE)}
    for metric in ("geometric_margin", "edge_margin", "geometric_level_centred"):
        found = predict_nets([(CYCLE, chosen)], LINEAR, metric, samples=1)
        assert found[0] == pytest.approx(scores[metric], rel=EULER), metric
    found = predict_nets([(CYCLE, chosen)], LINEAR, "loss_per_node", samples=1)
    assert found[0] == pytest.approx(run.modes.loss[-1], rel=EULER)


def test_points_that_are_looked_at_sooner_are_the_same_flow() -> None:
    points = [(CYCLE, settings(steps=steps, learning_rate=rate)) for steps, rate in ((600, STEP), (300, 2 * STEP))]
    one, other = predict_nets(points, LINEAR, "geometric_margin", samples=2)
    assert one == pytest.approx(other, rel=1e-9)
    assert np.isnan(predict_nets([(Task(parse("hamming:1,4")), settings())], LINEAR, "geometric_margin", samples=1)[0])


@pytest.mark.parametrize(("word", "why"), [
    ("one-layer", "Adam"), ("linear:optimiser=sgd,frozen=true", "frozen embeddings"), ("mlp:optimiser=sgd", "layers"),
    ("transformer:optimiser=sgd", "[EDGE] token"), ("transformer:optimiser=sgd,edge_token=false,other_tokens=0", "and"),
])  # fmt: skip
def test_other_models_have_none(word: str, why: str) -> None:
    model = get_model(word)
    assert why in why_not_followed(model, model.make_settings())
    assert why_not_predicted(model, model.make_settings(), "gram_error") != ""  # nor Node2Vec's
    assert why_not_followed(LINEAR, settings()) == ""


def test_the_largest_stable_step_is_two_over_the_sharpness_at_the_end() -> None:
    node2vec = NODE2VEC.make_settings(steps=30_000, learning_rate=0.01, width=7, init_std=0.01)
    wanted = 2 / sharpness(CYCLE.target, tied_optimum(CYCLE.target).embedding())
    assert stable_steps([(CYCLE, node2vec)], NODE2VEC)[0] == pytest.approx(wanted, rel=1e-3)
    found = stable_steps_of_nets([(CYCLE, settings(layers=layers, steps=5000)) for layers in (1, 2)], LINEAR)
    assert wanted > found[0] > found[1] > 0  # layers sharpen


def test_over_the_learning_rate_the_edge_of_stability_is_where_the_rate_crosses_it() -> None:
    rates = Axis.of("learning_rate", np.geomspace(0.01, 1, 5))
    base = {"optimiser": "sgd", "steps": 400, "width": 6, "embedding_std": 0.3, "layers": 1}
    found = predict_phase(CYCLE, LINEAR, base, [rates], rates.values[:, None], "geometric_margin", samples=1)
    assert found.stable_rate is not None
    at = settings(learning_rate=found.stable_rate, steps=400, layers=1)
    assert stable_steps_of_nets([(CYCLE, at)], LINEAR)[0] == pytest.approx(found.stable_rate, rel=0.2)  # interpolated
    assert found.limit is None
    assert found.finite is not None
    assert np.isfinite(found.finite.cells).all()


def test_nothing_grows_above_the_one_death_of_a_residual_net() -> None:
    top = float(early_modes(CYCLE.target).rates[0])
    decays = Axis.of("weight_decay", top * np.array([0.5, 0.9, 1.1]))
    base = {"optimiser": "sgd", "learning_rate": 0.02, "steps": 3000, "width": 6, "embedding_std": 0.01, "layers": 2}
    cells = decays.values[:, None]
    found = predict_phase(CYCLE, LINEAR, base, [decays], cells, "geometric_margin", samples=1)
    (death,) = found.deaths
    assert death.decay == pytest.approx(top)
    assert "only the largest is known" in found.deaths_note
    assert found.finite is not None
    assert found.finite.cells[1] > 0.1
    assert abs(found.finite.cells[2]) < 1e-3
    assert predict_phase(CYCLE, LINEAR, {**base, "residual": False}, [decays], cells, "geometric_margin",
                         samples=1).deaths == ()  # fmt: skip
