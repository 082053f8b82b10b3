"""The fused losses give the sums that the optimum needs, and the optimum with them is the same."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from fiedler.sims.tasks import optimum
from fiedler.sims.tasks.fused_pass import fused_row_pass
from fiedler.theory import from_networkx, one_hop_sparse, tied_optimum, untied_optimum
from fiedler.theory.optimum.row_pass import softmax_pass

ROUNDING = {np.float64: 1e-11, np.float32: 2e-5}  # of sums of a hundred terms of order one to ten
GRAPH = from_networkx(nx.barabasi_albert_graph(60, 2, seed=0))


def problem(n: int = 70, columns: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    v, u = rng.standard_normal((2, n, columns))
    return v, u, rng.standard_normal(n), rng.uniform(0.0, 2.0, n) * (np.arange(n) % 7 > 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_the_sums_are_those_of_numpy(tied: bool, biased: bool, dtype: type) -> None:
    v, u, c, w = problem()
    u, c = (v if tied else u), (c if biased else None)
    found = fused_row_pass()(v, u, c, w, dtype=dtype, check=None)
    expected = softmax_pass(v, u, c, w)
    close = {"rtol": ROUNDING[dtype], "atol": ROUNDING[dtype]}
    assert found.lse == pytest.approx(expected.lse, rel=ROUNDING[dtype])
    assert found.right.dtype == found.left.dtype == np.float64
    if tied and not biased:
        assert np.allclose(found.right + found.left, expected.right + expected.left, **close)
        return
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        assert np.allclose(ours, theirs, **close)


def test_without_a_card_and_for_few_nodes_it_is_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    v, u, c, w = problem()
    for nodes in (0, 71):
        monkeypatch.setattr(optimum, "DEVICE_NODES", nodes)
        chosen = optimum.solver_options(optimum.SEARCH)["row_pass"](v, u, c, w, dtype=np.float64, check=None)
        for ours, theirs in zip(chosen, softmax_pass(v, u, c, w), strict=True):
            assert np.array_equal(ours, theirs)


def test_a_stop_is_heard() -> None:
    v, u, c, w = problem()

    def stop() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        fused_row_pass()(v, u, c, w, dtype=np.float64, check=stop)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_the_tied_optimum_is_the_same(decay: float) -> None:
    target = one_hop_sparse(GRAPH)
    plain = tied_optimum(target, weight_decay=decay, tolerance=1e-8)
    fused = tied_optimum(target, weight_decay=decay, tolerance=1e-8, row_pass=fused_row_pass())
    assert fused.converged
    assert abs(fused.objective - plain.objective) <= 2e-8 * plain.objective


def test_the_untied_optimum_is_the_same() -> None:
    target = one_hop_sparse(GRAPH)
    plain = untied_optimum(target, weight_decay=0.1, tolerance=1e-8)
    fused = untied_optimum(target, weight_decay=0.1, tolerance=1e-8, row_pass=fused_row_pass())
    assert fused.converged
    assert fused.objective == pytest.approx(plain.objective, rel=2e-8)
