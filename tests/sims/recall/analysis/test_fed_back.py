"""Answers that are asked again, on models whose answers and codes are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fiedler.sims.recall.analysis.fed_back import fed_back_scores
from fiedler.sims.recall.data import RecallData, make_recall_data
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.recall.training import RecallTraining

SETTINGS = RecallSettings(subjects=8, relations=2, hops=2, held_out_facts=0.3, width=16, neurons=8)


def told(data: RecallData, outputs: torch.Tensor) -> Any:
    """A model that knows all facts about unit vectors, and writes with ``outputs``."""
    n = data.facts.subjects
    table = torch.tensor(data.facts.table)

    def answers(asked: torch.Tensor, relations: torch.Tensor) -> torch.Tensor:
        nearest = asked.argmax(dim=1)
        return 50 * torch.nn.functional.one_hot(table[relations, nearest], n).float()

    return SimpleNamespace(embedding=torch.eye(n), subjects=torch.eye(n), unembedding=outputs, answers=answers)


def test_aligned_codes_compose_and_others_do_not() -> None:
    data = make_recall_data(SETTINGS, 0)
    aligned = fed_back_scores(told(data, 3 * torch.eye(8)), data)
    assert aligned["alignment"] == pytest.approx(1.0)
    assert aligned["fed_back_shown"] == aligned["fed_back_unseen"] == 1.0
    turned = fed_back_scores(told(data, torch.eye(8).roll(1, 0)), data)
    assert turned["alignment"] == 0.0
    assert turned["fed_back_shown"] < 0.5


def test_a_trained_model_has_the_scores_of_its_questions() -> None:
    training = RecallTraining(replace(SETTINGS, held_out_facts=0.0), 0)
    found = fed_back_scores(training.model, training.data)
    assert set(found) == {"alignment", "fed_back_shown"}
    assert abs(found["alignment"]) < 0.5
