"""Path runs of one graph from one or several folders of `fiedler paths`, or their results kept as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fiedler.theory import Graph, parse

from ..draw.sources import Source, Unsuitable, open_run, read_answer, source_of_run
from ..paths.one_run import PathRun
from ..paths.presets import PRESETS
from ..paths.settings import PathSettings
from ..runs.folder import RunDir

PATHS = "the folder of a `fiedler paths`"


@dataclass(frozen=True, eq=False)
class PathNumbers:
    """``conditions``: for each the summary that scores.json has; ``curves``: for each its runs' records, a list a seed;
    ``preset``: the name in presets of what is shown."""

    graph: str
    conditions: dict[str, dict[str, Any]]
    curves: dict[str, list[list[dict[str, Any]]]]
    sources: tuple[Source, ...]


def read_numbers(paths: Sequence[Path], preset: str, needs: Sequence[str], arch: str) -> PathNumbers:
    """The conditions of ``preset`` that the folders hold, in its order. Raises Unsuitable where one of ``needs`` is
    missing, for conditions given twice, several graphs, or another architecture."""
    conditions: dict[str, dict[str, Any]] = {}
    curves: dict[str, list[list[dict[str, Any]]]] = {}
    graphs, sources = set(), []
    for path in paths:
        answer, source = read_answer(path, ("graph", "conditions", "curve"), PATHS, preset)
        graphs.add(answer["graph"])
        sources.append(source)
        for name in answer["conditions"]:
            if name in conditions:
                raise Unsuitable(f"{path} has the condition {name} again")
            conditions[name] = answer[name]
            records = [record for record in answer["curve"] if record["condition"] == name]
            seeds = list(dict.fromkeys(record["seed"] for record in records))
            curves[name] = [[record for record in records if record["seed"] == seed] for seed in seeds]
    order = _order(conditions, preset, needs, paths)
    _one_graph(graphs)
    for name in order:
        _check_arch(name, conditions[name]["settings"]["arch"], arch)
    return PathNumbers(
        graphs.pop(), {name: conditions[name] for name in order}, {name: curves[name] for name in order}, tuple(sources)
    )


def read_runs(
    paths: Sequence[Path], preset: str, needs: Sequence[str], arch: str
) -> tuple[Graph, dict[str, PathRun], tuple[Source, ...]]:
    """The first seed of every condition as ``read_numbers``, with its embedding: needs run folders."""
    found: dict[str, PathRun] = {}
    graphs, sources = set(), []
    for path in paths:
        folder, config = open_run(path, ("graph", "conditions", "seeds"), PATHS)
        graphs.add(config["graph"])
        sources.append(source_of_run(folder))
        for name in config["conditions"]:
            if name in found:
                raise Unsuitable(f"{path} has the condition {name} again")
            found[name] = _read_run(path / "runs" / f"{name}-seed{config['seeds'][0]}")
    order = _order(found, preset, needs, paths)
    _one_graph(graphs)
    for name in order:
        _check_arch(name, found[name].settings.arch, arch)
    return parse(graphs.pop()), {name: found[name] for name in order}, tuple(sources)


def accuracy(curve: Sequence[Sequence[Mapping[str, Any]]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (k,) and values (seeds, k, ...) of one number of the records."""
    steps = np.array([record["step"] for record in curve[0]])
    return steps, np.array([[record[key] for record in run] for run in curve])


def _order(found: Mapping[str, Any], preset: str, needs: Sequence[str], paths: Sequence[Path]) -> list[str]:
    for name in needs:
        if name not in found:
            raise Unsuitable(f"{', '.join(map(str, paths))} without the condition {name}")
    return [name for name in _known(preset, needs) if name in found]


def _known(preset: str, needs: Sequence[str]) -> Iterator[str]:
    yield from dict.fromkeys((*PRESETS[preset].conditions, *needs))


def _one_graph(graphs: set[str]) -> None:
    if len(graphs) > 1:
        raise Unsuitable(f"the folders are of several graphs, {', '.join(sorted(graphs))}: give those of one")


def _check_arch(name: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise Unsuitable(f"the condition {name} was trained with {found}, and the figure is of {wanted}")


def _read_run(path: Path) -> PathRun:
    folder = RunDir.open(path)
    config, scores = folder.read_config(), folder.read_scores()
    settings = PathSettings(**config["settings"])
    embedding = folder.read_embeddings()["embedding"].astype(np.float32)
    # Neither is kept with the run, and no figure of the geometry shows them.
    unknown: dict[str, Any] = {"parameters": 0, "chance": float("nan")}
    return PathRun(
        settings, config["seed"], tuple(folder.read_metrics()), embedding, float(scores["seconds"]), **unknown
    )
