import numpy as np
import pytest

from cases import SMALL
from fiedler.theory import block_algebra, coherent_colouring, graph_symmetry, parse

SAME = 1e-10  # eigenvalues of matrices with entries of order one, by two dense solvers
WORDS = (*SMALL, "karate", "davis", "torus:4x6", "tree-star:3x3")
# Families whose algebra is written down by hand.
FAMILIES = (
    *("path-star:2x4", "path-star:4x5", "path-star:7x2"),
    *("hypercube:4", "hypercube:1", "hamming:3,3", "hamming:1,5"),
)


@pytest.fixture(scope="module")
def found():
    return {word: coherent_colouring(parse(word)) for word in WORDS}


@pytest.fixture(scope="module")
def algebras(found):
    return {word: block_algebra(colouring) for word, colouring in found.items()}


def random_element(count, seed=0):
    return np.random.default_rng(seed).standard_normal(count)


def repeated(values, multiplicities):
    return np.sort(np.concatenate([np.repeat(v, m) for v, m in zip(values, multiplicities, strict=True)]))


@pytest.mark.parametrize("word", WORDS)
class TestBlocks:
    def test_eigenvalues_of_a_symmetric_element(self, word, found, algebras):
        colouring, algebra = found[word], algebras[word]
        x = random_element(algebra.colours)
        x = x + x[algebra.transpose]
        values = [np.linalg.eigvalsh(b) for b in algebra.to_blocks(x)]
        expected = np.linalg.eigvalsh(x[colouring.colour])
        assert np.allclose(repeated(values, algebra.multiplicity), expected, rtol=0, atol=SAME * np.abs(expected).max())

    def test_products_and_transposes_pass_to_the_blocks(self, word, found, algebras):
        colouring, algebra = found[word], algebras[word]
        x, y = random_element(algebra.colours), random_element(algebra.colours, seed=1)
        product = x[colouring.colour] @ y[colouring.colour]
        z = algebra.to_colours([a @ b for a, b in zip(algebra.to_blocks(x), algebra.to_blocks(y), strict=True)])
        assert np.allclose(z[colouring.colour], product, rtol=0, atol=SAME * np.abs(product).max())
        for a, b in zip(algebra.to_blocks(x[algebra.transpose]), algebra.to_blocks(x), strict=True):
            assert np.allclose(a, b.T, rtol=0, atol=SAME * algebra.n)

    def test_there_and_back(self, word, algebras):
        algebra = algebras[word]
        x = np.stack([random_element(algebra.colours, seed) for seed in range(3)])
        assert np.allclose(algebra.to_colours(algebra.to_blocks(x)), x, rtol=0, atol=SAME * algebra.n)
        assert sum(m * d for m, d in zip(algebra.multiplicity, algebra.dimensions, strict=True)) == algebra.n

    def test_the_constant_vector_lies_in_the_first_block(self, word, algebras):
        algebra = algebras[word]
        ones = algebra.to_blocks(np.ones(algebra.colours))  # 11', of eigenvalue n
        assert np.allclose(ones[0] @ algebra.constant(), algebra.n * algebra.constant(), rtol=0, atol=SAME * algebra.n)
        assert all(np.abs(b).max() < SAME * algebra.n for b in ones[1:])
        assert np.linalg.norm(algebra.constant()) == pytest.approx(1)

    def test_sizes(self, word, found, algebras):
        colouring, algebra = found[word], algebras[word]
        assert algebra.n == colouring.n
        assert np.array_equal(algebra.class_sizes, np.bincount(colouring.colour.ravel()))
        assert np.array_equal(np.unique(np.diagonal(colouring.colour)), algebra.identity)


@pytest.mark.parametrize("word", FAMILIES)
class TestFamilies:
    def test_the_written_algebra_is_the_found_one(self, word):
        written, counted = graph_symmetry(parse(word)), graph_symmetry(parse(word), family=False)
        a, b = written.algebra, counted.algebra
        assert (a.n, a.colours) == (b.n, b.colours)
        assert sorted(zip(a.multiplicity, a.dimensions, strict=True)) == sorted(
            zip(b.multiplicity, b.dimensions, strict=True)
        )
        assert np.array_equal(np.sort(a.class_sizes), np.sort(b.class_sizes))
        assert np.array_equal(a.transpose[a.transpose], np.arange(a.colours))
        x = random_element(a.colours)
        assert np.allclose(a.to_colours(a.to_blocks(x)), x, rtol=0, atol=SAME * a.n)

    def test_the_adjacency_has_the_graph_s_eigenvalues(self, word):
        symmetry = graph_symmetry(parse(word))
        values = [np.linalg.eigvalsh(b) for b in symmetry.algebra.to_blocks(symmetry.adjacency)]
        expected = np.linalg.eigvalsh(parse(word).adjacency.toarray())
        assert np.allclose(repeated(values, symmetry.algebra.multiplicity), expected, rtol=0, atol=SAME * 10)

    def test_rows_of_the_target_sum_to_one(self, word):
        symmetry = graph_symmetry(parse(word))
        algebra = symmetry.algebra
        target = symmetry.target(self_edges=True, label_smoothing=0.2)
        sums = np.bincount(algebra.row_type, weights=algebra.valency * target)
        assert np.allclose(sums, 1, rtol=0, atol=1e-14)
