"""The trainable models behind one interface: settings in, seeds in training out."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .node2vec import Node2VecSettings, Node2VecTraining
from .tasks import Task
from .training import Training


@dataclass(frozen=True)
class Model:
    """A model of the command line.

    ``start(task, settings, seeds)``: those seeds at step 0, in training together; ``together``: whether several seeds
    may be, which changes no bit of any of them.
    ``time_per_step(settings)``: gradient-flow time of one step, None when the optimiser has none (Adam).
    ``initial_energy(settings)``: s^2 of K(0) = s^2 I, the expected Gram matrix of its initial embeddings.
    """

    name: str
    title: str
    settings: Callable[..., Any]
    start: Callable[[Task, Any, Sequence[int]], Training]
    time_per_step: Callable[[Any], float | None]
    initial_energy: Callable[[Any], float]
    tied: bool = True
    together: bool = True

    def setting_types(self) -> dict[str, type]:
        """The name and type of every setting."""
        default = self.settings()
        # "tied" is which of the two Node2Vec models it is, not a setting of either.
        names = [field.name for field in dataclasses.fields(default) if field.name != "tied"]
        return {name: type(getattr(default, name)) for name in names}

    def make_settings(self, **overrides: Any) -> Any:
        """The model's settings with every override that is not None. Raises ValueError for one it does not have."""
        given = {name: value for name, value in overrides.items() if value is not None}
        known = self.setting_types()
        for name in given:
            if name not in known:
                raise ValueError(f"the {self.name} model has no setting {name!r}; it has {', '.join(sorted(known))}")
        return self.settings(**given)


def _node2vec(task: Task, settings: Node2VecSettings, seeds: Sequence[int]) -> Training:
    return Node2VecTraining(task.target, settings, seeds)


def _transformer(task: Task, settings: Any, seeds: Sequence[int]) -> Training:
    from .transformer import TransformerTraining

    (seed,) = seeds
    return TransformerTraining(task.sparse_target, settings, seed)


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
            together=False,
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
