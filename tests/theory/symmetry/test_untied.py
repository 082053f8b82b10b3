import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from fiedler.theory import (
    graph_symmetry,
    hamming_symmetry,
    one_hop_target,
    parse,
    path_star_symmetry,
    reduced_untied_optimum,
    untied_optimum,
)
from fiedler.theory.symmetry.problem import ReducedProblem
from fiedler.theory.symmetry.untied import _certificate

VIOLATION = 1e-8  # the conditions are met to rounding; what certificates promise is 1e-7
LOSS = 1e-10  # relative: two solvers, each exact to a duality gap far below
VALUES = 1e-6  # relative: the dense solver's logits carry the square root of its 1e-13 or so

WORDS = ("cycle:15", "path-star:4x5", "petersen", "hypercube:4", "hamming:3,3", "grid:4x4", "torus:4x6", "tree:3,2")


def solve(word, decay, *, family=True, row_weight=None, **options):
    symmetry = graph_symmetry(parse(word), family=family)
    found = reduced_untied_optimum(
        symmetry.algebra, symmetry.target(**options), weight_decay=decay, row_weight=row_weight
    )
    return symmetry, found


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("decay", [0.01, 0.1, 0.7])
def test_it_equals_the_dense_optimum(word, decay):
    _, found = solve(word, decay)
    dense = untied_optimum(one_hop_target(parse(word)), weight_decay=decay)
    assert found.certificate.max_violation < VIOLATION
    assert found.loss_per_node == pytest.approx(dense.loss_per_node, rel=LOSS)
    values = np.repeat(found.singular_values, found.multiplicities)
    assert found.rank == dense.rank == len(values)
    assert np.allclose(values, dense.singular_values, rtol=0, atol=VALUES * max(1.0, values.max(initial=0)))
    assert found.attained


def test_large_decay_leaves_nothing():
    _, found = solve("petersen", 3.0)
    assert found.rank == 0
    assert found.loss_per_node == pytest.approx(np.log(10), rel=1e-14)


@pytest.mark.parametrize(("word", "decay"), [("path-star:4x5", 0.01), ("grid:4x4", 0.1), ("hypercube:3", 0.05)])
def test_the_expanded_optimum_satisfies_the_conditions(word, decay):
    # On the whole n x n matrices, with nothing of the blocks: ||R|| <= l, and R = l U V' on the singular spaces.
    symmetry, found = solve(word, decay, family=False)
    target = one_hop_target(parse(word))
    z = symmetry.expand(found.logits)
    r = target - softmax(z, axis=1)
    assert np.linalg.norm(r, 2) < decay + VIOLATION
    left, values, right = np.linalg.svd(z)
    rank = int((values > 1e-8 * values[0]).sum())
    assert rank == found.rank
    assert np.abs(left[:, :rank].T @ r @ right[:rank].T - decay * np.eye(rank)).max() < VIOLATION
    assert found.loss == pytest.approx(float((logsumexp(z, axis=1) - (target * z).sum(axis=1)).sum()), rel=1e-12)


@pytest.mark.parametrize("decay", [0.01, 0.1])
def test_the_gap_bounds_the_suboptimality(decay):
    _, found = solve("path-star:4x5", decay)
    dense = untied_optimum(one_hop_target(parse("path-star:4x5")), weight_decay=decay)
    ours = found.loss + decay * float(found.singular_values @ found.multiplicities)
    theirs = dense.loss + decay * float(dense.singular_values.sum())
    assert -1e-12 <= found.certificate.duality_gap < 1e-9
    assert ours <= theirs + found.certificate.duality_gap + 1e-10


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_bounds_the_suboptimality_of_any_point(seed):
    # Away from the optimum the softmax is not dual feasible: the repair must still give a lower bound.
    symmetry = graph_symmetry(parse("grid:4x4"))
    problem = ReducedProblem(symmetry.algebra, symmetry.target(), np.ones(3), 0.3, tied=False)
    rng = np.random.default_rng(seed)
    halves = [tuple(rng.standard_normal((2, d // 2, d // 2)) / d) for d in problem.dimensions]
    z = symmetry.algebra.to_colours([v @ u.T for v, u in halves])
    loss = problem.loss(z) * problem.total
    counts = symmetry.algebra.multiplicity
    energy = sum(m * ((v**2).sum() + (u**2).sum()) for m, (v, u) in zip(counts, halves, strict=True))
    best = reduced_untied_optimum(symmetry.algebra, symmetry.target(), weight_decay=0.3)
    least = best.loss + 0.3 * float(best.singular_values @ best.multiplicities)
    found = _certificate(problem, halves, z, loss)
    assert found.duality_gap >= loss + 0.15 * energy - least > 0.1
    assert found.max_violation > 0.1


@pytest.mark.parametrize(
    ("arms", "length", "decay"),
    [(5_000, 5, 0.01), (5_000, 5, 0.1), pytest.param(100_000, 10, 0.1, marks=pytest.mark.long)],
)
def test_path_stars_of_any_size_are_certified(arms, length, decay):
    symmetry = path_star_symmetry(arms, length)
    found = reduced_untied_optimum(symmetry.algebra, symmetry.target(), weight_decay=decay)
    assert found.certificate.max_violation < VIOLATION
    assert arms - 1 in found.multiplicities
    assert found.loss_per_node * symmetry.algebra.n == pytest.approx(found.loss)


def test_the_million_node_hypercube():
    symmetry = hamming_symmetry(20, 2)
    found = reduced_untied_optimum(symmetry.algebra, symmetry.target(), weight_decay=0.01)
    assert found.certificate.max_violation < VIOLATION


@pytest.mark.parametrize("decay", [0.02, 0.3])
def test_row_weights_of_the_types(decay):
    w = np.array([3.0, 1.0, 0.5, 2.0, 1.5])
    symmetry, found = solve("path-star:4x5", decay, family=False, row_weight=w)
    nodes = w[symmetry.colouring.node_type]
    dense = untied_optimum(one_hop_target(parse("path-star:4x5")), weight_decay=decay, row_weight=nodes)
    assert found.loss == pytest.approx(dense.loss, rel=LOSS)
    assert found.total_weight == pytest.approx(nodes.sum())


def test_without_decay_the_logits_diverge_unless_smoothed():
    _, found = solve("path-star:4x5", 0.0)
    dense = untied_optimum(one_hop_target(parse("path-star:4x5")))
    assert found.logits is None
    assert not found.attained
    assert found.loss == pytest.approx(dense.loss, rel=1e-12)
    assert found.rank == 0
    symmetry, smooth = solve("path-star:4x5", 0.0, family=False, label_smoothing=0.1)
    dense = untied_optimum(one_hop_target(parse("path-star:4x5"), label_smoothing=0.1))
    assert smooth.loss == pytest.approx(dense.loss, rel=1e-12)
    assert np.allclose(symmetry.expand(smooth.logits), dense.logits, rtol=0, atol=1e-12)
    assert np.allclose(np.repeat(smooth.singular_values, smooth.multiplicities), dense.singular_values)
    assert 0 <= smooth.certificate.max_violation < 1e-12


def test_refusals():
    symmetry = graph_symmetry(parse("petersen"))
    with pytest.raises(ValueError, match="rows must sum to one; got 2"):
        reduced_untied_optimum(symmetry.algebra, 2 * symmetry.target(), weight_decay=0.1)
    with pytest.raises(ValueError, match="weight_decay"):
        reduced_untied_optimum(symmetry.algebra, symmetry.target(), weight_decay=-1.0)
    long = path_star_symmetry(10, 40)
    with pytest.raises(ValueError, match=r"the blocks hold \d+ numbers, above 2500"):
        reduced_untied_optimum(long.algebra, long.target(), weight_decay=0.1)
