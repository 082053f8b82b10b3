"""The sparse-target cross-entropy against a loop over entries, its gradient against two other ways of taking it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from fiedler.kernels import csr_target, graph_cross_entropy
from fiedler.theory import one_hop_target, parse

SAME = 1e-11  # the same sums of float64 numbers in another order
SINGLE = 2e-6  # float32 sums of a hundred terms of order one, relative
N, V, D = 6, 8, 4


def random_sparse() -> np.ndarray:
    """Rows of one to four entries that sum to one; row 2 is empty and row 4 sums to 2.5."""
    rng = np.random.default_rng(5)
    target = np.zeros((N, V))
    for row in range(N):
        columns = rng.choice(V, size=rng.integers(1, 5), replace=False)
        target[row, columns] = rng.random(len(columns)) + 0.1
    target /= target.sum(axis=1, keepdims=True)
    target[2] = 0.0
    target[4] *= 2.5
    return target


def smoothed_cycle() -> np.ndarray:
    return one_hop_target(parse("cycle:6"), self_edges=True, label_smoothing=0.3)


TARGETS = {
    "sparse": random_sparse(),
    "smoothed": smoothed_cycle(),
    "one hop": one_hop_target(parse("path-star:3x2")),
    "widened": np.hstack([one_hop_target(parse("grid:2x3")), np.zeros((6, 2))]),
}


def factors(target: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embedding, context and row weights that fit ``target``."""
    rng = np.random.default_rng(1)
    n, v = target.shape
    return scale * rng.standard_normal((n, D)), scale * rng.standard_normal((v, D)), 0.5 + rng.random(n)


def loop(x: np.ndarray, c: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    """sum_ij w_i T_ij (log sum_k exp(z_ik) - z_ij), one number at a time."""
    total = 0.0
    for i, row in enumerate(target):
        logits = [sum(float(a) * float(b) for a, b in zip(x[i], each, strict=True)) for each in c]
        top = max(logits)
        lse = top + math.log(math.fsum(math.exp(z - top) for z in logits))
        total += weight[i] * math.fsum(t * (lse - z) for t, z in zip(row, logits, strict=True))
    return total


def tensors(*arrays: np.ndarray, grad: bool = False) -> list[torch.Tensor]:
    return [torch.tensor(a, dtype=torch.float64, requires_grad=grad) for a in arrays]


def sparse(target: np.ndarray, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return csr_target(sp.csr_array(target), dtype=dtype)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])  # 30: logits of thousands, whose exponentials overflow
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_loss_is_the_loop(target: np.ndarray, scale: float) -> None:
    x, c, w = factors(target, scale)
    tx, tc, tw = tensors(x, c, w)
    found = graph_cross_entropy(tx, tc, sparse(target), row_weight=tw)
    assert found.shape == ()
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(loop(x, c, target, w), rel=SAME)
    plain = graph_cross_entropy(tx, tc, sparse(target))
    assert plain.item() == pytest.approx(loop(x, c, target, np.ones(len(x))), rel=SAME)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_single_precision(target: np.ndarray) -> None:
    x, c, w = factors(target)
    found = graph_cross_entropy(
        torch.tensor(x, dtype=torch.float32),
        torch.tensor(c, dtype=torch.float32),
        sparse(target, torch.float32),
        row_weight=torch.tensor(w, dtype=torch.float32),
    )
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loop(x, c, target, w), rel=SINGLE)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_gradient_is_the_dense_formula(target: np.ndarray, weighted: bool) -> None:
    x, c, w = factors(target)
    tx, tc = tensors(x, c, grad=True)
    graph_cross_entropy(tx, tc, sparse(target), row_weight=tensors(w)[0] if weighted else None).backward()
    z = x @ c.T
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    slope = target.sum(axis=1, keepdims=True) * p - target
    slope *= w[:, None] if weighted else 1.0
    assert tx.grad is not None
    assert tc.grad is not None
    np.testing.assert_allclose(tx.grad.numpy(), slope @ c, atol=SAME)
    np.testing.assert_allclose(tc.grad.numpy(), slope.T @ x, atol=SAME)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_gradient_is_the_slope_of_the_loss(target: np.ndarray) -> None:
    x, c, w = factors(target)
    tx, tc = tensors(x, c, grad=True)
    csr, tw = sparse(target), tensors(w)[0]
    assert torch.autograd.gradcheck(lambda a, b: graph_cross_entropy(a, b, csr, row_weight=tw), (tx, tc))
    if target.shape[0] == target.shape[1]:  # tied: one tensor in both places
        assert torch.autograd.gradcheck(lambda a: graph_cross_entropy(a, a, csr), (tx,))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_constant_added_to_a_row_of_logits_changes_nothing(target: np.ndarray) -> None:
    x, c, w = factors(target)
    shift = np.random.default_rng(2).normal(scale=20.0, size=(len(x), 1))
    before = graph_cross_entropy(*tensors(x, c), sparse(target), row_weight=tensors(w)[0])
    shifted = tensors(np.hstack([x, shift]), np.hstack([c, np.ones((len(c), 1))]))
    after = graph_cross_entropy(*shifted, sparse(target), row_weight=tensors(w)[0])
    assert after.item() == pytest.approx(before.item(), rel=SAME)


# The target as a tensor.


def test_a_target_keeps_its_entries() -> None:
    target = random_sparse()
    for made in (sp.csr_array, sp.coo_array, sp.csc_matrix):
        assert np.array_equal(csr_target(made(target), dtype=torch.float64).to_dense().numpy(), target)
    single = csr_target(sp.csr_array(target))
    assert single.dtype == torch.float32
    assert single.layout == torch.sparse_csr
    assert np.array_equal(single.to_dense().numpy(), target.astype(np.float32))


def test_columns_widen_a_target_with_nothing() -> None:
    target = smoothed_cycle()
    wide = csr_target(sp.csr_array(target), columns=9, dtype=torch.float64).to_dense().numpy()
    assert np.array_equal(wide, np.hstack([target, np.zeros((6, 3))]))
    assert csr_target(sp.csr_array(target), columns=6).shape == (6, 6)


def test_unsorted_and_repeated_entries() -> None:
    entries = np.array([0.25, 0.5, 0.25, 1.0])
    matrix = sp.csr_array((entries, np.array([2, 0, 2, 1]), np.array([0, 3, 4])), shape=(2, 3))
    found = csr_target(matrix, dtype=torch.float64)
    assert np.array_equal(found.to_dense().numpy(), [[0.5, 0, 0.5], [0, 1, 0]])
    assert np.array_equal(matrix.indices, [2, 0, 2, 1])  # the caller's matrix is left alone


def test_a_target_shares_no_memory() -> None:
    matrix = sp.csr_array(smoothed_cycle())
    found = csr_target(matrix, dtype=torch.float64)
    matrix.data[:] = -1.0
    assert np.array_equal(found.to_dense().numpy(), smoothed_cycle())


def test_no_warning_reaches_the_caller(recwarn: pytest.WarningsRecorder) -> None:
    tx, tc, _ = tensors(*factors(smoothed_cycle()))
    graph_cross_entropy(tx, tc, sparse(smoothed_cycle()))
    assert not recwarn.list


# Bad input.


def test_targets_that_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"columns = 5 is smaller than the target's 6 columns; give at least 6"):
        csr_target(sp.csr_array(smoothed_cycle()), columns=5)
    with pytest.raises(TypeError, match="needs a SciPy sparse matrix, got ndarray"):
        csr_target(smoothed_cycle())


@pytest.mark.parametrize(
    ("embedding", "context"),
    [((5, D), (V, D)), ((N, D), (V - 1, D)), ((N, D), (V, D + 1)), ((D,), (V, D)), ((N, D), (V,)), ((1, N, D), (V, D))],
)
def test_shapes_that_do_not_fit(embedding: tuple[int, ...], context: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shapes do not fit: .*want \(N, D\), \(V, D\), \(N, V\)"):
        graph_cross_entropy(torch.zeros(embedding), torch.zeros(context), sparse(random_sparse(), torch.float32))


@pytest.mark.parametrize("shape", [(N + 1,), (N, 1), (1,), ()])
def test_weights_that_do_not_fit(shape: tuple[int, ...]) -> None:
    csr = sparse(random_sparse(), torch.float32)
    with pytest.raises(ValueError, match=r"row_weight must have shape \(6,\); got"):
        graph_cross_entropy(torch.zeros(N, D), torch.zeros(V, D), csr, row_weight=torch.ones(shape))


@pytest.mark.parametrize("layout", ["dense", "coo"])
def test_a_target_of_another_layout(layout: str) -> None:
    dense = torch.tensor(random_sparse(), dtype=torch.float32)
    with pytest.raises(TypeError, match=r"must be a sparse CSR tensor, got .*; make it with csr_target"):
        graph_cross_entropy(torch.zeros(N, D), torch.zeros(V, D), dense if layout == "dense" else dense.to_sparse_coo())


@pytest.mark.parametrize("odd", ["context", "target_csr", "row_weight"])
@pytest.mark.parametrize("kind", ["dtype", "device"])
def test_tensors_of_different_kinds(odd: str, kind: str) -> None:
    given = {
        "context": torch.zeros(V, D),
        "target_csr": sparse(random_sparse(), torch.float32),
        "row_weight": torch.ones(N),
    }
    given[odd] = given[odd].double() if kind == "dtype" else given[odd].to("meta")
    with pytest.raises(TypeError, match=rf"{odd} is torch\.float.* on .*, embedding torch\.float32 on cpu; convert"):
        graph_cross_entropy(torch.zeros(N, D), given["context"], given["target_csr"], row_weight=given["row_weight"])
