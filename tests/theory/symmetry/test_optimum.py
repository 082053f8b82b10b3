import numpy as np
import pytest
from scipy.linalg import eigvalsh
from scipy.special import logsumexp, softmax

from fiedler.theory import (
    centre_gram,
    graph_symmetry,
    hamming_symmetry,
    one_hop_target,
    parse,
    path_star_symmetry,
    reduced_tied_optimum,
    reduced_untied_optimum,
    tied_optimum,
)

VIOLATION = 1e-7  # what certificates promise
LOSS = 1e-9  # relative: two solvers, each exact to a duality gap far below
VALUES = 1e-6  # relative: eigenvalues of the Gram matrix carry the square root of the dense solver's 1e-13 or so

WORDS = ("cycle:15", "path-star:4x5", "petersen", "hypercube:4", "hamming:3,3", "grid:4x4", "torus:4x6", "florentine")
TREES = ("tree:3,2", "tree-star:3x3", "path-star:10x2")

# arXiv 2510.26745's star and its growing number of arms: loss per node and the eigenvalue of the simplex of arms, from
# an L-BFGS solution of the (I - 11'/d) x H form with a bias.
PATH_STARS = {4: (1.28578689, 47.2799), 10: (1.26096878, 51.136), 100: (1.18251245, 76.476)}


def solve(word, decay, **options):
    symmetry = graph_symmetry(parse(word), family=options.pop("family", True))
    return symmetry, reduced_tied_optimum(symmetry.algebra, symmetry.target(**options), weight_decay=decay)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("decay", [0.0, 0.01, 0.1])
def test_it_equals_the_dense_optimum(word, decay):
    _, found = solve(word, decay)
    dense = tied_optimum(one_hop_target(parse(word)), weight_decay=decay)
    assert found.certificate.max_violation < VIOLATION
    assert found.loss_per_node == pytest.approx(dense.loss_per_node, rel=LOSS)
    assert found.attained == dense.attained
    values = np.repeat(found.eigenvalues, found.multiplicities)
    assert found.rank == dense.rank
    assert np.allclose(values, dense.eigenvalues, rtol=0, atol=VALUES * max(1.0, values.max(initial=0)))


@pytest.mark.parametrize("word", TREES)
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_trees_agree_in_loss(word, decay):
    # Without decay their optimum has eigenvalues down to 1e-7, on which only the loss and the certificate agree.
    _, found = solve(word, decay)
    dense = tied_optimum(one_hop_target(parse(word)), weight_decay=decay)
    assert found.certificate.max_violation < VIOLATION
    assert found.loss_per_node == pytest.approx(dense.loss_per_node, rel=LOSS)


@pytest.mark.parametrize(("word", "decay"), [("path-star:4x5", 0.0), ("grid:4x4", 0.0), ("grid:4x4", 0.1)])
def test_the_expanded_optimum_satisfies_the_conditions(word, decay):
    # On the whole n x n matrices, with nothing of the blocks.
    symmetry, found = solve(word, decay, family=False)
    target = one_hop_target(parse(word))
    n = len(target)
    gram = symmetry.expand(found.gram)
    bias = found.bias[symmetry.colouring.node_type]
    r = target - softmax(gram + bias, axis=1)
    s = (r + r.T) / 2
    if decay == 0:
        s = centre_gram(s)
        assert np.abs(r.sum(axis=0)).max() < VIOLATION
        assert np.abs(gram.sum(axis=0)).max() < 1e-9 * np.abs(gram).max()
    assert eigvalsh(s).max() < decay + VIOLATION
    assert np.abs((s - decay * np.eye(n)) @ gram).max() < VIOLATION * np.abs(gram).max()
    assert eigvalsh(gram).min() > -1e-9 * np.abs(gram).max()
    z = gram + bias
    assert found.loss == pytest.approx(float((logsumexp(z, axis=1) - (target * z).sum(axis=1)).sum()), rel=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_gap_bounds_the_suboptimality(decay):
    _, found = solve("path-star:4x5", decay)
    dense = tied_optimum(one_hop_target(parse("path-star:4x5")), weight_decay=decay)
    assert -1e-12 <= found.certificate.duality_gap < 1e-6
    diagonal = graph_symmetry(parse("path-star:4x5")).algebra.identity
    ours = found.loss + decay * float(found.gram[diagonal] @ [1, 4, 4, 4, 4])
    assert ours <= dense.loss + decay * np.trace(dense.gram) + found.certificate.duality_gap + 1e-10


@pytest.mark.parametrize("arms", PATH_STARS)
def test_path_stars_with_many_arms(arms):
    loss, eigenvalue = PATH_STARS[arms]
    symmetry = path_star_symmetry(arms, 5)
    found = reduced_tied_optimum(symmetry.algebra, symmetry.target())
    assert found.loss_per_node == pytest.approx(loss, abs=2e-8)
    assert found.eigenvalues == pytest.approx([eigenvalue], abs=2e-3)
    assert found.rank == arms - 1
    assert not found.attained


@pytest.mark.parametrize(("arms", "length"), [(5_000, 5), (100_000, 10)])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_path_stars_of_any_size_are_certified(arms, length, decay):
    symmetry = path_star_symmetry(arms, length)
    found = reduced_tied_optimum(symmetry.algebra, symmetry.target(), weight_decay=decay)
    assert found.certificate.max_violation < VIOLATION
    assert arms - 1 in found.multiplicities


def test_the_million_node_hypercube():
    # 2^d artanh(1 - 2/d), d times (the closed form for Hamming graphs with q = 2).
    symmetry = hamming_symmetry(20, 2)
    found = reduced_tied_optimum(symmetry.algebra, symmetry.target())
    assert found.rank == 20
    assert found.eigenvalues == pytest.approx([2**20 * np.arctanh(0.9)], rel=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_row_weights_of_the_types(decay):
    symmetry = graph_symmetry(parse("path-star:4x5"), family=False)
    w = np.array([3.0, 1.0, 0.5, 2.0, 1.5])
    found = reduced_tied_optimum(symmetry.algebra, symmetry.target(), weight_decay=decay, row_weight=w)
    nodes = w[symmetry.colouring.node_type]
    dense = tied_optimum(one_hop_target(parse("path-star:4x5")), weight_decay=decay, row_weight=nodes)
    assert found.certificate.max_violation < VIOLATION
    assert found.loss_per_node == pytest.approx(dense.loss_per_node, rel=LOSS)


def test_a_disconnected_graph_needs_decay():
    symmetry = graph_symmetry(parse("irregular"))
    with pytest.raises(ValueError, match="connected"):
        reduced_tied_optimum(symmetry.algebra, symmetry.target())
    found = reduced_tied_optimum(symmetry.algebra, symmetry.target(), weight_decay=0.1)
    dense = tied_optimum(one_hop_target(parse("irregular")), weight_decay=0.1)
    assert found.loss == pytest.approx(dense.loss, rel=LOSS)


def test_bad_input_is_refused():
    symmetry = path_star_symmetry(3, 3)
    with pytest.raises(ValueError, match="rows must sum to one"):
        reduced_tied_optimum(symmetry.algebra, 2 * symmetry.target())
    with pytest.raises(ValueError, match="weight_decay"):
        reduced_tied_optimum(symmetry.algebra, symmetry.target(), weight_decay=-1)
    with pytest.raises(ValueError, match="row_weight"):
        reduced_tied_optimum(symmetry.algebra, symmetry.target(), row_weight=[1.0])
    large = path_star_symmetry(2, 60)
    with pytest.raises(ValueError, match="above 2500"):
        reduced_tied_optimum(large.algebra, large.target())


@pytest.mark.parametrize("tied", [True, False])
def test_a_target_with_nan_or_of_another_length_is_refused(tied):
    solve_ = reduced_tied_optimum if tied else reduced_untied_optimum
    symmetry = path_star_symmetry(3, 3)
    broken = symmetry.target()
    broken[1] = np.nan
    with pytest.raises(ValueError, match="target holds NaN"):
        solve_(symmetry.algebra, broken, weight_decay=0.1)
    with pytest.raises(ValueError, match="target must have shape"):
        solve_(symmetry.algebra, symmetry.target()[:-1], weight_decay=0.1)
    with pytest.raises(TypeError, match="algebra must be a BlockAlgebra, not Symmetry"):
        solve_(symmetry, symmetry.target(), weight_decay=0.1)
