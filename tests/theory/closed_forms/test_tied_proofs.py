"""The proofs behind the closed forms of tied optima, step by step."""

import itertools

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from fiedler.theory import one_hop_target, parse
from fiedler.theory.closed_forms.tied import (
    closed_form_optimum,
    hamming_optimum,
    multipartite_optimum,
    torus_optimum,
)
from tied_forms import HAMMING, VIOLATION, check_by_dense_algebra


class TestTheProof:
    @pytest.mark.parametrize("n", range(3, 41))
    def test_the_lemma_on_sine_ratios(self, n):
        k, m = np.arange(1, n)[:, None], np.arange(1, n)
        a = np.sin(np.pi * k * m / n) / np.sin(np.pi * m / n)
        assert (np.abs(a) <= a[:, :1] + 1e-11).all()
        path = np.diag(np.ones(n - 2), 1) + np.diag(np.ones(n - 2), -1)
        u = [np.eye(n - 1), path]
        while len(u) < n - 1:
            u.append(path @ u[-1] - u[-2])  # U_{k-1}(A/2)
        for row, matrix in zip(a, u, strict=False):
            assert set(np.unique(matrix)) <= {0.0, 1.0}
            assert np.allclose(np.sort(np.linalg.eigvalsh(matrix)), np.sort(row), atol=1e-9)

    @given(st.integers(5, 30), st.floats(0.01, 1.0), st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_any_measure_with_the_first_moment_has_the_others(self, n, step, seed):
        # Not only the softmax: the supporting line bounds every probability with the mean of a lazy step.
        rng = np.random.default_rng(seed)
        x = np.cos(2 * np.pi * np.arange(n) / n)
        goal = 1 - step * (1 - x[1])
        p = rng.dirichlet(np.ones(n) * 0.3)
        mean = p @ x
        end = np.eye(n)[0] if mean < goal else np.eye(n)[n // 2]
        t = (goal - mean) / (end @ x - mean)
        p = (1 - t) * p + t * end
        k = np.arange(n)
        assert (np.cos(2 * np.pi * np.outer(k, k) / n) @ p >= 1 - step * (1 - np.cos(2 * np.pi * k / n)) - 1e-12).all()

    @pytest.mark.parametrize("sides", list(itertools.combinations_with_replacement((3, 4, 5, 6, 9, 16), 2)))
    def test_every_mode_of_a_product_is_checked(self, sides):
        found = torus_optimum(*sides)
        check_by_dense_algebra(found, one_hop_target(parse(f"torus:{sides[0]}x{sides[1]}")))
        assert found.excess < VIOLATION

    @pytest.mark.parametrize("word", [*HAMMING, "torus:3x4x5", "cycle:15", "grid:2x2x2"])
    def test_the_modes_agree_with_dense_algebra(self, word):
        check_by_dense_algebra(closed_form_optimum(parse(word)), one_hop_target(parse(word)))


class TestAlgebra:
    def test_the_hamming_equation(self):
        q, r = sympy.symbols("q r", positive=True)
        e = (1 + (q - 1) * r) / (1 - r)  # exp(c)
        mode = (e - 1) / (e + q - 1)  # eigenvalue of softmax(c I) on K_q off the constant
        assert sympy.simplify(mode - r) == 0

    def test_the_required_mode_of_a_hamming_graph(self):
        d, q = sympy.symbols("d q", positive=True)
        degree = d * (q - 1)
        assert sympy.simplify((degree - q) / degree - (1 - q / degree)) == 0  # A's second eigenvalue is degree - q
        assert hamming_optimum(3, 4).scalars[0] == pytest.approx(
            float(sympy.log((1 + 3 * sympy.Rational(5, 9)) / sympy.Rational(4, 9)))
        )

    def test_the_hypercube_is_q_two(self):
        d = sympy.symbols("d", positive=True)
        r = 1 - 2 / d
        assert (
            sympy.simplify(sympy.exp(sympy.log((1 + r) / (1 - r))) - sympy.exp(2 * sympy.atanh(r)).rewrite(sympy.log))
            == 0
        )

    def test_complete_bipartite_graphs_have_no_positive_mode(self):
        a, b, n = 2, 3, 5
        target = sympy.Matrix(n, n, lambda i, j: sympy.Rational(1, b if i < a else a) if (i < a) != (j < a) else 0)
        ones = sympy.ones(n, 1)
        pi = target.T * ones / n
        s = ((target - ones * pi.T) + (target - ones * pi.T).T) / 2
        assert s * ones == sympy.zeros(n, 1)  # column sums match
        assert all(value <= 0 for value in s.eigenvals())
        loss = -sum(pi[i] * sympy.log(pi[i]) for i in range(n))
        assert multipartite_optimum(2, 3).loss_per_node == pytest.approx(float(loss), rel=1e-14)

    def test_the_quadratic_form_of_a_multipartite_graph(self):
        s, d = sympy.symbols("s0:3"), sympy.symbols("d0:3", positive=True)
        total = sum(s[p] * s[q] / d[p] for p in range(3) for q in range(3) if p != q)
        on_zero_sum = sympy.expand((total + sum(s[p] ** 2 / d[p] for p in range(3))).subs(s[2], -s[0] - s[1]))
        assert sympy.simplify(on_zero_sum) == 0
