"""Closed forms of tied optima against the dense solver and dense algebra, which know nothing of families."""

import numpy as np
import pytest
from scipy.linalg import eigvalsh
from scipy.special import softmax

from fiedler.theory import one_hop_target, parse, tied_optimum

GRAM = 1e-7  # the dense solver's Gram matrix, relative to its size: the loss is flat around the optimum
LOSS = 1e-10
VIOLATION = 1e-12  # of the closed forms themselves: rounding
PROMISE = 1e-7  # of a certificate
CYCLES = [f"cycle:{n}" for n in (3, 4, 5, 6, 7, 8, 15, 20)]
TORI = ["torus:4x4", "torus:3x5", "torus:5x3", "torus:3x3", "torus:4x7", "torus:3x4x5", "torus:6", "torus:3x3x3"]
HAMMING = ["hypercube:1", "hypercube:2", "hypercube:3", "hypercube:6", "hamming:2,3", "hamming:3,3", "hamming:2,5"]


def dense(word_or_graph, **options):
    decay = options.pop("weight_decay", 0.0)
    graph = parse(word_or_graph) if isinstance(word_or_graph, str) else word_or_graph
    return tied_optimum(one_hop_target(graph, **options), weight_decay=decay)


def compare(form, solved):
    """A closed form against the dense solver, which knows nothing of families."""
    scale = max(1.0, float(np.abs(solved.centred_gram).max()))
    assert np.allclose(form.gram(), solved.centred_gram, rtol=0, atol=GRAM * scale)
    assert form.loss_per_node == pytest.approx(solved.loss_per_node, abs=LOSS)
    assert form.rank == solved.rank
    assert np.allclose(np.repeat(form.eigenvalues, form.multiplicities), solved.eigenvalues, rtol=GRAM, atol=GRAM)
    assert form.attained == solved.attained
    assert form.max_violation < PROMISE
    assert form.n == len(solved.gram)
    assert form.weight_decay == solved.weight_decay


def check_by_dense_algebra(form, target):
    """Spectrum, loss, stationarity and the largest excess, recomputed from the n x n matrices of a regular graph."""
    k, n, decay = form.gram(), len(target), form.weight_decay
    p = softmax(k, axis=1)
    r = target - p
    s = (r + r.T) / 2 - decay * np.eye(n)
    values, modes = np.linalg.eigh(k)
    inside = values > 1e-9 * max(1.0, values.max())
    assert np.allclose(values[inside][::-1], np.repeat(form.eigenvalues, form.multiplicities), rtol=1e-11, atol=0)
    assert form.loss_per_node == pytest.approx(float(-(target * np.log(p)).sum()) / n, rel=1e-12)
    assert np.abs(s @ modes[:, inside]).max(initial=0) == pytest.approx(form.stationarity, abs=1e-12)
    outside = np.linalg.qr(np.column_stack([np.ones(n), modes[:, inside], modes[:, ~inside]]))[0][
        :, 1 + inside.sum() : n
    ]
    assert eigvalsh(outside.T @ s @ outside).max() == pytest.approx(form.excess, abs=1e-12)
