"""The trainable models behind one interface: settings in, seeds in training out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..suggest import choose, did_you_mean
from ..tasks.memory import check_pairs
from ..tasks.task import Task
from .node2vec import Node2VecSettings, Node2VecTraining
from .protocol import Training

HF = "hf:"  # the prefix of models that are an architecture or config file of transformers


@dataclass(frozen=True)
class Model:
    """A model of the command line.

    ``start(task, settings, seeds)``: those seeds at step 0, in training together; ``together(task, settings)``: how
    many seeds may be. ``exact_together``: whether that changes no bit of any of them; where it does, a run's folder
    says which seeds it shared its training with.
    ``time_per_step(settings)``: gradient-flow time of one step, None when the optimiser has none (Adam).
    ``initial_energy(settings)``: s^2 of K(0) = s^2 I, the expected Gram matrix of its initial embeddings.
    ``fixed``: the settings that make it this model, which nobody overrides; ``unread``: those that it does not read
    (``settings_read``), asked for only where settings are given: to know them takes the settings' module.
    """

    name: str
    title: str
    settings: Callable[..., Any]
    start: Callable[[Task, Any, Sequence[int]], Training]
    time_per_step: Callable[[Any], float | None]
    initial_energy: Callable[[Any], float]
    together: Callable[[Task, Any], int] = lambda task, settings: 1
    tied: bool = True
    exact_together: bool = False
    fixed: tuple[str, ...] = field(default=("arch", "config"))
    unread: Callable[[], tuple[str, ...]] = tuple

    def setting_types(self, *, earlier: bool = False) -> dict[str, type]:
        """The name and type of every setting that it reads; ``earlier``: of those too that earlier versions took."""
        default, unread = self.settings(), () if earlier else self.unread()
        names = [one.name for one in dataclasses.fields(default) if one.name not in (*self.fixed, *unread)]
        return {name: type(getattr(default, name)) for name in names}

    def make_settings(self, **overrides: Any) -> Any:
        """The model's settings with every override that is not None. Raises ValueError for one it does not have."""
        given = {name: value for name, value in overrides.items() if value is not None}
        known = self.setting_types()
        for name in given:
            if name not in known:
                hint = choose(name, sorted(known), "it has")
                raise ValueError(f"the {self.name} model has no setting {name!r}; {hint}")
        return self.settings(**given)

    def groups(self, task: Task, settings: Any, seeds: Sequence[int]) -> list[tuple[int, ...]]:
        """The seeds in the groups that are trained together, in order."""
        size = self.together(task, settings)
        return [tuple(seeds[i : i + size]) for i in range(0, len(seeds), size)]


def _node2vec(name: str, title: str, *, tied: bool) -> Model:
    def start(task: Task, settings: Node2VecSettings, seeds: Sequence[int]) -> Training:
        check_pairs(task.graph.n, 3 + 3 * len(seeds), f"training {title} on {task.graph.name}")
        return Node2VecTraining(task.target, settings, seeds, task.row_weight)

    return Model(
        name,
        title,
        partial(Node2VecSettings, tied=tied),
        start,
        lambda s: float(s.learning_rate),
        lambda s: float(s.width * s.init_std**2),
        lambda task, settings: 1 << 30,
        tied=tied,
        exact_together=True,
        fixed=("tied",),
    )


def _neural(name: str, title: str, defaults: Mapping[str, Any]) -> Model:
    """A model of ``models.neural.py``, which imports torch: only when it is asked for anything."""

    def settings(**overrides: Any) -> Any:
        from .neural_settings import NeuralSettings

        return NeuralSettings(**{**defaults, **overrides})

    def start(task: Task, settings: Any, seeds: Sequence[int]) -> Training:
        from .neural import NeuralTraining

        guidance = None
        if settings.geometry != "none":
            from .guidance import make_guidance

            guidance = make_guidance(settings.geometry, settings.geometry_strength, task)
        return NeuralTraining(task.sparse_target, settings, seeds, getattr(task, "row_weight", None), guidance=guidance)

    def together(task: Task, settings: Any) -> int:
        from .neural import seeds_together

        return seeds_together(task.graph.n, settings)

    def clock(settings: Any) -> float | None:
        found: float | None = settings.time_per_step
        return found

    def unread() -> tuple[str, ...]:
        from .settings_read import unread_settings

        return unread_settings(settings().arch)

    spread = lambda s: float(s.width * s.first_embedding_std**2)  # noqa: E731
    return Model(name, title, settings, start, clock, spread, together, unread=unread)


# The tiny-graph set-ups of arXiv 2510.26745 (its release), where it has the model.
_NET = {"other_tokens": 0, "steps": 1000}
_MAMBA = {"arch": "mamba", "steps": 1000}

MODELS = {
    model.name: model
    for model in (
        _node2vec("node2vec", "Node2Vec", tied=True),
        _node2vec("node2vec-untied", "Node2Vec, untied", tied=False),
        _neural("one-layer", "One-layer net", {**_NET, "arch": "one-layer"}),
        _neural("linear", "Linear net", {**_NET, "arch": "linear"}),
        _neural("mlp", "MLP", {**_NET, "arch": "mlp", "bias": True}),
        _neural("transformer", "Transformer", {"arch": "gpt2"}),
        _neural("mamba", "Mamba", _MAMBA),
        _neural(
            "associative",
            "Associative",
            {**_NET, "arch": "one-layer", "frozen": True, "embedding_std": 1.0, "learning_rate": 0.001},
        ),
        _neural(
            "associative-fast",
            "Associative, fast",
            {**_NET, "arch": "one-layer", "frozen": True, "width": 512, "learning_rate": 0.1, "steps": 10},
        ),
    )
}


def get_model(word: str, *, earlier: bool = False) -> Model:
    """The model of a word: a name, or "hf:" and an architecture or config file of transformers; after a colon its own
    settings, as in "transformer:layer_norm=false,heads=2" or "hf:llama:width=64". ``earlier``: the word is that of a
    folder, where earlier versions took settings that the model does not read.

    Raises ValueError, suggesting the nearest, for any other word and for settings that are none of the model's.

    >>> from fiedler.sims import get_model
    >>> model = get_model("node2vec")
    >>> model.title
    'Node2Vec'
    >>> model.make_settings(steps=100).learning_rate
    0.01
    """
    name, colon, given = word.rpartition(":")
    if not colon or "=" not in given:
        return _named(word)
    model = _named(name)
    chosen = _read_settings(model, given, earlier)
    model.settings(**chosen)  # refused here, not in the middle of a comparison
    return dataclasses.replace(
        model,
        name=word,
        title=f"{model.title} ({given.replace(',', ', ')})",
        settings=lambda **overrides: model.settings(**{**chosen, **overrides}),
    )


def _named(name: str) -> Model:
    if name.startswith(HF):
        return _hugging_face(name)
    if name not in MODELS:
        known = f"{', '.join(MODELS)}, hf:ARCHITECTURE, hf:FILE"
        raise ValueError(f"unknown model {name!r}; {did_you_mean(name, MODELS)}choose from {known}")
    return MODELS[name]


def _read_settings(model: Model, text: str, earlier: bool) -> dict[str, Any]:
    types = model.setting_types(earlier=earlier)
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in types:
            raise ValueError(f"the {model.name} model has no setting {name!r}; {choose(name, sorted(types), 'it has')}")
        if name in found:
            raise ValueError(f"setting {name!r} is given twice in {text!r}; give it once")
        found[name] = _read(value, types[name], name)
    for name in () if earlier or "geometry" not in types else found:
        _check_needed(name, found)
    return found


def _check_needed(name: str, given: Mapping[str, Any]) -> None:
    from .settings_read import NEEDED

    other, without = NEEDED.get(name, ("", None))
    if other and given.get(other, without) == without:
        raise ValueError(f"{name} is read with {other} alone: leave it out, or give {other}")


def _read(value: str, kind: type, name: str) -> Any:
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise ValueError(f"{name} must be true or false; got {value!r}")
        return value.lower() == "true"
    try:
        return kind(value)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise ValueError(f"{name} must be {wanted}; got {value!r}") from None


def _hugging_face(name: str) -> Model:
    """An architecture at the small default size, a config file at its own size."""
    from .architectures import SIZES, read_config

    entries = read_config(name.removeprefix(HF))
    kind = str(entries["model_type"])
    if len(entries) == 1:
        return _neural(name, f"{kind} (HF)", {"arch": kind})
    sizes = {}
    for size in ("width", "layers", "heads"):
        found = [entries[key] for key in SIZES[size] if key in entries]
        if found:
            sizes[size] = int(found[0])
    spread = {"init_std": float(entries["initializer_range"])} if "initializer_range" in entries else {}
    config = json.dumps(entries, sort_keys=True)
    return _neural(name, f"{kind} (HF file)", {"arch": kind, "config": config, **sizes, **spread})
