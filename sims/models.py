"""The trainable models behind one interface: settings in, snapshots at the recorded steps out."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .node2vec import Node2VecSettings, train_node2vec
from .tasks import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Final:
    """What a finished run leaves: ``embedding`` V (n, m), ``context`` U (n, m) where it is another matrix, and the
    logits (n, n) of every node as the next one."""

    embedding: NDArray[np.floating]
    context: NDArray[np.floating] | None
    logits: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One seed at one recorded step: its embedding up to rotation, its loss per node, and at the end ``final``."""

    seed: int
    step: int
    embedding: NDArray[np.floating]
    loss: float
    final: Final | None = None


@dataclass(frozen=True)
class Model:
    """A model of the command line.

    ``train(task, settings, seeds, record_steps)`` yields snapshots, ascending in step for each seed.
    ``time_per_step(settings)``: gradient-flow time of one step, None when the optimiser has none (Adam).
    ``initial_energy(settings)``: s^2 of K(0) = s^2 I, the expected Gram matrix of its initial embeddings.
    """

    name: str
    title: str
    settings: Callable[..., Any]
    train: Callable[[Task, Any, Sequence[int], NDArray[np.int64]], Iterator[Snapshot]]
    time_per_step: Callable[[Any], float | None]
    initial_energy: Callable[[Any], float]
    tied: bool = True

    def make_settings(self, **overrides: Any) -> Any:
        """The model's settings with every override that is not None. Raises ValueError for one it does not have."""
        given = {name: value for name, value in overrides.items() if value is not None}
        # "tied" is which of the two Node2Vec models it is, not a setting of either.
        known = {field.name for field in dataclasses.fields(self.settings())} - {"tied"}
        for name in given:
            if name not in known:
                raise ValueError(f"the {self.name} model has no setting {name!r}; it has {', '.join(sorted(known))}")
        return self.settings(**given)


def _node2vec(
    task: Task, settings: Node2VecSettings, seeds: Sequence[int], record_steps: NDArray[np.int64]
) -> Iterator[Snapshot]:
    last = int(record_steps[-1])
    for state in train_node2vec(task.target, settings, seeds, record_steps):
        final: list[Final | None] = [None] * len(seeds)
        if state.step == last:
            v, u = state.full_embedding(), state.full_context()
            final = [Final(v[i], None if settings.tied else u[i], v[i] @ u[i].T) for i in range(len(seeds))]
        for i, seed in enumerate(seeds):
            yield Snapshot(seed, state.step, state.embedding[i], float(state.loss[i]), final[i])


def _transformer(
    task: Task, settings: Any, seeds: Sequence[int], record_steps: NDArray[np.int64]
) -> Iterator[Snapshot]:
    from .transformer import train_transformer

    last = int(record_steps[-1])
    for seed in seeds:
        for state in train_transformer(task.sparse_target, settings, seed, record_steps):
            final = Final(state.embedding, None, state.logits) if state.step == last else None
            yield Snapshot(seed, state.step, state.embedding, state.loss, final)


def _transformer_settings(**overrides: Any) -> Any:
    from .transformer import TransformerSettings  # imports torch, which the other models do without

    return TransformerSettings(**overrides)


def _untied_settings(**overrides: Any) -> Node2VecSettings:
    return Node2VecSettings(**{"tied": False, **overrides})


def _node2vec_energy(settings: Node2VecSettings) -> float:
    return settings.width * settings.init_std**2


MODELS = {
    model.name: model
    for model in (
        Model("node2vec", "Node2Vec", Node2VecSettings, _node2vec, lambda s: float(s.learning_rate), _node2vec_energy),
        Model(
            "node2vec-untied",
            "Node2Vec, untied",
            _untied_settings,
            _node2vec,
            lambda s: float(s.learning_rate),
            _node2vec_energy,
            tied=False,
        ),
        Model(
            "transformer",
            "Transformer",
            _transformer_settings,
            _transformer,
            lambda s: None,
            lambda s: float(s.width * s.init_std**2),
        ),
    )
}


def get_model(name: str) -> Model:
    """The model called ``name``. Raises ValueError, suggesting the nearest, for any other name."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown model {name!r}; {hint}choose from {', '.join(MODELS)}")
    return MODELS[name]
