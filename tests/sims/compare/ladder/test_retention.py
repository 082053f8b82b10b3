"""Shares, peaks and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.ladder.retention import first_share, retention


def test_the_share_is_that_of_the_first_eigenspace_beyond_zero() -> None:
    energy = np.array([[5.0, 1.0, 3.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    assert first_share(energy).tolist() == [1 / 9, 0.0, 1.0]
    assert first_share(np.ones((4, 1))).tolist() == [0.0] * 4  # components of one node each


def test_the_peak_is_the_first_largest_share() -> None:
    found = retention(np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.2, 0.8, 0.8, 0.4]))
    assert (found.peak, found.peak_time, found.end) == (0.8, 2.0, 0.4)
    assert found.kept == pytest.approx(0.5)
    assert np.isnan(retention(np.ones(1), np.zeros(1)).kept)
