"""Sparse targets: entries, transposes, pivots and products against dense ones; matrices that make no target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fiedler.kernels import CsrTarget, csr_target
from graph_targets import TARGETS, random_target

SAME = 1e-14  # the same float64 sums in another order
SMALL = settings(max_examples=60, deadline=None)
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


def exact(matrix: Any, **options: Any) -> CsrTarget:
    return csr_target(matrix, dtype=torch.float64, **options)


def check_consistent(made: CsrTarget, dense: np.ndarray) -> None:
    """Everything a target holds, against the dense matrix."""
    n, m = dense.shape
    assert made.shape == (n, m)
    assert np.array_equal(made.to_dense().numpy(), dense)
    transposed = sp.csr_array(
        (made.transposed_value.numpy(), made.transposed_column.numpy(), made.transposed_row_pointer.numpy()),
        shape=(m, n),
    )
    assert np.array_equal(transposed.toarray(), dense.T)
    rest = dense.copy()
    filled = dense.any(axis=1)
    pivot = made.pivot.numpy()
    rest[np.arange(n)[filled], pivot[filled]] = 0.0
    assert not pivot[~filled].any()
    assert np.array_equal(dense[np.arange(n), pivot], dense.max(axis=1, initial=0.0))
    sums = dense.sum(axis=1)
    np.testing.assert_allclose(made.row_sum.numpy(), sums, rtol=SAME)
    divisor = np.where(filled, sums, 1.0)
    np.testing.assert_allclose(made.rest_share.numpy(), rest.sum(axis=1) / divisor, rtol=SAME)
    np.testing.assert_allclose(made.pivot_share.numpy(), dense.max(axis=1, initial=0.0) / divisor, rtol=SAME)
    rng = np.random.default_rng(0)
    c, x = (torch.tensor(rng.standard_normal((k, 3))) for k in (m, n))
    for product, matrix, by in (
        (made.matmul, dense, c),
        (made.transposed_matmul, dense.T, x),
        (made.rest_matmul, rest, c),
        (made.transposed_rest_matmul, rest.T, x),
    ):
        np.testing.assert_allclose(
            product(by).numpy(), matrix @ by.numpy(), rtol=SAME, atol=SAME * dense.max(initial=1)
        )


@each_target
def test_all_that_a_target_holds(target: np.ndarray) -> None:
    check_consistent(exact(sp.csr_array(target)), target)


@SMALL
@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.one_of(st.just(0.0), st.floats(0, 100, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-6)),
    )
)
def test_any_matrix(dense: np.ndarray) -> None:
    check_consistent(exact(dense), dense)


@each_target
def test_every_kind_of_matrix_makes_the_same_target(target: np.ndarray) -> None:
    expected = exact(target)
    dense = torch.tensor(target)
    for matrix in (
        sp.csr_array(target),
        sp.coo_array(target),
        sp.csc_matrix(target),
        dense,
        dense.clone().requires_grad_(),
        dense.to_sparse_coo(),
        dense.to_sparse_csr(),
        dense.to_sparse_csc(),
    ):
        for one, two in zip(exact(matrix).tensors(), expected.tensors(), strict=True):
            assert one.dtype == two.dtype
            assert torch.equal(one, two)


def test_single_precision_by_default() -> None:
    made = csr_target(TARGETS["ragged"])
    assert (made.dtype, made.device) == (torch.float32, torch.device("cpu"))
    assert np.array_equal(made.to_dense().numpy(), TARGETS["ragged"].astype(np.float32))
    assert made.row_sum.dtype == made.rest_share.dtype == torch.float32


def test_columns_widen_a_target_with_nothing() -> None:
    target = TARGETS["smoothed"]
    check_consistent(exact(target, columns=9), np.hstack([target, np.zeros((6, 3))]))
    assert exact(target, columns=6).shape == (6, 6)


def test_unsorted_and_repeated_entries_and_stored_zeros() -> None:
    entries = np.array([0.25, 0.5, 0.25, 1.0, 0.0])
    matrix = sp.csr_array((entries, np.array([2, 0, 2, 1, 0]), np.array([0, 3, 5])), shape=(2, 3))
    made = exact(matrix)
    check_consistent(made, np.array([[0.5, 0, 0.5], [0, 1, 0]]))
    assert len(made.value) == 3
    assert np.array_equal(matrix.indices, [2, 0, 2, 1, 0])  # the caller's matrix is left alone


def test_a_target_shares_no_memory() -> None:
    for matrix in (sp.csr_array(TARGETS["smoothed"]), TARGETS["smoothed"].copy(), torch.tensor(TARGETS["smoothed"])):
        made = exact(matrix)
        (matrix.data if sp.issparse(matrix) else matrix)[:] = -1.0
        assert np.array_equal(made.to_dense().numpy(), TARGETS["smoothed"])


def test_a_row_of_one_large_and_many_tiny_entries_keeps_the_tiny_ones() -> None:
    row = np.full((1, 1000), 1e-20)
    row[0, 7] = 1.0
    assert exact(row).rest_share.item() == pytest.approx(999e-20, rel=SAME)


def test_products_are_the_same_bits_again() -> None:
    made = csr_target(random_target(300, 20))
    dense = torch.randn(300, 33)
    assert torch.equal(made.matmul(dense), made.matmul(dense))
    assert torch.equal(made.matmul(dense.T.contiguous().T), made.matmul(dense))  # any strides
    assert torch.equal(made.transposed_matmul(dense), made.transposed_matmul(dense))


def test_a_target_moves() -> None:
    made = csr_target(TARGETS["ragged"])
    moved = made.to("meta")
    assert moved.device.type == "meta"
    assert moved.shape == made.shape
    assert csr_target(TARGETS["ragged"], device="meta").device.type == "meta"


def test_no_warning_reaches_the_caller(recwarn: pytest.WarningsRecorder) -> None:
    csr_target(sp.csr_array(TARGETS["ragged"]))
    csr_target(np.array([[1e-300, 1.0]]))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("matrix", "options", "error", "message"),
    [
        (np.eye(6), {"columns": 5}, ValueError, "columns = 5 is smaller than the target's 6 columns; give at least 6"),
        (np.array([[1.0, -2.0]]), {}, ValueError, r"finite and not negative; 1 are not, the first is -2\.0"),
        (np.array([[1.0, np.nan]]), {}, ValueError, "finite and not negative; 1 are not, the first is nan"),
        (np.array([[np.inf, 1.0]]), {}, ValueError, "finite and not negative; 1 are not, the first is inf"),
        (np.array([[1e300, 1.0]]), {}, ValueError, "the first is inf"),  # too large for float32
        (np.ones(3), {}, ValueError, r"two dimensions, nodes and classes; got shape \(3,\)"),
        (torch.ones(2, 3, 4), {}, ValueError, r"two dimensions, nodes and classes; got shape \(2, 3, 4\)"),
        (torch.ones(3).to_sparse_coo(), {}, ValueError, r"two dimensions, nodes and classes; got shape \(3,\)"),
        ([[1.0]], {}, TypeError, "needs a SciPy sparse matrix, a tensor or a NumPy array, got list"),
        (np.eye(2), {"dtype": torch.bfloat16}, TypeError, "float32 or torch.float64, not torch.bfloat16"),
        (csr_target(np.eye(2)), {}, TypeError, "got a CsrTarget; use it as it is"),
    ],
)
def test_matrices_that_make_no_target(matrix: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        csr_target(matrix, **options)


@pytest.mark.parametrize(
    "matrix",
    [
        torch.ones(2, 2, dtype=torch.complex64),  # the imaginary part was dropped
        sp.csr_array(np.eye(2) * 1j),
        np.array([["1", "2"]]),
        np.ma.masked_array(np.eye(2), mask=np.eye(2)),
        torch.ones(2, 2, device="meta"),
    ],
)
def test_matrices_of_other_things_than_real_numbers_are_refused(matrix: Any) -> None:
    with pytest.raises(TypeError, match="csr_target needs"):
        csr_target(matrix)


def test_columns_beyond_any_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="columns must lie between"):
        csr_target(np.eye(2), columns=10**12)


def test_parts_that_make_no_target_are_refused() -> None:
    parts = csr_target(np.eye(3)).tensors()
    with pytest.raises(ValueError, match="do not fit; use csr_target"):
        CsrTarget(*parts[:8], parts[8][:2], *parts[9:])
    with pytest.raises(ValueError, match=r"column must be one-dimensional, torch\.int64"):
        CsrTarget(parts[0], parts[1].int(), *parts[2:])
    with pytest.raises(TypeError, match="value must be a tensor"):
        CsrTarget(*parts[:2], None, *parts[3:])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown device"):
        csr_target(np.eye(3)).to("gpu0")
