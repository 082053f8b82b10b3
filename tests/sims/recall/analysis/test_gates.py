"""Gates of neurons, by hand and at random, and the nearest code."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fiedler.sims.recall.analysis.gates import gate_scores, shuffle_relations
from fiedler.sims.recall.analysis.probes import nearest_code


class TestGates:
    def test_by_hand(self) -> None:
        # Neurons: one relation alone, the same on all, never active, 3/4 of the energy in relation 0.
        activity = np.zeros((2, 4, 4))
        activity[0, :, 0] = 2
        activity[:, :, 1] = 1
        activity[0, :, 3], activity[1, :, 3] = math.sqrt(3), 1
        scores = gate_scores(activity)
        assert scores.live == 3 / 4
        assert scores.active == pytest.approx((0.5 + 1 + 1) / 3)
        assert scores.open_relations == pytest.approx((0.5 + 1 + 1) / 3)
        assert scores.selectivity == pytest.approx((1 + 0 + 0.5) / 3)
        assert scores.majority == pytest.approx(2 / 3)
        assert scores.one_relation == pytest.approx(1 / 3)
        assert scores.variance_explained == pytest.approx((1 + 0 + 1) / 3)

    def test_null_of_the_variance_explained(self) -> None:
        # Questions in random order: (R - 1) / (R N - 1) on average, whatever the activity.
        rng = np.random.default_rng(0)
        activity = np.abs(rng.standard_normal((4, 50, 2000))) * np.arange(1, 5)[:, None, None]
        assert gate_scores(activity).variance_explained > 0.2
        shuffled = rng.permuted(activity.reshape(200, -1), axis=0).reshape(activity.shape)
        assert gate_scores(shuffled).variance_explained == pytest.approx(3 / 199, rel=0.1)

    def test_shuffling_keeps_questions_whole(self) -> None:
        activity = np.random.default_rng(0).standard_normal((3, 20, 5))
        shuffled = shuffle_relations(activity)
        assert sorted(map(tuple, shuffled.reshape(60, 5))) == sorted(map(tuple, activity.reshape(60, 5)))
        assert (shuffled == activity).mean() < 0.2

    def test_silent_neurons_and_one_relation(self) -> None:
        silent = gate_scores(np.zeros((2, 3, 5)))
        assert silent.live == 0
        assert math.isnan(silent.selectivity)
        one = gate_scores(np.ones((1, 3, 5)))
        assert one.active == 1
        assert math.isnan(one.selectivity)
        assert math.isnan(one.one_relation)

    def test_nearest_code(self) -> None:
        rng = np.random.default_rng(0)
        points, codes = rng.standard_normal((9, 4)), rng.standard_normal((6, 4)) * 3
        distances = np.linalg.norm(points[:, None] - codes[None], axis=2)
        assert nearest_code(points, codes).tolist() == distances.argmin(axis=1).tolist()
