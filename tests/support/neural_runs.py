"""One seed of a neural model, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fiedler.sims.models.neural import NeuralTraining
from fiedler.sims.models.neural_settings import NeuralSettings


@dataclass(frozen=True, eq=False)
class State:
    """A seed at one step."""

    step: int
    embedding: np.ndarray
    loss: float
    logits: np.ndarray


def states_of(training: NeuralTraining, steps: Iterable[int]) -> Iterator[State]:
    """The first seed's at each of the ascending ``steps``."""
    for step in steps:
        with training.threads():
            training.advance(step - training.step)
            shot, final = training.snapshots()[0], training.finals()[0]
        assert np.array_equal(shot.embedding, final.embedding)
        yield State(step, shot.embedding, shot.loss, final.logits)


def train_alone(target: Any, settings: NeuralSettings, seed: int, steps: Iterable[int]) -> Iterator[State]:
    """A run of one seed."""
    return states_of(NeuralTraining(target, settings, [seed]), steps)
