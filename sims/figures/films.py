"""Embeddings on the way, from the folders of comparisons and of path runs: what every run kept of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes

from fiedler.theory import Graph, parse

from ..compare.folder import read_comparison
from ..draw.sources import Source, Unsuitable, open_run, source_of_run
from ..paths.film import NODES, ROWS, STEPS
from ..paths.star import ROOT, StarPaths, star_paths
from ..runs.folder import RunDir

Floats = NDArray[np.float64]

FOLDERS = "the folder of a `fiedler compare GRAPH` or a `fiedler paths`"


@dataclass(frozen=True, eq=False)
class Reel:
    """One model or condition on one graph. ``frames``: of each of the ``seeds`` (f, k, m) rows of ``nodes`` (k,) at
    ``steps`` (f,). ``of``: the width of the embedding, where only its m leading principal coordinates were kept, else
    0. ``log``: whether steps are spread evenly in their logarithm."""

    name: str
    graph: Graph
    nodes: NDArray[np.int64]
    steps: NDArray[np.int64]
    seeds: tuple[int, ...]
    frames: tuple[Floats, ...]
    of: int
    log: bool

    @property
    def columns(self) -> int:
        """m."""
        return self.frames[0].shape[2]

    def centred(self, seed: int = 0) -> Floats:
        """The frames of a seed by its place, less the mean row of each component (of the nodes kept)."""
        labels = self.graph.component_labels[self.nodes]
        sizes = np.bincount(labels, minlength=self.graph.component_count)
        means = np.zeros((len(self.steps), self.graph.component_count, self.columns))
        for step, frame in zip(means, self.frames[seed], strict=True):
            np.add.at(step, labels, frame)
        return np.asarray(self.frames[seed] - (means / np.maximum(sizes, 1)[:, None])[:, labels])

    def in_last_plane(self, seed: int = 0) -> Floats:
        """(f, k, 2): the centred frames in the plane of the last one's first two principal directions. Where principal
        coordinates were kept, which have no orientation of their own, each frame is first turned onto the last
        (orthogonal Procrustes)."""
        frames = self.centred(seed)
        if self.of:
            frames = np.array([frame @ orthogonal_procrustes(frame, frames[-1])[0] for frame in frames])
        plane = np.linalg.svd(frames[-1], full_matrices=False)[2][:2]
        flat = frames @ plane.T
        return np.pad(flat, ((0, 0), (0, 0), (0, 2 - flat.shape[2])))


@dataclass(frozen=True, eq=False)
class Arms:
    """Of the nodes of a reel on a star: ``depth`` (k,), the root's 0, and ``arm`` (k,), the root's -1."""

    depth: NDArray[np.int64]
    arm: NDArray[np.int64]

    @staticmethod
    def of(reel: Reel) -> Arms:
        """Raises Unsuitable for a graph that is no star."""
        try:
            star: StarPaths = star_paths(_with_family(reel.graph))
        except ValueError as error:
            raise Unsuitable(str(error)) from error
        depth, arm = np.zeros(reel.graph.n, dtype=np.int64), np.full(reel.graph.n, -1)
        for k, nodes in enumerate(star.paths.T):
            depth[nodes] = k
            arm[nodes] = star.arms
        arm[ROOT] = -1
        return Arms(depth[reel.nodes], arm[reel.nodes])


def read_reels(folders: Sequence[Path]) -> tuple[list[Reel], tuple[Source, ...]]:
    """Every model of comparisons and every condition in the weights of path runs. Raises Unsuitable for other folders,
    and where nothing was kept on the way."""
    reels: list[tuple[Path, Reel]] = []
    sources = []
    for path in folders:
        folder, config = open_run(path, ("graph", "seeds"), FOLDERS)
        if not isinstance(config.get("models"), dict) and not _of_paths(config):
            raise Unsuitable(f"{path} is not {FOLDERS}")
        found = list(_of_comparison(path) if "models" in config else _of_path_runs(path, config))
        if not found:
            raise Unsuitable(f"{path} keeps no embeddings on the way")
        reels += [(path, reel) for reel in found]
        sources.append(source_of_run(folder))
    return _told_apart(reels), tuple(sources)


def _told_apart(reels: Sequence[tuple[Path, Reel]]) -> list[Reel]:
    """Each with its graph in its name where there are several, and with its folder where that is not enough."""
    several = len({reel.graph.name for _, reel in reels}) > 1
    names = [f"{reel.name}, {reel.graph.name}" if several else reel.name for _, reel in reels]
    return [
        replace(reel, name=name if names.count(name) == 1 else f"{name}, {path.resolve().name}")
        for name, (path, reel) in zip(names, reels, strict=True)
    ]


def kept_text(reels: Sequence[Reel]) -> str:
    """What of the embeddings was kept, in a sentence; empty where all was."""
    found = [
        f"{reel.name}: {len(reel.nodes):,} of {reel.graph.n:,} nodes were kept, whole arms evenly chosen"
        for reel in reels
        if len(reel.nodes) < reel.graph.n
    ]
    found += [f"{reel.name}: {reel.columns} leading of {reel.of} principal coordinates were kept"
              for reel in reels if reel.of]  # fmt: skip
    return f" {'; '.join(found)}." if found else ""


def _with_family(graph: Graph) -> Graph:
    """The graph that its name says, where that is the same: one that is kept with a run does not say its family."""
    try:
        named = parse(graph.name)
    except (ValueError, OSError):
        return graph
    same = named.n == graph.n and (named.adjacency != graph.adjacency).nnz == 0
    return named if same else graph


def _of_paths(config: Mapping[str, Any]) -> bool:
    conditions = config.get("conditions")
    return isinstance(conditions, dict) and all("path_batch" in one for one in conditions.values())


def _of_comparison(path: Path) -> Iterator[Reel]:
    comparison, _ = read_comparison(path)
    graph = comparison.task.graph
    for one in comparison.models:
        modes = [run.modes for run in one.runs]
        steps = modes[0].snapshot_steps
        if steps is None or any(each.snapshots is None for each in modes):
            continue
        whole = all(bool(each.snapshot_whole) for each in modes)
        frames = tuple(np.asarray(each.snapshots, dtype=np.float64) for each in modes)
        width = one.runs[0].final.embedding.shape[1]
        seeds = tuple(run.seed for run in one.runs)
        yield Reel(one.model.title, graph, np.arange(graph.n), steps, seeds, frames, 0 if whole else width, log=True)


def _of_path_runs(path: Path, config: Mapping[str, Any]) -> Iterator[Reel]:
    graph = parse(config["graph"])
    for name, settings in config["conditions"].items():
        if settings["in_context"]:
            continue  # its labels are others in every prompt: they have no geometry
        kept = [RunDir.open(path / "runs" / f"{name}-seed{seed}").read_embeddings() for seed in config["seeds"]]
        if not all(ROWS in arrays for arrays in kept):
            raise Unsuitable(
                f"{path} keeps no embeddings on the way, as an earlier version made it: the same command with "
                "--overwrite, or with another --out, does"
            )
        # A run that an earlier version had begun lacks the first of them.
        steps = np.array(sorted(set.intersection(*(set(arrays[STEPS].tolist()) for arrays in kept))), dtype=np.int64)
        frames = tuple(arrays[ROWS][np.isin(arrays[STEPS], steps)].astype(np.float64) for arrays in kept)
        title, seeds = name.replace("_", " "), tuple(config["seeds"])
        yield Reel(title, graph, kept[0][NODES], steps, seeds, frames, 0, log=False)
