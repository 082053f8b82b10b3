import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from differences import numeric_gradient
from fiedler.theory import (
    laplacian_eigenspaces,
    mode_energy,
    one_hop_target,
    parse,
    tied_flow,
    tied_gram_flow,
    untied_flow,
    untied_gram_flow,
)
from fiedler.theory.flow.equations import tied_equation, tied_gram_equation, untied_equation, untied_gram_equation
from fiedler.theory.flow.path import energy_reaches, follow, loss_falls_below, space_energies, stationary

AGREEMENT = 1e-8  # two integrations at a relative tolerance of 1e-10
FORM = 1e-8  # Gram against V form, relative to the largest entry
DIFFERENCE = 1e-6  # central differences with a step of 1e-5: 1e-10 of truncation, 1e-11 of rounding, times the loss
MONOTONE = 1e-9  # relative rounding and integration error of a loss that has stopped falling

GRAPHS = ("cycle:15", "path-star:4x5", "irregular", "florentine")


def relative(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max()


def setting(word, columns=4):
    graph = parse(word)
    target = one_hop_target(graph)
    v0, u0 = np.random.default_rng(0).standard_normal((2, len(target), columns))
    w = 0.5 + np.random.default_rng(1).random(len(target))
    return graph, target, v0, u0, {"weight_decay": 0.1, "row_weight": w}


def spaces_of(graph):
    return laplacian_eigenspaces(graph, "symmetrized-random-walk")


def objective(logits, target, w):
    return -(w[:, None] * target * log_softmax(logits, axis=1)).sum()


@pytest.mark.parametrize("columns", [3, 30])
@pytest.mark.parametrize("word", GRAPHS)
def test_velocities_are_gradients(word, columns):
    _, target, v0, u0, options = setting(word, columns)
    w = options["row_weight"]
    tied = tied_equation(target, v0, **options)
    down = numeric_gradient(lambda v: objective(v @ v.T, target, w) + 0.1 * (v**2).sum(), tied.start)
    assert relative(tied.velocity(tied.start), -down) < DIFFERENCE
    untied = untied_equation(target, v0, u0, **options)
    down = numeric_gradient(lambda s: objective(s[0] @ s[1].T, target, w) + 0.05 * (s**2).sum(), untied.start)
    assert relative(untied.velocity(untied.start), -down) < DIFFERENCE


@pytest.mark.parametrize("word", GRAPHS)
def test_gram_velocities_follow_by_the_product_rule(word):
    _, target, v, u, options = setting(word)
    dv = tied_equation(target, v, **options).velocity(v)
    assert relative(tied_gram_equation(target, v @ v.T, **options).velocity(v @ v.T), dv @ v.T + v @ dv.T) < 1e-12
    dv, du = untied_equation(target, v, u, **options).velocity(np.stack([v, u]))
    state = np.stack([v @ v.T, u @ u.T, v @ u.T])
    found = untied_gram_equation(target, *state, **options).velocity(state)
    assert relative(found, [dv @ v.T + v @ dv.T, du @ u.T + u @ du.T, dv @ u.T + v @ du.T]) < 1e-12


EQUATIONS = {
    "tied": (lambda t, v, u, o: tied_equation(t, v, **o), lambda t, v, u, x, o: tied_flow(t, v, x, **o)),
    "tied gram": (
        lambda t, v, u, o: tied_gram_equation(t, v @ v.T, **o),
        lambda t, v, u, x, o: tied_gram_flow(t, v @ v.T, x, **o),
    ),
    "untied": (lambda t, v, u, o: untied_equation(t, v, u, **o), lambda t, v, u, x, o: untied_flow(t, v, u, x, **o)),
    "untied gram": (
        lambda t, v, u, o: untied_gram_equation(t, v @ v.T, u @ u.T, v @ u.T, **o),
        lambda t, v, u, x, o: untied_gram_flow(t, v @ v.T, u @ u.T, v @ u.T, x, **o),
    ),
}


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize("word", GRAPHS)
def test_a_path_answers_for_any_time(word, name):
    graph, target, v0, u0, options = setting(word, 40)
    equation, flow = (make for make in EQUATIONS[name])
    path = follow(equation(target, v0, u0, options), 20.0)
    times = np.sort(20 * np.random.default_rng(2).random(7))
    found, expected = path.at(times), flow(target, v0, u0, times, options)
    assert type(found) is type(expected)
    for field in vars(expected):
        assert relative(getattr(found, field), getattr(expected, field)) < AGREEMENT
    spaces = spaces_of(graph)
    exact = (
        tied_flow(target, v0, times, **options)
        if "untied" not in name
        else untied_flow(target, v0, u0, times, **options)
    )
    energies = [mode_energy(v, spaces) for v in exact.embedding]
    assert relative(path.mode_energy(times, spaces), energies) < FORM


@pytest.mark.parametrize("name", EQUATIONS)
def test_events_happen_when_the_flow_says(name):
    graph, target, v0, u0, options = setting("florentine", 40)
    v0, u0 = 0.01 * v0, 0.01 * u0
    make, flow = EQUATIONS[name]
    equation, spaces, k = make(target, v0, u0, options), spaces_of(graph), 1
    events = [
        energy_reaches(equation, spaces, k, 1.0),
        loss_falls_below(equation, 30.0),
    ]
    path = follow(equation, 30.0, events=events)

    def energy(t, j):
        found = flow(target, v0, u0, [t], options)
        gram = next(getattr(found, key) for key in ("gram", "gram_embedding", "embedding") if hasattr(found, key))[0]
        gram = gram if gram.shape[0] == gram.shape[1] else gram @ gram.T
        return (spaces.projector(j) * gram).sum()

    assert energy(path.event_times[f"energy {k}"], k) == pytest.approx(1.0, rel=1e-6)
    when = brentq(lambda t: flow(target, v0, u0, [t], options).loss[0] - 30.0, 0, 30, xtol=1e-9)
    assert path.event_times["loss"] == pytest.approx(when, rel=1e-6)


def test_a_falling_energy():
    graph = parse("cycle:15")
    target, spaces = one_hop_target(graph), spaces_of(graph)
    equation = tied_equation(target, 10 * np.eye(15))
    event = energy_reaches(equation, spaces, 7, 1.0, rising=False, terminal=True)
    path = follow(equation, 100.0, events=[event])
    assert path.stopped_by == "energy 7"
    assert path.mode_energy(path.end, spaces)[0, 7] == pytest.approx(1.0, rel=1e-7)
    assert (path.mode_energy(np.linspace(0, 0.99 * path.end, 20), spaces)[:, 7] > 1).all()


@pytest.mark.parametrize("word", ["cycle:15", "grid:4x4"])
def test_a_stationary_state_stops_the_flow(word):
    target = one_hop_target(parse(word))
    decay = {"weight_decay": 0.2}
    equation = tied_equation(target, 2 * np.eye(len(target)), **decay)
    path = follow(equation, 1e6, events=[stationary(equation, 1e-6)])
    assert path.stopped_by == "stationary"
    v = path.at(path.end).embedding[0]
    p = softmax(v @ v.T, axis=1)
    assert np.linalg.norm((target - p + (target - p).T) @ v - 0.4 * v) == pytest.approx(1e-6, rel=1e-3)
    assert path.event_times["stationary"] == path.end


@pytest.mark.parametrize(("word", "end"), [("path-star:4x5", 1000.0), ("florentine", 1000.0), ("cycle:15", 3000.0)])
def test_late_times_by_implicit_steps(word, end):
    target = one_hop_target(parse(word))
    n = len(target)
    path = follow(tied_equation(target, 10 * np.eye(n)), end)
    assert path.integration.implicit_from is not None

    def rhs(_, y):
        v = y.reshape(n, n)
        r = target - softmax(v @ v.T, axis=1)
        return ((r + r.T) @ v).ravel()

    times = [30.0, 300.0, end]
    found = path.at(times)
    solution = solve_ivp(
        rhs, (0, end), 10 * np.eye(n).ravel(), method="LSODA", t_eval=times, rtol=1e-11, atol=1e-13, max_step=5.0
    )
    assert relative(found.embedding, solution.y.T.reshape(3, n, n)) < AGREEMENT
    loss = path.at(np.geomspace(0.1, end, 300)).loss
    assert np.diff(loss).max() <= MONOTONE * loss[0]
    assert relative(tied_flow(target, 10 * np.eye(n), times).embedding, found.embedding) < AGREEMENT


def test_a_converged_flow_costs_no_more_steps():
    # Rounding in the directions of rotation, multiplied by the time, would otherwise shorten them: 2200 steps to 1e5.
    target = one_hop_target(parse("cycle:15"))
    path = follow(tied_equation(target, 10 * np.eye(15)), 1e7)
    assert path.integration.implicit_from is not None
    assert path.integration.steps < 600
    states = path.at([2000.0, 1e5, 1e7]).embedding
    assert np.array_equal(states[1], states[2])
    assert relative(states[0], states[2]) < AGREEMENT


def test_late_times_commute_with_relabelling_and_rotation():
    target = one_hop_target(parse("path-star:4x5"))
    n = len(target)
    rng = np.random.default_rng(0)
    order, q = rng.permutation(n), np.linalg.qr(rng.standard_normal((n, n)))[0]
    v0 = 10 * np.eye(n)
    plain = tied_flow(target, v0, [500.0]).embedding[0]
    assert relative(tied_flow(target[np.ix_(order, order)], v0[order], [500.0]).embedding[0], plain[order]) < AGREEMENT
    assert relative(tied_flow(target, v0 @ q, [500.0]).embedding[0], plain @ q) < AGREEMENT


def test_energies_of_many_gram_matrices():
    spaces = spaces_of(parse("grid:4x4"))
    v = np.random.default_rng(0).standard_normal((2, 3, 16, 5))
    found = space_energies(v @ v.swapaxes(-1, -2), spaces)
    expected = np.array([[mode_energy(x, spaces) for x in row] for row in v])
    assert np.allclose(found, expected, rtol=1e-12)


def test_bad_events_are_refused():
    target = one_hop_target(parse("cycle:5"))
    equation = tied_equation(target, np.eye(5))
    with pytest.raises(ValueError, match="tolerance"):
        stationary(equation, 0.0)
    with pytest.raises(ValueError, match="of 6 nodes, the flow of 5"):
        energy_reaches(equation, spaces_of(parse("cycle:6")), 0, 1.0)
    with pytest.raises(ValueError, match="k must be at most"):
        energy_reaches(equation, spaces_of(parse("cycle:5")), 9, 1.0)
    with pytest.raises(ValueError, match="after the end"):
        follow(equation, 1.0).at(2.0)


def test_what_is_no_equation_is_refused():
    equation = tied_equation(one_hop_target(parse("cycle:5")), np.eye(5))
    spaces = laplacian_eigenspaces(parse("cycle:5"))
    for call in (follow, lambda e, level: energy_reaches(e, spaces, 0, level), loss_falls_below, stationary):
        with pytest.raises(TypeError, match="equation must be a FlowEquation, not function"):
            call(equation.velocity, 1.0)
    with pytest.raises(TypeError, match="every one of events must be a Event"):
        follow(equation, 1.0, events=["stationary"])
    with pytest.raises(ValueError, match=r"grams must have shape \(..., 5, 5\)"):
        space_energies(np.eye(4), spaces)
