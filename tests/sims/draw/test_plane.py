"""Positions in the predicted plane: whatever rotation, shift and size an embedding has, it is drawn the same."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.draw.plane import plane_coordinates
from fiedler.theory import TiedOptimum, centre_rows, one_hop_target, parse, tied_optimum

ROUNDING = 1e-9  # relative to positions of order one to ten: a few SVDs in float64
SOLVED = 1e-7  # what is exact at the optimum carries the solver's 1e-9 on eigenvalues of order 50

WORDS = ("cycle:15", "path-star:4x5", "irregular", "torus:4x4")
RNG_SEED = 5


def optimum_of(word: str, weight_decay: float = 0.0) -> TiedOptimum:
    return tied_optimum(one_hop_target(parse(word)), weight_decay=weight_decay)


@pytest.fixture(scope="module")
def optima() -> dict[str, TiedOptimum]:
    return {word: optimum_of(word) for word in WORDS}


def random_rotation(m: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((m, m)))[0]


def closest(points: np.ndarray) -> float:
    """How far apart the closest nodes are: the mean of the n/2 smallest distances."""
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(len(points), 1)]
    return float(np.sort(gaps)[: len(points) // 2].mean())


@pytest.mark.parametrize("word", WORDS)
def test_the_predicted_embedding_lies_on_itself_in_any_disguise(optima: dict[str, TiedOptimum], word: str) -> None:
    optimum, rng = optima[word], np.random.default_rng(RNG_SEED)
    width = optimum.rank + 7
    wide = np.pad(optimum.embedding(), ((0, 0), (0, 7))) @ random_rotation(width, rng)
    disguised = 0.037 * wide + rng.standard_normal(width)  # rotated, shrunk, shifted, of another width
    wanted, drawn = plane_coordinates(disguised, optimum)
    assert wanted.shape == drawn.shape == (len(optimum.gram), 2)
    np.testing.assert_allclose(drawn, wanted, atol=ROUNDING * np.abs(wanted).max())


@pytest.mark.parametrize("word", WORDS)
def test_the_plane_belongs_to_the_two_largest_eigenvalues(optima: dict[str, TiedOptimum], word: str) -> None:
    optimum = optima[word]
    wanted, _ = plane_coordinates(optimum.embedding(), optimum)
    values = optimum.eigenvalues[:2]
    # K x = lambda x for both coordinates, of squared lengths lambda_1 and lambda_2, at right angles.
    np.testing.assert_allclose(optimum.centred_gram @ wanted, wanted * values, atol=SOLVED * values[0] ** 1.5)
    np.testing.assert_allclose(wanted.T @ wanted, np.diag(values), atol=SOLVED * values[0])


def test_the_cycle_is_a_regular_polygon(optima: dict[str, TiedOptimum]) -> None:
    wanted, _ = plane_coordinates(optima["cycle:15"].embedding(), optima["cycle:15"])
    radius = np.sqrt(2 * optima["cycle:15"].eigenvalues[0] / 15)
    np.testing.assert_allclose(np.linalg.norm(wanted, axis=1), radius, rtol=SOLVED)
    sides = np.linalg.norm(wanted - np.roll(wanted, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, 2 * radius * np.sin(np.pi / 15), rtol=SOLVED)


def test_a_noisy_embedding_is_placed_by_the_best_rotation_and_scale(optima: dict[str, TiedOptimum]) -> None:
    optimum, rng = optima["cycle:15"], np.random.default_rng(RNG_SEED)
    noisy = 3 * optimum.embedding() @ random_rotation(2, rng) + rng.standard_normal((15, 2))
    wanted, drawn = plane_coordinates(noisy, optimum)
    best = np.linalg.norm(drawn - wanted)
    assert 0.01 * np.linalg.norm(wanted) < best < 0.5 * np.linalg.norm(wanted)  # noisy, but recognisable
    for _ in range(200):
        other = drawn @ random_rotation(2, rng) * np.exp(0.1 * rng.standard_normal())
        assert np.linalg.norm(other - wanted) > best
    # Its shape is kept: only rotated, reflected and scaled.
    centred = centre_rows(noisy)
    ratio = np.linalg.norm(drawn, axis=1) / np.linalg.norm(centred, axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=ROUNDING)


def test_components_are_centred_apart(optima: dict[str, TiedOptimum]) -> None:
    optimum = optima["irregular"]
    shifts = np.array([[5.0, -3.0], [-40.0, 11.0]])[optimum.components]  # the distance between them diverges
    _, still = plane_coordinates(optimum.embedding()[:, :2], optimum)
    _, moved = plane_coordinates(optimum.embedding()[:, :2] + shifts, optimum)
    np.testing.assert_allclose(moved, still, atol=ROUNDING * 50)


def test_a_repeated_eigenvalue_is_viewed_where_nodes_are_apart(optima: dict[str, TiedOptimum]) -> None:
    optimum = optima["torus:4x4"]
    np.testing.assert_allclose(optimum.eigenvalues[:4], optimum.eigenvalues[0], rtol=1e-6)
    wanted, _ = plane_coordinates(optimum.embedding(), optimum)
    again, _ = plane_coordinates(optimum.embedding(), optimum)
    np.testing.assert_array_equal(wanted, again)  # the same figure each time
    # Along the axes of the torus itself 16 nodes fall on 4 points; this view keeps them apart, and better than others.
    rng = np.random.default_rng(RNG_SEED)
    others = [closest(optimum.embedding()[:, :4] @ random_rotation(4, rng)[:, :2]) for _ in range(100)]
    assert closest(wanted) > np.quantile(others, 0.97)


@pytest.mark.parametrize("width", [1, 2, 300])
def test_embeddings_of_any_width_and_type(optima: dict[str, TiedOptimum], width: int) -> None:
    embedding = np.random.default_rng(RNG_SEED).standard_normal((len(optima["path-star:4x5"].gram), width))
    wanted, drawn = plane_coordinates(embedding, optima["path-star:4x5"])
    assert np.isfinite(drawn).all()
    single = plane_coordinates(embedding.astype(np.float32), optima["path-star:4x5"])[1]
    np.testing.assert_allclose(single, drawn, atol=1e-4 * np.abs(wanted).max())


def test_an_embedding_of_zeros_is_one_point(optima: dict[str, TiedOptimum]) -> None:
    _, drawn = plane_coordinates(np.ones((15, 3)), optima["cycle:15"])
    np.testing.assert_array_equal(drawn, np.zeros((15, 2)))


@pytest.mark.parametrize(("word", "decay", "rank"), [("hamming:1,5", 0.0, 0), ("path-star:1x5", 0.5, 1)])
def test_a_rank_below_two_has_no_plane(word: str, decay: float, rank: int) -> None:
    optimum = optimum_of(word, decay)
    assert optimum.rank == rank
    with pytest.raises(ValueError, match=f"has rank {rank}; a plane needs at least 2"):
        plane_coordinates(np.ones((5, 3)), optimum)
