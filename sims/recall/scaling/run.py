"""The smallest dimension that memorises, against the number of subjects and of relations: constructions and trained
Transformers, every point over seeds, side by side; ``runs.many_runs`` keeps each in a folder of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...disk.jsonio import from_json, to_json
from ...models.devices import check_device
from ...runs.control import AFRESH, UNWATCHED, Restart, Watch
from ...runs.engine import check_seeds
from ...runs.folder import RunDir
from ...runs.many_runs import Job, run_all
from ...runs.stopping import Interrupted, StopRequest
from ...runs.take_up import completed
from ...suggest import choose
from ..settings import RecallSettings
from ..training import check_recall
from .construction import CONSTRUCTIONS, smallest_construction
from .dimension import SMALLEST, THRESHOLD, SmallestWidth, Trial, check_levels, smallest_width, width_grid
from .presets import (
    CHAIN,
    CONDITIONS,
    HOP_CONDITIONS,
    RELATIONS,
    SUBJECTS,
    expected_width,
    frozen_as,
    sized,
)

Size = tuple[int, int, int]  # subjects, relations, hops


@dataclass(frozen=True)
class ScalingPoint:
    """One search: ``condition``, N ``subjects``, R ``relations``, K ``hops``, ``seed``, and what it found."""

    condition: str
    subjects: int
    relations: int
    seed: int
    found: SmallestWidth
    hops: int = 1


@dataclass(frozen=True, eq=False)
class ScalingResult:
    """All points, and the folder they are in. ``settings.subjects`` and ``settings.relations`` are what the curve
    against the other one holds fixed."""

    settings: RecallSettings
    conditions: tuple[str, ...]
    subjects: tuple[int, ...]
    relations: tuple[int, ...]
    seeds: tuple[int, ...]
    threshold: float
    high: int
    points: tuple[ScalingPoint, ...]
    folder: RunDir
    hops: tuple[int, ...] = (1,)
    lower: tuple[float, ...] = ()

    def curve(self, condition: str, against: str) -> list[ScalingPoint]:
        """The points of a condition ``against`` "subjects", "relations" or "hops", the others as in the settings."""
        points = [p for p in self.points if p.condition == condition]
        for fixed in {"subjects", "relations", "hops"} - {against}:
            points = [p for p in points if getattr(p, fixed) == getattr(self.settings, fixed)]
        return sorted(points, key=lambda p: (getattr(p, against), p.seed))


def run_scaling(
    settings: RecallSettings,
    seeds: Sequence[int],
    out: Path,
    *,
    conditions: Sequence[str] = CONDITIONS,
    subjects: Sequence[int] = SUBJECTS,
    relations: Sequence[int] = RELATIONS,
    hops: Sequence[int] = (1,),
    threshold: float = THRESHOLD,
    lower: Sequence[float] = (),
    low: int = SMALLEST,
    high: int = 256,
    device: str = "cpu",
    jobs: int | None = None,
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> ScalingResult:
    """Search the smallest dimension of every condition at every number of ``subjects`` (with the settings' relations
    and one hop) and of ``relations`` (with the settings' subjects and every number of ``hops``), ``jobs`` searches at a
    time with one thread each.

    ``settings``: of the trained conditions, their width and hops aside; SCALING is made for this. ``threshold``,
    ``lower``, ``low`` and ``high``: as ``smallest_width``; constructions must recall every fact. With
    ``restart.resume`` finished searches are read, not made again.

    Raises ValueError for an unknown condition, one that has no several hops, repeated numbers, settings that do not
    fit, a folder in use or a device that is not there, before anything is written; FloatingPointError when training
    diverges; Interrupted, with every finished search saved, when ``watch`` asks to stop.
    """
    check_seeds(seeds)
    check_device(device)
    sizes = search_sizes(settings, subjects, relations, hops)
    check_search(settings, conditions, sizes, {"subjects": subjects, "relations": relations, "hops": hops})
    check_levels(threshold, lower)
    width_grid(low, high)
    options = {"threshold": threshold, "low": low, "high": high, "lower": list(lower), "device": device}
    searches = {(name, size): _folder(name, size) for size in sizes for name in conditions}
    todo: dict[tuple[str, int], Job[SmallestWidth]] = {}
    for (name, size), word in sorted(searches.items(), key=lambda one: _late(*one[0])):
        for seed in seeds:
            search = partial(_search_in, word.partition("-")[0], sized(name, settings, *size), seed, options)
            todo[word, seed] = Job(word, seed, search)
    config = {
        "settings": dataclasses.asdict(settings),
        "conditions": list(conditions),
        "subjects": list(subjects),
        "relations": list(relations),
        "hops": list(hops),
        "seeds": list(seeds),
        **options,
    }
    widths, folder = run_all(
        list(todo.values()), config, out, device=device, workers=jobs, restart=restart, watch=watch
    )
    points = [
        ScalingPoint(name, size[0], size[1], seed, widths[searches[name, size], seed], size[2])
        for name in conditions
        for size in sizes
        for seed in seeds
    ]
    return ScalingResult(
        settings, tuple(conditions), tuple(subjects), tuple(relations), tuple(seeds), threshold, high, tuple(points),
        folder, tuple(hops), tuple(lower),
    )  # fmt: skip


def search_sizes(
    settings: RecallSettings, subjects: Sequence[int], relations: Sequence[int], hops: Sequence[int] = (1,)
) -> list[Size]:
    """What ``run_scaling`` searches, ascending."""
    first = min(hops, default=1)
    along = {(n, settings.relations, first) for n in subjects}
    return sorted(along | {(settings.subjects, r, k) for r in relations for k in hops})


def _folder(name: str, size: Size) -> str:
    """The name of a search: of a chain of thought of one hop, which is none, that of the training it is."""
    n, r, k = size
    return f"{'trained' if name == CHAIN and k == 1 else name}-{n}x{r}" + (f"-hops{k}" if k > 1 else "")


def _late(name: str, size: Size) -> tuple[float, Size, int]:
    """Ascending, the longest searches first."""
    n, r, k = size
    order = (*CONDITIONS, CHAIN)
    return -float(n * r**k), size, -order.index(name)


def check_search(
    settings: RecallSettings, conditions: Sequence[str], sizes: Sequence[Size], grid: Mapping[str, Sequence[int]]
) -> None:
    """Raises ValueError for conditions, a ``grid`` of subjects, relations and hops with its ``sizes``, and settings
    that ``run_scaling`` refuses."""
    several = max(grid["hops"], default=1) > 1
    known = HOP_CONDITIONS if several else CONDITIONS
    for name in conditions:
        if name not in (*CONDITIONS, CHAIN):
            raise ValueError(f"unknown condition {name!r}; {choose(name, known)}")
        if name not in known:
            raise ValueError(f"{name} is for {'one hop' if several else 'several hops'}; {choose(name, known)}")
    for what, values in (("conditions", conditions), *grid.items()):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{what} must be one or more different values; got {', '.join(map(str, values))}")
    if settings.hops != 1 or not settings.shared or settings.attributes:
        raise ValueError(
            "the smallest dimension is for settings of one hop and shared attributes, as many as subjects; the numbers "
            "of hops are given beside them"
        )
    if settings.heads != 1:
        raise ValueError(f"heads must be 1, so that any width can be tried; got {settings.heads}")
    for size in sizes:
        for name in conditions:
            sized(name, settings, *size)
    check_recall(settings)


def _search_in(
    name: str, settings: RecallSettings, seed: int, options: Mapping[str, Any], path: Path, *, restart: Restart,
    watch: Watch,
) -> SmallestWidth:  # fmt: skip
    """The search in its folder, or what an earlier one with the same settings found there."""
    if watch.stop_asked:
        raise Interrupted(f"interrupted before {path.name}: go on with --resume")
    config = {"condition": name, "settings": dataclasses.asdict(settings), "seed": seed, **options}
    smallest = _read(RunDir(path), config) if restart.resume else None
    if smallest is None:
        smallest = _search(name, settings, seed, options, watch.stop)
        folder = RunDir.create(path, config, overwrite=restart.takes_folder)
        folder.write_scores(dataclasses.asdict(smallest))
        folder.seal()
    watch.report("searching", 1.0)
    return smallest


def _search(
    name: str, settings: RecallSettings, seed: int, options: Mapping[str, Any], stop: StopRequest | None
) -> SmallestWidth:
    if name in CONSTRUCTIONS:
        # The threshold of trainings is a lower level of constructions, which must recall everything.
        levels = [level for level in (options["threshold"], *options["lower"]) if options["lower"] and level < 1]
        return smallest_construction(name, settings.subjects, settings.relations, seed, lower=levels)
    start = expected_width(name, settings.subjects, settings.relations, settings.hops)
    return smallest_width(frozen_as(name, settings), seed, start=start, stop=stop, **options)


def _read(folder: RunDir, config: Mapping[str, Any]) -> SmallestWidth | None:
    """None where no such search ended, or something of it is damaged."""
    if not folder.is_final("config.json") or not folder.is_final("scores.json"):
        return None
    if completed(folder.read_config()) != from_json(to_json(config)):
        return None
    kept = folder.read_scores()
    return SmallestWidth(kept["width"], tuple(Trial(**trial) for trial in kept["tried"]), kept["seconds"])
