"""On which axis thresholds are the same: planted laws are found, and nothing else is called a collapse."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.recall.scaling.collapse import NORMALISATIONS, collapse

N = np.array([16, 64, 256, 1024, 64, 64, 64])
R = np.array([4, 4, 4, 4, 1, 2, 8])
PLANTED = {
    "1": 5 + 0 * N,
    "log2 N": 3 * np.log2(N),
    "R log2 N": 0.4 * R * np.log2(N),
    "sqrt N": 2 * np.sqrt(N),
    "N": 0.2 * N,
    "N^a": N**0.3,
    "N^a R^b": 3 * N**0.16 * R**0.44,
}
EXACT = 1e-12


@pytest.mark.parametrize("name", PLANTED)
def test_the_planted_normalisation_collapses_and_no_other_given_one(name: str) -> None:
    found = collapse(N, R, PLANTED[name])
    assert list(found) == list(NORMALISATIONS)
    assert found[name].variation == pytest.approx(0, abs=EXACT)
    for other in ("1", "log2 N", "R log2 N", "sqrt N", "N"):
        assert found[other].variation > 0.1 or other == name


def test_powers_are_those_planted_and_a_scale_changes_nothing() -> None:
    found, larger = (collapse(N, R, scale * PLANTED["N^a R^b"]) for scale in (1, 70))
    both = found["N^a R^b"]
    assert (both.subjects, both.relations) == pytest.approx((0.16, 0.44))
    assert found["log2 N"].subjects is None
    for name in NORMALISATIONS:
        assert found[name].variation == pytest.approx(larger[name].variation, abs=EXACT)
    along = collapse(N[:4], R[:4], PLANTED["N^a R^b"][:4])["N^a R^b"]
    assert (along.subjects, along.relations) == pytest.approx((0.16, 0))  # R does not vary: it has no power


def test_the_variation_is_deviation_over_mean() -> None:
    assert collapse([2, 4, 8], [1, 1, 1], [1, 2, 3])["1"].variation == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [(([2, 3], [1, 1], [1, 1]), "3 sizes or more; got 2"), (([2, 3, 4], [1, 1], [1, 1, 1]), "equally long"),
     (([1, 2, 3], [1, 1, 1], [1, 1, 1]), "above 1"), (([2, 3, 4], [1, 1, 1], [1, 0, 1]), "positive")],
)  # fmt: skip
def test_bad_sizes_are_refused(sizes: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collapse(*sizes)
