"""Models whose structure is planted: the predicted one, or none of it."""

from __future__ import annotations

import pytest

from planted_recall import AssociativeModel, GatedModel
from recall_cases import CODE_WIDTH, FACTS, RELATIONS


@pytest.fixture(scope="module")
def gated() -> GatedModel:
    return GatedModel(FACTS, CODE_WIDTH, seed=0)


@pytest.fixture(scope="module")
def associative() -> AssociativeModel:
    return AssociativeModel(FACTS, RELATIONS * CODE_WIDTH, CODE_WIDTH, seed=0)
