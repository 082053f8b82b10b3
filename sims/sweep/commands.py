"""The commands whose runs a sweep makes: what a point of each may say, and how it is checked, trained and estimated.

This is the one file of the sweeps that starts runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from fiedler.theory import ReadOptions

from ..models.options import setting_types
from ..paths.settings import PathSettings
from ..recall.settings import RecallSettings, outdated
from ..runs.control import UNWATCHED, Restart, Watch
from ..runs.folder import RunDir
from ..suggest import check_only, choose
from ..tasks.make import make_task
from ..tasks.search import SEARCH, Search
from ..tasks.task import TASK_OPTIONS, Task

Options = Mapping[str, Any]
Folder = Callable[[int], Path]  # of a seed

SIZES = ("arch", "width", "layers", "subjects", "relations", "hops")  # settings that decide the time of a step


@dataclass(frozen=True)
class How:
    """How a point is run: what becomes of runs that are there, how far the optimum is sought, and who watches."""

    restart: Restart
    search: Search = SEARCH
    watch: Watch = UNWATCHED


class Command(Protocol):
    """A command of which a point names one run for each seed. ``options``: what a point may say beside its settings,
    with types; ``metric``: the score of the phase diagram unless the file names another; ``scores``: those that are
    columns of the table, None for every one that is a number."""

    name: str
    options: Mapping[str, type]
    metric: str
    scores: tuple[str, ...] | None

    def complete(self, options: Options) -> dict[str, Any]:
        """``options`` with those that are always in a point. Raises ValueError where one is missing or unknown."""

    def owner(self, options: Options) -> str:
        """Whose settings a point has, for an error about one."""

    def setting_types(self, options: Options) -> Mapping[str, type]:
        """The settings a point may have, with types."""

    def settings(self, options: Options, changes: Mapping[str, Any]) -> Any:
        """The settings, ``changes`` those that the point says. Raises ValueError for a value out of range."""

    def columns(self, options: Options) -> dict[str, Any]:
        """The options as columns of the table, defaults included."""

    def check(self, options: Options, settings: Any) -> None:
        """Raises ValueError for a graph or an architecture that cannot be trained."""

    def together(self, options: Options) -> bool:
        """Whether seeds train together, which changes no bit."""

    def needs_torch(self, options: Options) -> bool:
        """Whether its runs import torch."""

    def train(self, options: Options, settings: Any, seeds: Sequence[int], folder: Folder, how: How) -> None:
        """Train and score every seed in its folder, or go on with it."""

    def finished(self, folder: RunDir) -> bool:
        """Whether the run in ``folder`` is whole, its scores aside."""

    def stale(self, options: Options, settings: Any, scores: Mapping[str, Any], search: Search) -> bool:
        """Whether the scores of a finished run are to be made again, without training."""

    def seconds(self, options: Options, settings: Any, seeds: Sequence[int]) -> float:
        """About how long the training of ``seeds`` takes, from a few steps of it."""

    def optimum_seconds(self, options: Options, search: Search) -> float | None:
        """About how long its optimum takes, of which points of one graph and weight decay share one; None where nobody
        knows."""


# How the file of a graph is read, as the options of the commands say it.
READING: Mapping[str, type] = {"delimiter": str, "header": bool, "comments": str, "weight": str}


class Train:
    """`fiedler train`."""

    name = "train"
    options: Mapping[str, type] = {
        "graph": str, "model": str, **{name: type(default) for name, default in TASK_OPTIONS.items()},
        "symmetrize": bool, **READING,
    }  # fmt: skip
    metric = "geometric_margin"
    # Those with one value; the rest of scores.json are lists.
    scores: tuple[str, ...] | None = (
        "loss_per_node", "fiedler_score", "effective_rank", "gram_error", "gram_scale", "geometric_level",
        "geometric_level_centred", "geometric_margin", "geometric_margin_top1", "edge_margin", "edge_top1",
        "edge_recall", "optimum_weight_decay", "optimum_relative_gap",
    )  # fmt: skip

    def complete(self, options: Options) -> dict[str, Any]:
        return {"model": "node2vec", **_with_graph(options)}

    def owner(self, options: Options) -> str:
        return f"the {self._model(options).name} model"

    def setting_types(self, options: Options) -> Mapping[str, type]:
        return dict(self._model(options).setting_types())

    def settings(self, options: Options, changes: Mapping[str, Any]) -> Any:
        return self._model(options).make_settings(**changes)

    def columns(self, options: Options) -> dict[str, Any]:
        defaults = {**TASK_OPTIONS, "symmetrize": False}
        return {name: options.get(name, defaults.get(name)) for name in _shown(self.options, options)}

    def check(self, options: Options, settings: Any) -> None:
        self.task(options)

    def together(self, options: Options) -> bool:
        return bool(self._model(options).exact_together)

    def needs_torch(self, options: Options) -> bool:
        return not options["model"].startswith("node2vec")

    def train(self, options: Options, settings: Any, seeds: Sequence[int], folder: Folder, how: How) -> None:
        from ..runs.scored import run_and_score

        run_and_score(
            self.task(options),
            self._model(options),
            settings,
            seeds,
            folder=folder,
            restart=how.restart,
            search=how.search,
            watch=how.watch,
        )

    def seconds(self, options: Options, settings: Any, seeds: Sequence[int]) -> float:
        from ..runs.estimate import estimate_runs

        return estimate_runs(self.task(options), self._model(options), settings, seeds).seconds

    def finished(self, folder: RunDir) -> bool:
        return folder.finished

    def stale(self, options: Options, settings: Any, scores: Mapping[str, Any], search: Search) -> bool:
        from ..runs.scored import own_decay, stale

        return stale(scores, own_decay(self._model(options), settings), search.optimum)

    def optimum_seconds(self, options: Options, search: Search) -> float | None:
        return search.seconds(self.task(options))

    def task(self, options: Options) -> Task:
        """The graph and its target, shared by the points of a process."""
        chosen = {name: options[name] for name in ("symmetrize", *TASK_OPTIONS) if name in options}
        return _task(options["graph"], tuple(chosen.items()), _reading(options))

    def _model(self, options: Options) -> Any:
        from ..models.registry import get_model

        return get_model(options["model"])


class Headroom(Train):
    """`fiedler headroom` on a graph: a model as it is or moved toward the predicted geometry, a setting of it."""

    name = "headroom"
    options: Mapping[str, type] = {"graph": str, "model": str, "variant": str, **READING}

    def complete(self, options: Options) -> dict[str, Any]:
        from ..headroom.conditions import BASE, BASE_WORD

        completed = {"model": BASE_WORD, "variant": BASE, **_with_graph(options)}
        variants = _variants(completed["model"])
        if completed["variant"] not in variants:
            raise ValueError(f"unknown variant {completed['variant']!r}; {choose(completed['variant'], variants)}")
        return completed

    def setting_types(self, options: Options) -> Mapping[str, type]:
        return {name: kind for name, kind in super().setting_types(options).items() if name != "geometry"}

    def settings(self, options: Options, changes: Mapping[str, Any]) -> Any:
        return _variants(options["model"])[options["variant"]].make_settings(**changes)

    def columns(self, options: Options) -> dict[str, Any]:
        return {name: options[name] for name in _shown(self.options, options)}


class Conditions:
    """`fiedler paths` and `fiedler recall`: a condition of one of their presets, with any of its settings changed."""

    name: str
    presets: str  # the module that has them
    kind: type
    options: Mapping[str, type] = {"preset": str, "condition": str}
    first: str  # the preset where none is named
    metric: str
    scores: tuple[str, ...] | None = None

    def complete(self, options: Options) -> dict[str, Any]:
        preset, conditions = options.get("preset", self.first), self._conditions(options)
        condition = options.get("condition", next(iter(conditions)))
        check_only([condition], conditions)
        return {**options, "preset": preset, "condition": condition}

    def owner(self, options: Options) -> str:
        return f"fiedler {self.name}"

    def setting_types(self, options: Options) -> Mapping[str, type]:
        return setting_types(self.kind)

    def settings(self, options: Options, changes: Mapping[str, Any]) -> Any:
        return dataclasses.replace(self._conditions(options)[options["condition"]], **changes)

    def columns(self, options: Options) -> dict[str, Any]:
        return {name: options[name] for name in _shown(self.options, options)}

    def together(self, options: Options) -> bool:
        return False

    def needs_torch(self, options: Options) -> bool:
        return True

    def start(self, options: Options, settings: Any, seed: int) -> Any:
        """The training of one seed, at its start."""
        raise NotImplementedError

    def seconds(self, options: Options, settings: Any, seeds: Sequence[int]) -> float:
        from ..runs.estimate import training_seconds

        training = self.start(options, settings, seeds[0])
        return len(seeds) * training_seconds(training, settings.steps, 1, "cpu", 1)

    def finished(self, folder: RunDir) -> bool:
        return folder.finished

    def stale(self, options: Options, settings: Any, scores: Mapping[str, Any], search: Search) -> bool:
        return False

    def optimum_seconds(self, options: Options, search: Search) -> float | None:
        return 0.0

    def _conditions(self, options: Options) -> Mapping[str, Any]:
        presets = self._presets()
        name = options.get("preset", self.first)
        if name not in presets:
            raise ValueError(f"unknown preset {name!r}; {choose(name, presets)}")
        return dict(presets[name].conditions)

    def _presets(self) -> Mapping[str, Any]:
        raise NotImplementedError


class Paths(Conditions):
    """`fiedler paths`."""

    name, kind, first, metric = "paths", PathSettings, "cpu", "first_token_accuracy"
    options: Mapping[str, type] = {"graph": str, **Conditions.options, **READING}

    def complete(self, options: Options) -> dict[str, Any]:
        completed = super().complete(options)
        return {"graph": self._presets()[completed["preset"]].graph, **completed}

    def check(self, options: Options, settings: Any) -> None:
        from ..paths.star import star_paths

        star_paths(_graph(options["graph"], _reading(options)))
        _check_path_model(settings)

    def train(self, options: Options, settings: Any, seeds: Sequence[int], folder: Folder, how: How) -> None:
        from ..paths.one_run import run_path

        for seed in seeds:
            run_path(
                _graph(options["graph"], _reading(options)),
                settings,
                seed,
                folder(seed),
                restart=how.restart,
                watch=how.watch,
            )

    def start(self, options: Options, settings: Any, seed: int) -> Any:
        from ..paths.training import PathTraining

        return PathTraining(_graph(options["graph"], _reading(options)), settings, seed)

    def _presets(self) -> Mapping[str, Any]:
        from ..paths.presets import PRESETS

        return PRESETS


class Recall(Conditions):
    """`fiedler recall`; the searches of smallest dimensions, which are presets too, are no runs."""

    name, kind, first, metric = "recall", RecallSettings, "structure", "accuracy"

    def check(self, options: Options, settings: Any) -> None:
        _check_recall(settings)

    def train(self, options: Options, settings: Any, seeds: Sequence[int], folder: Folder, how: How) -> None:
        from ..recall.one_run import run_recall

        for seed in seeds:
            run_recall(settings, seed, True, folder(seed), restart=how.restart, watch=how.watch)

    def stale(self, options: Options, settings: Any, scores: Mapping[str, Any], search: Search) -> bool:
        return outdated(settings, scores)

    def start(self, options: Options, settings: Any, seed: int) -> Any:
        from ..recall.training import RecallTraining

        return RecallTraining(settings, seed)

    def _presets(self) -> Mapping[str, Any]:
        from ..recall.presets import PRESETS

        return PRESETS


TRAIN = "train"
COMMANDS: dict[str, Command] = {command.name: command for command in (Train(), Paths(), Recall(), Headroom())}
# Options and settings whose values are whole numbers, for ranges.
WHOLE = frozenset({"window", "steps", "width", "heads", "layers"}) | frozenset(
    name for kind in (PathSettings, RecallSettings) for name, of in setting_types(kind).items() if of is int
)


def get_command(name: Any) -> Command:
    """The command ``name``. Raises ValueError for another word, with the nearest."""
    if not isinstance(name, str) or name not in COMMANDS:
        raise ValueError(f"unknown command {name!r} of a sweep; {choose(name, COMMANDS)}")
    return COMMANDS[name]


def _with_graph(options: Options) -> dict[str, Any]:
    if "graph" not in options:
        raise ValueError("no graph: give one in [base] or [axes]")
    return dict(options)


def _shown(names: Iterable[str], options: Options) -> list[str]:
    """The columns of a table: how files are read only where a point says it."""
    return [name for name in names if name not in READING or name in options]


def _reading(options: Options) -> ReadOptions:
    return ReadOptions(**{name: options[name] for name in READING if name in options})


@lru_cache(maxsize=64)
def _task(graph: str, options: tuple[tuple[str, Any], ...], reading: ReadOptions) -> Task:
    return make_task(graph, reading=reading, **dict(options))


@lru_cache(maxsize=64)
def _graph(word: str, reading: ReadOptions) -> Any:
    from fiedler.theory import parse

    return parse(word, options=reading)


@lru_cache(maxsize=64)
def _variants(model: str) -> dict[str, Any]:
    from ..headroom.conditions import model_variants

    return {variant.name: variant for variant in model_variants(model)}


@lru_cache(maxsize=1024)
def _check_path_model(settings: PathSettings) -> None:
    from ..paths.training import check_model

    check_model(settings)


@lru_cache(maxsize=1024)
def _check_recall(settings: RecallSettings) -> None:
    from ..recall.training import check_recall

    check_recall(settings)
