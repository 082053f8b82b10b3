from dataclasses import replace

import numpy as np
import pytest

from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.stability import describe_stability, floor_digits, stability_warning
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse, sharpness, tied_flow

TASK = Task(parse("path-star:3x3"))
LONG = 0.2  # a step above the edge of stability there


def run_of(name="node2vec", **given):
    model = get_model(name)
    return run_seeds(TASK, model, model.make_settings(**{"steps": 600, **given}), [0])[0]


def test_a_step_that_is_too_long_is_named_with_the_remedy():
    run = run_of(learning_rate=LONG)
    found = describe_stability(TASK, run)
    assert LONG * found["sharpness"] > 2
    assert found["stable_learning_rate"] == pytest.approx(2 / found["sharpness"])
    loss = run.modes.loss
    assert found["loss_rise"] == max(loss[j] - loss[i] for j in range(len(loss)) for i in range(j + 1))
    text = stability_warning(found, LONG)
    assert "edge of stability" in text
    assert text.endswith(f"give --learning-rate below {floor_digits(found['stable_learning_rate']):g}")


def test_a_step_of_the_remedy_is_not_warned_of():
    """With the flow's sharpness: the oscillating run stays where the loss is less sharp."""
    run = run_of(learning_rate=LONG)
    flow = tied_flow(TASK.target, run.modes.snapshots[0].astype(float), [LONG * 600]).embedding[0]
    found = describe_stability(TASK, run, flow)
    assert found["stable_learning_rate"] == 2 / found["flow_sharpness"]
    assert found["flow_sharpness"] > found["sharpness"]
    assert "where the flow is" in stability_warning(found, LONG)
    limit = floor_digits(found["stable_learning_rate"])
    run = run_of(learning_rate=limit, steps=round(LONG * 600 / limit))
    found = describe_stability(TASK, run)
    assert stability_warning(found, run.settings.learning_rate) == ""
    assert (np.diff(run.modes.loss) <= 0).all()


def test_the_sharpest_of_the_recorded_states_counts():
    """The last one alone, in a run whose snapshots are not whole, and those before it."""
    run = run_of(learning_rate=0.01)
    shots, steps = run.modes.snapshots, run.modes.snapshot_steps
    sharpest = np.zeros_like(shots)
    middle = (len(steps) - 1) // 2  # where one of the looked at is
    sharpest[middle] = shots[-1]
    flat = replace(run.final, embedding=np.zeros_like(run.final.embedding))
    bent = replace(run, modes=replace(run.modes, snapshots=sharpest), final=flat)
    found = describe_stability(TASK, bent)
    assert found["sharpness_step"] == steps[middle]
    assert found["sharpness"] == pytest.approx(sharpness(TASK.target, shots[-1].astype(float)))
    alone = replace(bent, modes=replace(bent.modes, snapshot_whole=np.array(False)))
    assert describe_stability(TASK, alone)["sharpness_step"] == 600


def test_decay_and_row_weights_are_those_of_the_objective():
    task = Task(parse("path-star:3x3"), weights="line")
    model = get_model("node2vec")
    run = run_seeds(task, model, model.make_settings(steps=50, weight_decay=0.7), [0])[0]
    last = replace(run, modes=replace(run.modes, snapshots=None, snapshot_steps=None))
    options = {"weight_decay": 0.7, "row_weight": task.row_weight}
    wanted = sharpness(task.target, run.final.embedding, **options)
    assert describe_stability(task, last)["sharpness"] == pytest.approx(wanted, rel=1e-12)


def test_untied_runs_have_the_untied_objective():
    run = run_of("node2vec-untied", steps=50)
    wanted = sharpness(TASK.target, run.final.embedding, context=run.final.context)
    assert describe_stability(TASK, run)["sharpness"] == pytest.approx(wanted)


def test_other_models_have_another_hessian():
    assert describe_stability(TASK, run_of("one-layer", steps=5)) == {}
    assert stability_warning({}, 1.0) == ""


@pytest.mark.parametrize(("value", "wanted"), [(0.0691, 0.069), (0.0699, 0.069), (12.9, 12), (2e-5, 2e-5)])
def test_limits_are_rounded_down(value, wanted):
    assert floor_digits(value) == wanted
