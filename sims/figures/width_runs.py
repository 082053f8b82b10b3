"""Node2Vec runs that differ in their width alone, from compare folders, sweeps or single run folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compare.folder import read_settings, read_task
from ..draw.sources import Source, Unsuitable, source_of_run
from ..models.registry import Model, get_model
from ..runs.folder import RunDir
from ..sweep.run import SWEEP_FILE
from ..tasks.task import Task

Floats = NDArray[np.float64]

NODE2VEC = "node2vec"
SAME = 1e-6  # relative difference of two starting sizes that are one: width x init_std^2 of rounded init_std
FREE = ("width", "init_std")
ADVICE = "run `fiedler compare GRAPH --model node2vec --width M --init-std S --out DIR` with S = s / sqrt(M)"


@dataclass(frozen=True, eq=False)
class WidthRuns:
    """``energy`` by width: (seeds, k, modes) of the embedding, mean included, at the ``steps`` (k,) > 0. ``settings``:
    those of one of the runs; all have its starting size s^2 = ``start``."""

    task: Task
    model: Model
    settings: Any
    start: float
    steps: NDArray[np.int64]
    energy: dict[int, Floats]
    seeds: tuple[int, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, eq=False)
class _Found:
    """One run folder with what is compared of it."""

    path: Path
    config: dict[str, Any]
    settings: Any
    start: float


def read_widths(folders: Sequence[Path]) -> WidthRuns:
    """Of a sweep over width and init_std the points of one starting size, that of most widths. Raises Unsuitable for
    folders without such runs, fewer than two widths, or runs that differ in more."""
    model = get_model(NODE2VEC)
    runs = [run for folder in folders for run in _found(folder, model)]
    if not runs:
        raise Unsuitable(f"there is no {NODE2VEC} run in {', '.join(map(str, folders))}")
    first, energy = runs[0], dict[int, dict[int, Floats]]()
    modes = RunDir(first.path).read_modes()
    task, steps = read_task(first.config, modes), modes["steps"]
    for run in runs:
        _check_alike(run, first)
        of_width = energy.setdefault(run.settings.width, {})
        if run.config["seed"] in of_width:
            raise Unsuitable(f"width {run.settings.width}, seed {run.config['seed']} is given twice")
        of_width[run.config["seed"]] = RunDir(run.path).read_modes()["energy"][steps > 0]
    if len(energy) < 2:
        raise Unsuitable(f"all runs have width {first.settings.width}; at least two widths are needed: {ADVICE}")
    if first.settings.init != "gaussian":
        raise Unsuitable("runs from orthogonal starts are on the infinite-width flow at every width: use gaussian ones")
    arrays = {width: np.array([energy[width][seed] for seed in sorted(energy[width])]) for width in sorted(energy)}
    seeds = sorted({seed for of_width in energy.values() for seed in of_width})
    sources = tuple(_source(folder, runs) for folder in folders)
    return WidthRuns(task, model, first.settings, first.start, steps[steps > 0], arrays, tuple(seeds), sources)


def _found(folder: Path, model: Model) -> list[_Found]:
    """The Node2Vec runs of one folder."""
    found = []
    for run in _runs(folder):
        config = run.read_config()
        if config.get("model") == NODE2VEC:
            settings = read_settings(model, config["settings"])
            found.append(_Found(run.path, config, settings, float(model.initial_energy(settings))))
    if not (folder / SWEEP_FILE).is_file():
        return found
    groups: list[list[_Found]] = []
    for one in found:
        group = next((group for group in groups if _same_start(group[0], one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return max(groups, key=lambda group: len({one.settings.width for one in group}), default=[])


def _same_start(one: _Found, other: _Found) -> bool:
    return abs(one.start - other.start) <= SAME * other.start


def _runs(folder: Path) -> Iterator[RunDir]:
    """The finished run folders of a comparison, of a sweep, or the folder itself."""
    if not folder.is_dir():
        raise Unsuitable(f"{folder} is not a folder")
    pattern = "points/*/seed*" if (folder / SWEEP_FILE).is_file() else "runs/*-seed*"
    paths = sorted(folder.glob(pattern)) or [folder]
    for path in paths:
        try:
            run = RunDir.open(path)
        except ValueError as error:
            raise Unsuitable(str(error).partition(":")[0]) from error
        if run.finished or (path / "modes.npz").is_file():
            yield run


def _source(folder: Path, runs: Sequence[_Found]) -> Source:
    """Of a folder; a sweep keeps its command with its points."""
    mine = [run for run in runs if run.path == folder or folder in run.path.parents]
    at = folder if (folder / "config.json").is_file() else mine[0].path
    source = source_of_run(RunDir(at))
    seeds = tuple(sorted({run.config["seed"] for run in mine}))
    return Source(str(folder), source.command, seeds, source.versions, source.commit, source.time)


def _alike(run: _Found) -> dict[str, Any]:
    """What has to be the same in all runs."""
    settings = {name: value for name, value in asdict(run.settings).items() if name not in FREE}
    task = {name: value for name, value in run.config.items() if name not in ("settings", "seed")}
    return settings | task


def _check_alike(run: _Found, first: _Found) -> None:
    wanted = _alike(first)
    for name, value in _alike(run).items():
        if value != wanted.get(name):
            raise Unsuitable(f"{run.path} has {name} {value} and others {wanted.get(name)}: only the width may differ")
    if not _same_start(run, first):
        raise Unsuitable(
            f"{run.path} starts at size width x init_std^2 = {run.start:.4g} and others at {first.start:.4g}, from "
            f"which the flow of infinite width differs: {ADVICE}"
        )
