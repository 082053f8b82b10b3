"""Whoever listens hears how far an integration has come, and it changes nothing."""

from __future__ import annotations

import numpy as np

from fiedler.theory import one_hop_target, parse, tied_flow
from fiedler.theory.flow.progress import listening, tell


def test_an_integration_tells_its_fraction() -> None:
    target = one_hop_target(parse("path-star:3x3"))
    start = 0.1 * np.eye(len(target))
    heard: list[float] = []
    with listening(heard.append):
        found = tied_flow(target, start, times=[1.0, 50.0])
    assert len(heard) > 10
    assert heard == sorted(heard)
    assert 0 < heard[0] < 0.5
    assert heard[-1] == 1.0
    silent = tied_flow(target, start, times=[1.0, 50.0])
    assert np.array_equal(found.embedding, silent.embedding)
    assert heard[-1] == 1.0  # nothing was told outside


def test_fractions_stay_between_zero_and_one() -> None:
    heard: list[float] = []
    tell(0.5)
    with listening(heard.append):
        tell(-1.0)
        tell(2.0)
    assert heard == [0.0, 1.0]
