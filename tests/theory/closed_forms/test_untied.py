import time

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import linprog

from fiedler.theory import closed_form_spectrum, from_networkx, one_hop_target, parse, untied_optimum
from fiedler.theory.closed_forms.tied import closed_form_optimum
from fiedler.theory.closed_forms.untied_cycle import untied_cycle_max_margin, untied_cycle_optimum

LOSS = 1e-10
ROUNDING = 1e-12
DUAL = 1e-10  # of a vertex of the linear program, in norms of order n

REGULAR = [
    "cycle:3",
    "cycle:4",
    "cycle:7",
    "cycle:8",
    "torus:3x4",
    "hypercube:1",
    "hypercube:3",
    "hamming:2,3",
    "petersen",
]


def dense(word, **options):
    decay = options.pop("weight_decay", 0.0)
    return untied_optimum(one_hop_target(parse(word), **options), weight_decay=decay)


def closed(word, **options):
    return closed_form_optimum(parse(word), tied=False, **options)


def compare(found, solved, logits=1e-9):
    assert not found.tied
    assert found.loss_per_node == pytest.approx(solved.loss_per_node, abs=LOSS)
    assert found.attained == solved.attained
    assert found.rank == solved.rank
    assert np.allclose(np.repeat(found.eigenvalues, found.multiplicities), solved.singular_values, rtol=logits, atol=0)
    if solved.attained:
        scale = max(1.0, float(np.abs(solved.logits).max()))
        assert np.allclose(found.logits(), solved.logits, rtol=0, atol=logits * scale)
    assert found.max_violation < ROUNDING


@pytest.mark.parametrize("word", REGULAR)
@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("smoothing", [0.01, 0.5])
def test_smoothed_logits_are_the_adjacency(word, self_edges, smoothing):
    found = closed(word, label_smoothing=smoothing, self_edges=self_edges)
    compare(found, dense(word, label_smoothing=smoothing, self_edges=self_edges))
    values, counts = closed_form_spectrum(parse(word), "combinatorial")
    degree = parse(word).degrees[0]
    theta = np.abs(np.repeat(degree + self_edges - values, counts)[1:])
    nonzero = np.sort(theta[theta > 1e-9])[::-1]
    assert np.allclose(
        np.repeat(found.eigenvalues, found.multiplicities), sum(found.scalars) * nonzero
    )  # no gain is needed for a uniform target


@pytest.mark.parametrize("word", [*REGULAR, "path-star:4x5", "karate", "irregular", "florentine"])
def test_without_smoothing_the_infimum_is_the_entropy(word):
    for self_edges in (False, True):
        compare(closed(word, self_edges=self_edges), dense(word, self_edges=self_edges))


def test_large_graphs_need_no_array_of_n_by_n():
    start = time.process_time()
    big = closed("hypercube:14", label_smoothing=0.1)
    assert closed("torus:100x100").loss_per_node == pytest.approx(np.log(4), rel=1e-12)
    assert time.process_time() - start < 3
    assert big.rank == 2**14 - 1 - 3432  # minus the constant and the C(14, 7) zero modes
    assert big.multiplicities.tolist()[:2] == [1, 28]  # the bipartition alone, as the constant is gone; then +-12
    assert closed("cycle:100000", weight_decay=0.999) is None
    assert closed("cycle:100000", weight_decay=1.0).rank == 0


@pytest.mark.parametrize("word", [*REGULAR, "hypercube:4"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_it_is_zero_from_the_threshold_on(word, smoothing):
    target = one_hop_target(parse(word), label_smoothing=smoothing)
    edge = np.linalg.norm(target - 1 / len(target), 2)
    above = closed(word, weight_decay=1.001 * edge, label_smoothing=smoothing)
    assert above.zero_from == pytest.approx(edge, abs=1e-12)
    assert above.excess == pytest.approx(-0.001 * edge, abs=1e-12)
    compare(above, dense(word, weight_decay=1.001 * edge, label_smoothing=smoothing))
    below = closed(word, weight_decay=0.99 * edge, label_smoothing=smoothing)
    assert below.rank > 0 if word.startswith("cycle") else below is None


class TestCycleUnderDecay:
    @pytest.mark.parametrize("n", [3, 4, 5, 6, 8, 9, 12, 15, 20])
    @pytest.mark.parametrize("decay", [0.5, 0.1, 1e-3])
    @pytest.mark.parametrize("self_edges", [False, True])
    def test_it_is_the_optimum_of_the_dense_solver(self, n, decay, self_edges):
        found = closed(f"cycle:{n}", weight_decay=decay, self_edges=self_edges)
        compare(found, dense(f"cycle:{n}", weight_decay=decay, self_edges=self_edges), logits=1e-8)

    @pytest.mark.parametrize("smoothing", [0.01, 0.3])
    def test_with_smoothing(self, smoothing):
        found = untied_cycle_optimum(15, 0.05, label_smoothing=smoothing)
        compare(found, dense("cycle:15", weight_decay=0.05, label_smoothing=smoothing), logits=1e-8)

    @pytest.mark.parametrize(("n", "decay"), [(15, 0.05), (20, 0.3), (101, 1e-2)])
    def test_the_conditions_hold_in_the_fourier_basis(self, n, decay):
        found = untied_cycle_optimum(n, decay)
        z = found.logits()[0]
        p = np.exp(z - z.max())
        p /= p.sum()
        k = np.arange(1, n // 2 + 1)
        r = (np.cos(2 * np.pi * k / n) - np.fft.fft(p).real[1 : n // 2 + 1]) / decay
        x = np.array(found.scalars)
        assert np.allclose(np.fft.fft(z).real[1 : n // 2 + 1], x, atol=1e-9 * np.abs(x).max())
        assert (np.abs(r) <= 1 + 1e-9).all()
        assert np.allclose(r[x != 0], np.sign(x[x != 0]), atol=1e-9)
        assert (x > 0).any()
        assert (x < 0).any()

    def test_hundreds_of_nodes_in_a_second(self):
        start = time.process_time()
        found = untied_cycle_optimum(300, 1e-3)
        assert time.process_time() - start < 5
        assert found.max_violation < ROUNDING

    def test_it_turns_towards_the_max_margin_direction(self):
        # Only logarithmically: the logits grow like ln(1 / decay), and their correction stays of order one.
        for n, self_edges in ((8, False), (12, False), (15, False), (15, True)):
            limit = untied_cycle_max_margin(n, self_edges)
            misses = []
            for decay in (1e-2, 1e-4, 1e-6):
                x = np.array(untied_cycle_optimum(n, decay, self_edges=self_edges).scalars)
                misses.append(
                    np.linalg.norm(x / np.linalg.norm(x) - limit.spectrum[1:] / np.linalg.norm(limit.spectrum))
                )
            assert misses[0] > misses[1] > misses[2]
            assert misses[2] < 0.12
            assert untied_cycle_optimum(n, 1e-6, self_edges=self_edges).rank == limit.rank

    def test_bad_input_is_refused(self):
        for arguments, message in (((2, 0.1), "at least 3"), ((9, 0.0), "max_margin"), ((9, 1e-9), "max_margin")):
            with pytest.raises(ValueError, match=message):
                untied_cycle_optimum(*arguments)
        with pytest.raises(ValueError, match="up to"):
            untied_cycle_optimum(1000, 0.1)
        assert closed("cycle:1000", weight_decay=0.1) is None


class TestMaxMargin:
    @pytest.mark.parametrize(
        ("n", "self_edges", "norm", "rank"),
        [
            (15, False, 16.7154, 10),
            (8, False, 2 + 4 * 2**0.5, 5),
            (12, False, 6 + 4 * 3**0.5, 9),
            (15, True, 18.2486, 8),
        ],
    )
    def test_the_values_found_before(self, n, self_edges, norm, rank):
        found = untied_cycle_max_margin(n, self_edges)
        assert found.nuclear_norm == pytest.approx(norm, abs=6e-5)
        assert found.rank == rank
        assert found.unique == (n != 15 or self_edges)
        if not self_edges and n == 15:
            shape = found.spectrum / np.abs(found.spectrum).max()
            assert shape == pytest.approx([0, 0.911, 0.692, 0, 0, -0.354, -1, -0.781], abs=6e-4)
        if n != 15:
            assert found.nuclear_norm == pytest.approx(4 / np.tan(np.pi / n) - 2, rel=1e-9)

    def test_ranks_of_longer_cycles(self):
        assert untied_cycle_max_margin(30).rank == 21
        assert untied_cycle_max_margin(41).rank == 30

    @pytest.mark.parametrize("n", [3, 4, 5, 8, 15, 30, 101])
    @pytest.mark.parametrize("self_edges", [False, True])
    def test_the_matrix_is_feasible_and_its_dual_bounds_it(self, n, self_edges):
        found = untied_cycle_max_margin(n, self_edges)
        z = found.logits()
        assert np.linalg.norm(z, "nuc") == pytest.approx(found.nuclear_norm, rel=1e-10)
        assert np.linalg.matrix_rank(z, tol=1e-6) == found.rank
        assert -1e-11 <= found.gap < DUAL
        support = one_hop_target(parse(f"cycle:{n}"), self_edges=self_edges) > 0
        if support.all():
            assert not z.any()
            return
        on, off = np.where(support, z, np.nan), np.where(support, np.nan, z)
        assert np.allclose(np.nanmax(on, axis=1), np.nanmin(on, axis=1), rtol=0, atol=1e-9)
        assert np.allclose(np.nanmin(on, axis=1) - np.nanmax(off, axis=1), 1, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("n", [5, 6, 7])
    def test_no_matrix_that_is_not_circulant_has_a_smaller_nuclear_norm(self, n):
        # The dual over all matrices: max sum mu_ij with ||sum_ij mu_ij (E_i,i+1 - E_ij)||_2 <= 1, by averaging the
        # circulant multipliers of a linear program made here, independent of the package.
        found = untied_cycle_max_margin(n)
        theta = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n
        off = [j for j in range(n) if j not in (1, n - 1)]
        columns = np.stack([np.cos(theta[1]) - np.cos(theta[j]) for j in off], axis=1)
        best = linprog(-np.ones(len(off)), A_ub=np.vstack([columns, -columns]), b_ub=np.ones(2 * n), method="highs")
        row = np.zeros(n)
        for mu, j in zip(best.x, off, strict=True):
            row[j] -= mu
            row[[1, n - 1]] += mu / 2
        row = (row + np.roll(row[::-1], 1)) / 2
        witness = np.stack([np.roll(row, i) for i in range(n)])
        assert np.linalg.norm(witness, 2) <= 1 + 1e-9
        assert n * best.x.sum() == pytest.approx(found.nuclear_norm, rel=1e-8)

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match="at least 3"):
            untied_cycle_max_margin(2)
        with pytest.raises(ValueError, match="up to"):
            untied_cycle_max_margin(5000)


def test_none_and_errors():
    assert closed("karate", label_smoothing=0.1) is None
    assert closed("karate", weight_decay=0.1) is None
    assert closed("hypercube:4", weight_decay=0.1) is None
    assert closed("path-star:4x5", label_smoothing=0.1) is None
    weighted = nx.complete_graph(3)
    nx.set_edge_attributes(weighted, {(0, 1): 2.0, (0, 2): 1.0, (1, 2): 1.0}, "weight")
    assert closed_form_optimum(from_networkx(weighted), tied=False, label_smoothing=0.1) is None
    assert closed_form_optimum(from_networkx(weighted), tied=False, self_edges=True) is None  # a positive target
    uniform = closed("hamming:1,5", self_edges=True)
    compare(uniform, dense("hamming:1,5", self_edges=True))
    diverging = closed("cycle:9")
    with pytest.raises(ValueError, match="not attained"):
        diverging.logits()
    with pytest.raises(ValueError, match=r"logits\(\)"):
        diverging.gram()
    isolated = nx.path_graph(3)
    isolated.add_node(9)
    with pytest.raises(ValueError, match="isolated"):
        closed_form_optimum(from_networkx(isolated), tied=False)
    with pytest.raises(ValueError, match="label_smoothing"):
        closed("cycle:9", label_smoothing=-0.1)
