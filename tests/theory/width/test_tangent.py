import numpy as np
import pytest

from fiedler.theory import one_hop_target, parse, tied_gram_flow
from fiedler.theory.width.tangent import TANGENT_LIMIT, symmetric_basis, tied_tangent

FIRST = 1e-5  # central differences, h = 1e-3, of curvatures of order one
SECOND = 1e-4  # second differences: 1e-10 of integration error over h^2, and h^2 times fourth derivatives
GRAPHS = ("path-star:3x2", "cycle:6", "irregular")
TIMES = [0.0, 0.5, 2.0]
H = 1e-3


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_basis_is_orthonormal_and_symmetric(n):
    basis = symmetric_basis(n)
    assert len(basis) == n * (n + 1) // 2
    assert np.allclose(np.einsum("aij,bij->ab", basis, basis), np.eye(len(basis)), atol=1e-15)
    assert np.array_equal(basis, basis.transpose(0, 2, 1))
    assert np.allclose((basis @ basis).sum(axis=0), (n + 1) / 2 * np.eye(n), atol=1e-14)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.05, "row_weight": True}], ids=["plain", "weighted"])
@pytest.mark.parametrize("scale", [0.3, 1.5])
@pytest.mark.parametrize("word", GRAPHS[:2])
def test_derivatives_are_differences_of_the_flow(word, scale, options):
    target = one_hop_target(parse(word))
    n = len(target)
    if options:
        options = {**options, "row_weight": 1 + np.arange(n) / n}
    tangent = tied_tangent(target, scale, TIMES, **options)
    basis, k0, h = symmetric_basis(n), scale**2 * np.eye(n), H * scale**2
    base = tied_gram_flow(target, k0, TIMES, **options)
    bend, loss_bend = np.zeros_like(base.gram), np.zeros(3)
    for a, direction in enumerate(basis):
        up = tied_gram_flow(target, k0 + h * direction, TIMES, **options)
        down = tied_gram_flow(target, k0 - h * direction, TIMES, **options)
        for k in range(3):
            change = (up.gram[k] - down.gram[k]) / (2 * h)
            size = np.abs(change).max()
            assert np.abs(tangent.gram_changes(k)[a] - change).max() < FIRST * size
            assert tangent.loss_changes(k)[a] == pytest.approx((up.loss[k] - down.loss[k]) / (2 * h), abs=FIRST * size)
        bend += (up.gram + down.gram - 2 * base.gram) / h**2
        loss_bend += (up.loss + down.loss - 2 * base.loss) / h**2
    for k in range(3):
        size = max(1.0, np.abs(bend[k]).max())
        assert np.abs(tangent.gram_curvature(k) - bend[k]).max() < SECOND * size
        assert tangent.loss_curvature(k) == pytest.approx(loss_bend[k], rel=SECOND)
    assert np.allclose(tangent.embedding @ tangent.embedding.transpose(0, 2, 1), base.gram, rtol=0, atol=1e-5)
    assert np.allclose(tangent.loss, base.loss, rtol=1e-6)


@pytest.mark.parametrize("word", GRAPHS)
def test_at_the_start_the_derivatives_are_those_of_the_identity(word):
    target = one_hop_target(parse(word))
    tangent = tied_tangent(target, 0.7, [0.0, 0.1])
    assert np.allclose(tangent.gram_changes(0), symmetric_basis(len(target)), atol=1e-14)
    assert np.allclose(tangent.gram_curvature(0), 0, atol=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="sample bands instead"):
        tied_tangent(one_hop_target(parse(f"cycle:{TANGENT_LIMIT + 1}")), 1.0, [1.0])
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match="scale must be"):
        tied_tangent(target, 0.0, [1.0])
    with pytest.raises(ValueError, match="times must be"):
        tied_tangent(target, 1.0, [])


def test_a_decay_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="all has decayed to zero by then"):
        tied_tangent(one_hop_target(parse("cycle:5")), 0.5, [1.0], weight_decay=1e6)


def test_a_basis_too_large_to_write_down_is_refused():
    with pytest.raises(ValueError, match="the basis would hold"):
        symmetric_basis(10**4)
