"""The decays at which modes die: closed forms, an independent solver on both sides, KKT, and the two routes."""

from __future__ import annotations

import importlib
from functools import cache

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import softmax

from cases import SMALL, zoo_graph
from fiedler.theory import (
    DecayThresholds,
    closed_form_optimum,
    decay_thresholds,
    from_networkx,
    graph_symmetry,
    laplacian_eigenspaces,
    one_hop_target,
    parse,
    spectrum,
    target_decay_thresholds,
    tied_optimum,
    window_target,
)
from fiedler.theory.routes.decay_modes import BlockModes, dense_modes

MODULE = importlib.import_module("fiedler.theory.routes.decay")  # the package's attribute is the function

BRACKET = 1e-6  # the default tolerance: how far above the true change the reported decay may be, relative to it
ROUNDING = 1e-12  # of closed forms and eigenvalues of order one
GIVES_UP = 1e-5  # how close to a change the solver may fail, where the bisection then ends
BESIDE = 0.03  # relative distance from a change at which the independent solver is asked
ITERATIONS = 10_000
ALIVE = 1e-6  # of the largest eigenvalue: at that distance a living one is above 1e-4, a dead one below 1e-12
FAINT = 1e-7  # energy of a coupled space in the whole: a tenth below its birth the least has 4e-7 of it
SLOW = 1e-5  # of a share: what first-order steps leave, where they have stopped moving
SHARE = 0.05  # a direction turns a little between the change and that distance from it
QUICK = {"lowest": 0.5, "tolerance": 0.1, "scan": 2}  # where only the closed form of the largest is asked for


@cache
def found(word: str, tied: bool = True) -> DecayThresholds:
    return decay_thresholds(zoo_graph(word), tied=tied)


def zero_logits_residual(target: np.ndarray) -> np.ndarray:
    return target - 1.0 / len(target)


# Closed forms.


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("word", "options"),
    [(word, {}) for word in SMALL]
    + [(word, {"self_edges": True, "label_smoothing": 0.2}) for word in ("cycle:8", "path-star:5x2", "irregular")],
)
def test_the_largest_is_that_of_the_residual_at_zero(word: str, tied: bool, options: dict[str, float]) -> None:
    graph = zoo_graph(word)
    r = zero_logits_residual(one_hop_target(graph, **options))
    top = np.linalg.eigvalsh((r + r.T) / 2)[-1] if tied else np.linalg.norm(r, 2)
    thresholds = decay_thresholds(graph, tied=tied, **options, **QUICK)
    assert thresholds.zero_from == pytest.approx(top, rel=ROUNDING, abs=ROUNDING)
    assert thresholds.thresholds.max() == thresholds.zero_from
    assert (thresholds.eigenvalues, thresholds.multiplicities) == tuple(
        pytest.approx(part, abs=ROUNDING) for part in spectrum(graph)
    )
    if top > ROUNDING:
        assert thresholds.decays[0] == thresholds.zero_from
        assert thresholds.upper_ranks[0] == thresholds.widths[0] == 0


@pytest.mark.parametrize(("n", "smoothing"), [(15, 0.0), (12, 0.1)])
def test_the_second_mode_of_a_cycle_lives_between_two_decays(n: int, smoothing: float) -> None:
    """While only the first mode lives, K = c cos(theta (i - j)) and S in mode k is T_k - P_k(c), P_k the cosine
    coefficients of a row of the softmax: the second mode is born and dies where T_2 - P_2 = T_1 - P_1 = l."""
    theta = 2 * np.pi * np.arange(n) / n
    t1, t2 = (1 - smoothing) * np.cos(theta[[1, 2]])

    def coefficient(c: float, k: int) -> float:
        return float(softmax(c * np.cos(theta)) @ np.cos(k * theta))

    def excess(c: float) -> float:
        return (t2 - coefficient(c, 2)) - (t1 - coefficient(c, 1))

    last = brentq(lambda c: t1 - coefficient(c, 1), 1e-3, 60)  # no decay: smoothing lets the second mode live there
    edges = [brentq(excess, 1e-3, 1.5)] + ([brentq(excess, 1.5, last)] if excess(last) < 0 else [])
    expected = [t1, *(t1 - coefficient(c, 1) for c in edges)]
    graph = parse(f"cycle:{n}")
    thresholds = decay_thresholds(graph, label_smoothing=smoothing)
    seen = [decay for decay in expected if decay > thresholds.lowest]
    assert thresholds.decays == pytest.approx(seen, rel=BRACKET)
    assert list(thresholds.spaces) == [1, 2, 2][: len(seen)]
    assert list(thresholds.lower_ranks) == [2, 4, 2][: len(seen)]
    assert list(thresholds.upper_ranks) == [0, 2, 4][: len(seen)]
    assert thresholds.shares == pytest.approx(1.0)
    assert thresholds.thresholds[:3] == pytest.approx([0.0, expected[0], expected[1]], rel=BRACKET)
    assert not thresholds.thresholds[3:].any()
    births = [np.nan, 0.0, seen[2] if len(seen) > 2 else 0.0]
    assert thresholds.births[:3] == pytest.approx(births, rel=BRACKET, nan_ok=True)
    assert np.isnan(thresholds.births[3:]).all()


@pytest.mark.parametrize("word", ["hypercube:4", "hypercube:7", "hamming:2,3", "torus:4x4", "petersen"])
def test_on_these_graphs_the_first_mode_is_the_only_one(word: str) -> None:
    graph = parse(word)
    thresholds = decay_thresholds(graph)
    first = 1 - spectrum(graph)[0][1] / 2  # the eigenvalue of T in the first eigenspace
    assert thresholds.decays == pytest.approx([first], rel=ROUNDING)
    assert thresholds.thresholds == pytest.approx([0.0, first, *[0.0] * (len(thresholds.eigenvalues) - 2)])
    assert thresholds.lower_ranks[0] == spectrum(graph)[1][1]
    known = closed_form_optimum(graph)
    assert known is None or known.zero_from == pytest.approx(first, rel=ROUNDING)


def test_a_complete_graph_has_no_tied_mode_and_one_untied() -> None:
    nothing = decay_thresholds(parse("hamming:1,5"))
    assert nothing.zero_from == nothing.lowest == 0.0
    assert not nothing.thresholds.any()
    assert np.isnan(nothing.births).all()
    assert len(nothing.decays) == len(nothing.spaces) == len(nothing.lower_ranks) == 0
    untied = decay_thresholds(parse("hamming:1,5"), tied=False)
    assert untied.decays == pytest.approx([1 / 4], rel=ROUNDING)  # T = (11' - I) / 4 there
    assert list(untied.spaces) == [1]
    assert list(untied.lower_ranks) == [4]


def test_the_arms_of_a_path_star_die_alone() -> None:
    """A Gram matrix equal on all arms leaves S alone on vectors with sum zero over the arms, where it is then I - L/2:
    while no such mode lives, the first is born at 1 - mu/2, whatever lives in the rest and whatever their number."""
    arms, bracket = 30, 1e-5
    graph = parse(f"path-star:{arms}x4")
    thresholds = decay_thresholds(graph, lowest=0.3, tolerance=bracket, scan=6)
    values, counts = spectrum(graph)
    first = values[counts == arms - 1].min()
    (change,) = np.flatnonzero(thresholds.lower_ranks - thresholds.upper_ranks == arms - 1)
    assert thresholds.decays[change] == pytest.approx(1 - first / 2, rel=bracket)
    assert thresholds.eigenvalues[thresholds.spaces[change]] == pytest.approx(first)
    assert thresholds.shares[change] == pytest.approx(1.0)
    assert thresholds.method.startswith("blocks")
    assert (thresholds.eigenvalues, thresholds.multiplicities) == (pytest.approx(values), pytest.approx(counts))


def test_any_target() -> None:
    graph = parse("cycle:12")
    target, spaces = window_target(graph, 3), laplacian_eigenspaces(graph)
    thresholds = target_decay_thresholds(target, spaces, **QUICK)
    cosine = np.cos(2 * np.pi / 12)
    assert thresholds.zero_from == pytest.approx((cosine + cosine**2 + cosine**3) / 3, rel=ROUNDING)
    one_hop = target_decay_thresholds(one_hop_target(graph), spaces, **QUICK)
    assert list(one_hop.decays) == list(decay_thresholds(graph, **QUICK).decays)


# An independent solver.


def accelerated(target: np.ndarray, decay: float, tied: bool) -> np.ndarray:
    """min L(Z) + decay * (tr Z over Z >= 0, or the nuclear norm of Z) by FISTA with restarts: the Gram matrix of V."""
    n, step = len(target), 2.0
    z = y = np.zeros((n, n))
    t = 1.0
    for _ in range(ITERATIONS):
        gradient = softmax(y, axis=1) - target
        if tied:
            values, modes = np.linalg.eigh(y - step * (gradient + gradient.T) / 2)
            new = (modes * np.maximum(values - step * decay, 0)) @ modes.T
        else:
            left, values, right = np.linalg.svd(y - step * gradient)
            new = (left * np.maximum(values - step * decay, 0)) @ right
        if np.sum((y - new) * (new - z)) > 0:
            t = 1.0
        new_t = (1 + np.sqrt(1 + 4 * t * t)) / 2
        change = new - z
        y, z, t = new + (t - 1) / new_t * change, new, new_t
        if np.abs(change).max() < 1e-13:
            break
    if tied:
        return z
    left, values, _ = np.linalg.svd(z)
    return (left * values) @ left.T


def centred_modes(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    j = np.eye(len(gram)) - 1.0 / len(gram)
    values, modes = np.linalg.eigh(j @ gram @ j)
    return values[::-1], modes[:, ::-1]


@pytest.mark.parametrize(
    ("word", "tied"),
    [
        ("path-star:3x4", True),
        ("two components", True),
        ("with a loop", True),
        ("cycle:8", False),
        ("path-star:3x3", False),
        ("petersen", False),
    ],
)
def test_the_rank_on_both_sides_by_an_independent_solver(word: str, tied: bool) -> None:
    thresholds = found(word, tied)
    target, spaces = one_hop_target(zoo_graph(word)), laplacian_eigenspaces(zoo_graph(word))
    assert len(thresholds.decays) >= 1
    assert (np.diff(thresholds.decays) < 0).all()
    assert (thresholds.widths <= GIVES_UP).all()
    assert list(thresholds.lower_ranks[:-1]) == list(thresholds.upper_ranks[1:])
    clear = np.append(thresholds.decays[:-1] * (1 - 2 * BESIDE) > thresholds.decays[1:], True)
    assert clear.sum() >= max(1, len(clear) - 1)  # changes closer than the solver can tell apart are left out
    for k in np.flatnonzero(clear & np.insert(clear[:-1], 0, True)):
        sides = {}
        for side, rank in ((1 - BESIDE, thresholds.lower_ranks[k]), (1 + BESIDE, thresholds.upper_ranks[k])):
            values, modes = centred_modes(accelerated(target, side * thresholds.decays[k], tied))
            largest = max(values[0], ROUNDING)
            assert (values > ALIVE * largest).sum() == rank if rank else values[0] < ALIVE
            sides[rank] = modes[:, :rank]
        moved = abs(thresholds.lower_ranks[k] - thresholds.upper_ranks[k])
        last = sides[max(sides)][:, -moved:]
        share = ((spaces.columns(thresholds.spaces[k]).T @ last) ** 2).sum() / moved
        assert share == pytest.approx(thresholds.shares[k], abs=SHARE)


def test_coupled_spaces_share_their_threshold() -> None:
    """Inside a symmetry class of the path-star the first direction is a Laplacian eigenvector only at its birth: below
    it every space of the class has energy. The other class, without any until its own birth, does not."""
    thresholds = found("path-star:4x5")
    spaces = laplacian_eigenspaces(parse("path-star:4x5"))
    gram = accelerated(one_hop_target(parse("path-star:4x5")), 0.85, True)
    assert thresholds.decays[1] < 0.85 < thresholds.decays[0]
    j = np.eye(17) - 1 / 17
    energy = np.array([(spaces.projector(k) * (j @ gram @ j)).sum() for k in range(9)])
    alive = spaces.multiplicities == 3
    assert (energy[alive] > FAINT * energy.sum()).all()
    assert (np.abs(energy[~alive]) < ROUNDING * energy.sum()).all()
    assert (thresholds.thresholds[alive] == thresholds.zero_from).all()
    assert (thresholds.thresholds[~alive] == thresholds.decays[1]).all()
    assert (thresholds.births == 0).all()


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5"])
def test_kkt_just_above_a_death(word: str) -> None:
    """S <= l on the modes that are not there, with equality where one is about to be born: the gap closes linearly."""
    thresholds, target = found(word), one_hop_target(zoo_graph(word))
    for decay in thresholds.decays[1 : 1 + 3][thresholds.lower_ranks[1 : 1 + 3] > thresholds.upper_ranks[1 : 1 + 3]]:
        gaps = []
        for above in (2e-3, 1e-3):
            optimum = tied_optimum(target, weight_decay=decay * (1 + above))
            r = target - softmax(optimum.gram, axis=1)
            values, modes = np.linalg.eigh(optimum.gram)
            free = modes[:, values < 1e-8 * values[-1]]
            top = np.linalg.eigvalsh(free.T @ ((r + r.T) / 2) @ free)[-1]
            gaps.append(optimum.weight_decay - top)
        assert 0 < gaps[1] < 0.01 * decay
        assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(("word", "tied"), [("with a loop", False), ("path-star:3x3", False), ("path-star:3x4", True)])
def test_the_modes_of_one_decay(word: str, tied: bool) -> None:
    """Every direction of the centred Gram matrix and its shares, from the independent solver's."""
    graph = zoo_graph(word)
    target, spaces, decay = one_hop_target(graph), laplacian_eigenspaces(graph), 0.2
    values, modes = centred_modes(accelerated(target, decay, tied))
    rank = int((values > ALIVE * values[0]).sum())
    dense = dense_modes(target, spaces, tied, decay)
    symmetry = graph_symmetry(graph)
    blocks = BlockModes(symmetry, symmetry.target(), tied).modes(decay)
    assert dense.rank == blocks.rank == rank
    groups = np.split(np.arange(rank), np.flatnonzero(np.diff(values[:rank]) < -ALIVE * values[0]) + 1)
    for group in groups:  # equal eigenvalues have no directions of their own
        energy = (spaces.basis.T @ modes[:, group]) ** 2
        expected = np.array([energy[spaces.labels == k].sum() for k in range(len(spaces.eigenvalues))])
        assert dense.shares[group].sum(axis=0) == pytest.approx(expected, abs=SLOW)
        each = np.repeat(blocks.shares, blocks.counts, axis=0)
        assert each[group].sum(axis=0) == pytest.approx(expected, abs=SLOW)


# Routes, tolerances and errors.


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("word", ["path-star:4x3", "cycle:8"])
def test_the_blocks_give_what_all_nodes_give(word: str, tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"tied": tied, "lowest": 0.05, "tolerance": 1e-3, "scan": 6}
    dense = decay_thresholds(parse(word), **options)
    monkeypatch.setattr(MODULE, "BLOCKS_FROM", 0)
    blocks = decay_thresholds(parse(word), **options)
    assert dense.method == "all nodes"
    assert blocks.method.startswith("blocks")
    for name in (
        "eigenvalues",
        "thresholds",
        "births",
        "decays",
    ):  # two bisections of one grid, but for the last halves
        assert getattr(blocks, name) == pytest.approx(getattr(dense, name), rel=2e-3, abs=ROUNDING, nan_ok=True), name
    for name in ("multiplicities", "lower_ranks", "upper_ranks"):
        assert list(getattr(blocks, name)) == list(getattr(dense, name)), name
    assert blocks.shares == pytest.approx(dense.shares, abs=1e-2)


def test_the_cost_does_not_grow_with_the_arms() -> None:
    few, many = (decay_thresholds(parse(f"path-star:{arms}x3"), **QUICK) for arms in (40, 100_000))
    assert many.lower_ranks[0] == few.lower_ranks[0] == 1
    assert many.thresholds[spectrum(parse("path-star:40x3"))[1] == 39] == pytest.approx(0, abs=0)


def test_where_the_solver_gives_up_the_width_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    true = found("cycle:15").decays[1]
    solve = MODULE.dense_modes

    def fragile(target, spaces, tied, decay, row_weight):
        if abs(decay / true - 1) < 1e-3:
            raise RuntimeError("no certified optimum")
        return solve(target, spaces, tied, decay, row_weight)

    monkeypatch.setattr(MODULE, "dense_modes", fragile)
    thresholds = decay_thresholds(parse("cycle:15"), lowest=0.1)
    assert list(thresholds.upper_ranks) == [0, 2]
    assert thresholds.widths[1] > 1e-3
    assert thresholds.decays[1] * (1 - thresholds.widths[1]) <= true <= thresholds.decays[1]


def test_changes_close_below_the_largest_are_found() -> None:
    """A cube with one edge a little heavier: its first eigenvalue splits by less than the distance of the grid from the
    closed form, and the first directions are born one after the other."""
    cube = nx.hypercube_graph(3)
    nx.set_edge_attributes(cube, 1.0, "weight")
    cube.edges[(0, 0, 0), (0, 0, 1)]["weight"] = 1.001
    graph = from_networkx(nx.convert_node_labels_to_integers(cube))
    r = zero_logits_residual(one_hop_target(graph))
    top = np.sort(np.linalg.eigvalsh((r + r.T) / 2))[::-1]
    assert top[0] * (1 - MODULE.FIRST) < top[2] < top[0] * (1 - 10 * GIVES_UP)
    thresholds = decay_thresholds(graph, lowest=0.9, scan=2, tolerance=1e-5)
    assert thresholds.decays[0] == pytest.approx(top[0], rel=GIVES_UP)
    assert (thresholds.decays[1:] < top[0]).all()
    assert thresholds.lower_ranks[-1] == 3
    assert len(thresholds.decays) >= 2


def test_refusals() -> None:
    lonely = nx.path_graph(3)
    lonely.add_node("x")
    with pytest.raises(ValueError, match=r"isolated node"):
        decay_thresholds(from_networkx(lonely))
    assert decay_thresholds(from_networkx(lonely), self_edges=True, **QUICK).zero_from > 0
    with pytest.raises(ValueError, match=r"lowest is relative to a threshold and must lie in \(0, 0.999\); got 1.5"):
        decay_thresholds(parse("cycle:5"), lowest=1.5)
    with pytest.raises(ValueError, match=r"tolerance .* got 0"):
        decay_thresholds(parse("cycle:5"), tolerance=0)
    with pytest.raises(ValueError, match="scan must be at least 2"):
        decay_thresholds(parse("cycle:5"), scan=1)
    with pytest.raises(ValueError, match="scan must be at most 10000"):
        decay_thresholds(parse("cycle:5"), scan=10**9)
    with pytest.raises(TypeError, match="tied must be True or False"):
        decay_thresholds(parse("cycle:5"), tied=1)
    with pytest.raises(ValueError, match="of 5 nodes, the target of 6"):
        target_decay_thresholds(one_hop_target(parse("cycle:6")), laplacian_eigenspaces(parse("cycle:5")))
    with pytest.raises(ValueError, match="2000 nodes"):
        decay_thresholds(parse("grid:50x51"))
