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
from ...suggest import choose
from ..settings import RecallSettings
from ..training import check_recall
from .construction import CONSTRUCTIONS, smallest_construction
from .dimension import THRESHOLD, SmallestWidth, Trial, smallest_width, width_grid

# What is drawn once and not trained, beside the settings.
TRAINED: Mapping[str, Mapping[str, Any]] = {
    "trained": {"frozen": False, "frozen_codes": False},
    "frozen_subjects": {"frozen": True, "frozen_codes": False},
    "frozen_embeddings": {"frozen": True, "frozen_codes": True},
}
CONDITIONS = (*CONSTRUCTIONS, *TRAINED)
SUBJECTS, RELATIONS = (16, 32, 64, 128, 256), (1, 2, 4, 8)
# Few neurons and hardly any decay: what is not memorised then lacks dimension, not time.
SCALING = RecallSettings(
    subjects=64, relations=4, neurons=32, learning_rate=2e-2, weight_decay=0.01, steps=2000, records=80
)


@dataclass(frozen=True)
class ScalingPoint:
    """One search: ``condition``, N ``subjects``, R ``relations``, ``seed``, and what it found."""

    condition: str
    subjects: int
    relations: int
    seed: int
    found: SmallestWidth


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

    def curve(self, condition: str, against: str) -> list[ScalingPoint]:
        """The points of a condition ``against`` "subjects" or "relations", the other as in the settings."""
        fixed = "relations" if against == "subjects" else "subjects"
        points = [p for p in self.points if p.condition == condition]
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
    threshold: float = THRESHOLD,
    low: int = 2,
    high: int = 256,
    device: str = "cpu",
    jobs: int | None = None,
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> ScalingResult:
    """Search the smallest dimension of every condition at every number of ``subjects`` (with the settings' relations)
    and of ``relations`` (with the settings' subjects), ``jobs`` searches at a time with one thread each.

    ``settings``: of the trained conditions, their width aside; SCALING is made for this. ``threshold``, ``low`` and
    ``high``: as ``smallest_width``; constructions must recall every fact. With ``restart.resume`` finished searches are
    read, not made again.

    Raises ValueError for an unknown condition, repeated numbers, settings that do not fit, a folder in use or a device
    that is not there, before anything is written; FloatingPointError when training diverges; Interrupted, with every
    finished search saved, when ``watch`` asks to stop.
    """
    check_seeds(seeds)
    check_device(device)
    _check(settings, conditions, subjects, relations, threshold)
    width_grid(low, high)
    sizes = {(n, settings.relations) for n in subjects} | {(settings.subjects, r) for r in relations}
    options = {"threshold": threshold, "low": low, "high": high, "device": device}
    todo = [
        Job(f"{name}-{n}x{r}", seed, partial(_search_in, name, _sized(settings, n, r), seed, options))
        for n, r in sorted(sizes, key=lambda size: (-size[0] * size[1], size))  # the longest first
        for name in sorted(conditions, key=CONDITIONS.index, reverse=True)
        for seed in seeds
    ]
    config = {
        "settings": dataclasses.asdict(settings),
        "conditions": list(conditions),
        "subjects": list(subjects),
        "relations": list(relations),
        "seeds": list(seeds),
        **options,
    }
    widths, folder = run_all(todo, config, out, device=device, workers=jobs, restart=restart, watch=watch)
    points = [
        ScalingPoint(name, n, r, seed, widths[f"{name}-{n}x{r}", seed])
        for name in conditions
        for n, r in sorted(sizes)
        for seed in seeds
    ]
    return ScalingResult(
        settings, tuple(conditions), tuple(subjects), tuple(relations), tuple(seeds), threshold, high, tuple(points),
        folder,
    )  # fmt: skip


def _check(
    settings: RecallSettings, conditions: Sequence[str], subjects: Sequence[int], relations: Sequence[int],
    threshold: float,
) -> None:  # fmt: skip
    for name in conditions:
        if name not in CONDITIONS:
            raise ValueError(f"unknown condition {name!r}; {choose(name, CONDITIONS)}")
    for what, values in (("conditions", conditions), ("subjects", subjects), ("relations", relations)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{what} must be one or more different values; got {', '.join(map(str, values))}")
    if settings.hops != 1 or not settings.shared or settings.attributes:
        raise ValueError("the smallest dimension is for one hop and shared attributes, as many as subjects")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be a share in (0, 1]; got {threshold}")
    if settings.heads != 1:
        raise ValueError(f"heads must be 1, so that any width can be tried; got {settings.heads}")
    for n in subjects:
        _sized(settings, n, settings.relations)
    for r in relations:
        _sized(settings, settings.subjects, r)
    check_recall(settings)


def _sized(settings: RecallSettings, subjects: int, relations: int) -> RecallSettings:
    return dataclasses.replace(settings, subjects=subjects, relations=relations)


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
        return smallest_construction(name, settings.subjects, settings.relations, seed)
    return smallest_width(dataclasses.replace(settings, **TRAINED[name]), seed, stop=stop, **options)


def _read(folder: RunDir, config: Mapping[str, Any]) -> SmallestWidth | None:
    """None where no such search ended, or something of it is damaged."""
    if not folder.is_final("config.json") or not folder.is_final("scores.json"):
        return None
    if folder.read_config() != from_json(to_json(config)):
        return None
    kept = folder.read_scores()
    return SmallestWidth(kept["width"], tuple(Trial(**trial) for trial in kept["tried"]), kept["seconds"])
