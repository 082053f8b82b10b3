import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import softmax

from fiedler.sims.predict.at_time import (
    DRIFT,
    FLOW,
    GROWTH,
    NEAR_GRAM,
    NEAR_LOSS,
    FlowAtTime,
    flow_at_time,
    time_to_limit,
)
from fiedler.sims.predict.drift import task_drift
from fiedler.sims.tasks.task import Task
from fiedler.theory import DriftLaw, gram_error, parse, tied_flow, tied_optimum

SECONDS = 60.0  # enough for every flow here
NONE = 0.0  # nothing is integrated in so many
SAME = 1e-5  # flows followed to 1e-7, and another integrator to 1e-9


def start(n, scale=0.5, seed=0):
    return scale * np.random.default_rng(seed).standard_normal((n, 3))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_flow_from_a_given_start_against_another_integrator(decay):
    task = Task(parse("florentine"), self_edges=True)
    v0, end = start(task.graph.n), 3.0

    def velocity(_, flat):
        v = flat.reshape(v0.shape)
        r = task.target - softmax(v @ v.T, axis=1)
        return ((r + r.T) @ v - 2 * decay * v).ravel()

    wanted = solve_ivp(velocity, (0, end), v0.ravel(), method="LSODA", rtol=1e-9, atol=1e-12).y[:, -1]
    wanted = wanted.reshape(v0.shape)
    found, why = flow_at_time(task, v0, end, decay, SECONDS)
    assert (why, found.time) == ("", end)
    np.testing.assert_allclose(found.embedding @ found.embedding.T, wanted @ wanted.T, atol=SAME)
    p = softmax(wanted @ wanted.T, axis=1)
    assert found.loss_per_node == pytest.approx(-(task.target * np.log(p)).sum() / task.graph.n, rel=SAME)


def test_a_flow_that_takes_too_long_says_so():
    task = Task(parse("karate"))
    found, why = flow_at_time(task, start(34), 1e3, 0.0, NONE)
    assert found is None
    assert why == "no flow at the run's time: it was not done after 0 s"


def first_below(times, values, level):
    """Where values, falling, first reach the level, linear in between."""
    i = int(np.flatnonzero(values <= level)[0])
    share = (values[i - 1] - level) / (values[i - 1] - values[i])
    return times[i - 1] + share * (times[i] - times[i - 1])


def test_the_times_to_the_limit_are_those_of_the_flow():
    task = Task(parse("cycle:9"))
    optimum, v0 = tied_optimum(task.target), start(9, 0.01)
    times = np.linspace(0, 60, 3001)
    flow = tied_flow(task.target, v0, times)
    errors = np.array([gram_error(v, optimum) for v in flow.embedding])
    at = FlowAtTime(2.0, tied_flow(task.target, v0, [2.0]).embedding[0], 0.0)
    found = time_to_limit(task, at, optimum, SECONDS)
    assert (found.gram_from, found.loss_from) == (FLOW, FLOW)
    assert found.gram == pytest.approx(first_below(times, errors, NEAR_GRAM), rel=1e-4)
    assert found.loss == pytest.approx(first_below(times, flow.loss, (1 + NEAR_LOSS) * optimum.loss), rel=1e-4)
    assert found.followed == pytest.approx(max(found.gram, found.loss), rel=1e-6)


def test_what_is_near_already_is_told_at_the_time_of_the_run():
    task = Task(parse("cycle:9"))
    optimum = tied_optimum(task.target)
    found = time_to_limit(task, FlowAtTime(7.0, optimum.embedding(), 0.0), optimum, SECONDS)
    assert (found.gram, found.loss, found.followed) == (7.0, 7.0, 7.0)


def test_with_decay_the_objective_counts():
    """Its optimum has a larger loss than the flow passes through on the way."""
    task, decay = Task(parse("cycle:9")), 0.05
    optimum, v0 = tied_optimum(task.target, weight_decay=decay), start(9, 3.0)
    times = np.linspace(0, 60, 3001)
    flow = tied_flow(task.target, v0, times, weight_decay=decay)
    objective = flow.loss + decay * (flow.embedding**2).sum(axis=(1, 2))
    at = FlowAtTime(0.1, tied_flow(task.target, v0, [0.1], weight_decay=decay).embedding[0], 0.0)
    wanted = first_below(times, objective, (1 + NEAR_LOSS) * optimum.objective)
    assert time_to_limit(task, at, optimum, SECONDS).loss == pytest.approx(wanted, rel=1e-4)


def test_without_time_the_drift_law_and_the_growth_rates_answer():
    task = Task(parse("path-star:4x3"))
    optimum = tied_optimum(task.target)
    law = task_drift(task, optimum)
    assert isinstance(law, DriftLaw)
    at = FlowAtTime(1e-3, start(task.graph.n, 1e-3), 0.0)
    found = time_to_limit(task, at, optimum, NONE, law=law, init_scale=1e-3)
    assert (found.loss_from, found.gram_from, found.followed) == (DRIFT, GROWTH, 1e-3)
    assert law.gap(found.loss) == pytest.approx(NEAR_LOSS * optimum.loss)
    n = task.graph.n
    rates = np.linalg.eigvalsh(task.target + task.target.T - 2 / n)[::-1]
    assert found.gram == pytest.approx(np.log(1e6) / (2 * rates[optimum.rank - 1]))


def test_without_time_and_law_nothing_is_said():
    task = Task(parse("cycle:9"))
    found = time_to_limit(task, FlowAtTime(1.0, start(9, 3.0), 0.0), tied_optimum(task.target), NONE, init_scale=3.0)
    assert (found.gram, found.loss, found.followed) == (None, None, 1.0)
