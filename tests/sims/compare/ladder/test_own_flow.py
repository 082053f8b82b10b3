"""A comparison of nets whose equations are known holds them against their own flow."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.ladder.own_flow import follow_own_flow
from fiedler.sims.compare.run import compare
from fiedler.sims.models.registry import get_model
from fiedler.sims.predict.trajectory import predict_trajectory, predicted_spectrum
from fiedler.sims.runs.recorder import log_spaced_steps
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

TASK = Task(parse("cycle:6"))
NET = "linear:optimiser=sgd,learning_rate=0.005,width=6,init_std=0.2,residual=false,steps=1500"
NORMED = (
    "transformer:optimiser=sgd,learning_rate=0.005,width=6,steps=200,edge_token=false,other_tokens=0,positions=false,"
    "biases=false,perceptron=false,init_std=0.2"
)
DECADES = 0.02  # steps of 0.005 against the flow
FAR = 10 * DECADES  # Node2Vec's flow of the same starting size


@pytest.mark.parametrize("word", [NET, NORMED])
def test_the_prediction_is_the_nets_own_with_nothing_fitted(word: str) -> None:
    model = get_model(word)
    (one,) = compare(TASK, [(model, model.make_settings())], [0, 1]).models
    assert one.predicted is not None
    assert one.predicted.own
    assert one.mean_fit.fitted == ()
    assert one.mean_fit.rms_log10 < DECADES
    assert one.predicted.loss[-1] == pytest.approx(np.mean([run.modes.loss[-1] for run in one.runs]), rel=DECADES)
    node2vec = predict_trajectory(TASK, model, one.settings, log_spaced_steps(one.settings.steps))
    apart = np.log10(node2vec.centred_energy / one.predicted.centred_energy)[:, 1:]
    assert np.sqrt((apart**2).mean()) > FAR
    spectrum = predicted_spectrum(model, one.optimum, one.predicted)
    assert spectrum is not None
    gram = one.runs[0].final.embedding @ one.runs[0].final.embedding.T
    assert spectrum[0] == pytest.approx(np.linalg.eigvalsh(gram - gram.mean(0))[-1], rel=5 * DECADES)


@pytest.mark.parametrize("word", ["linear:width=4", "mlp:optimiser=sgd,width=4", "transformer:optimiser=sgd,width=4"])
def test_models_with_other_equations_have_none(word: str) -> None:
    model = get_model(word)
    settings = model.make_settings()
    assert follow_own_flow(TASK, model, settings, [0], log_spaced_steps(10), 10.0) is None


def test_a_flow_that_is_late_says_so() -> None:
    model = get_model(NET)
    found = follow_own_flow(TASK, model, model.make_settings(), [0], log_spaced_steps(1500), 1e-9)
    assert found == (None, "no predicted flow: it was not done after 1e-09 s (--time-limit)")
