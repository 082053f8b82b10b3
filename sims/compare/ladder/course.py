"""What figures and pages show of a rung: its mode energies beside the predicted ones; as arrays, and read again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...draw.sources import Source, Unsuitable, open_run, source_of_run
from .agreement import Agreement
from .retention import Shares, first_share

Floats = NDArray[np.float64]

LADDER = "the folder of a `fiedler compare --preset ladder`, depth, four-cells, bridge, retention or starts"
SCORES, MODES = "scores.json", "modes.npz"


@dataclass(frozen=True, eq=False)
class RungCourse:
    """One rung on one graph: its ``title``, the ``seeds`` and the agreement of each; at ``times`` (k,) > 0, in steps
    without flow time, the centred mode energies measured and, at their clock, predicted (seeds, k, modes)."""

    title: str
    seeds: tuple[int, ...]
    agreements: tuple[Agreement, ...]
    times: Floats
    energy: Floats
    predicted: Floats

    @property
    def has_clock(self) -> bool:
        """Whether its steps are flow time, so that nothing has to be fitted."""
        return bool(np.isfinite(self.agreements[0].over_time))

    @property
    def share(self) -> Floats:
        """Of the measured energy in the first eigenspace (seeds, k), see ``retention``."""
        return first_share(self.energy)

    @property
    def predicted_share(self) -> Floats:
        """Of the predicted energy."""
        return first_share(self.predicted)


Graphs = Sequence[tuple[str, Sequence[RungCourse]]]


def course_shares(graphs: Graphs) -> list[tuple[str, list[Shares]]]:
    """The share in the first eigenspace of every rung on every graph."""
    return [
        (graph, [Shares(one.title, one.times, one.share, one.predicted_share, one.has_clock) for one in rungs])
        for graph, rungs in graphs
    ]


def course_arrays(graphs: Graphs) -> dict[str, NDArray[Any]]:
    """modes.npz of a ladder: GRAPH/RUNG/times, energy and predicted by their places."""
    return {
        f"{i}/{j}/{name}": getattr(rung, name)
        for i, (_, rungs) in enumerate(graphs)
        for j, rung in enumerate(rungs)
        for name in ("times", "energy", "predicted")
    }


def read_courses(path: Path) -> tuple[Mapping[str, Any], Graphs, Source]:
    """scores.json of a finished ladder, what it shows, and where it comes from; nothing is predicted again. Raises
    Unsuitable for any other folder, and one of a version that kept no predictions."""
    folder, _ = open_run(path, ("preset",), LADDER)
    if not (path / SCORES).is_file():
        raise Unsuitable(f"{path} holds a preset that is not finished: go on with --resume")
    scores = folder.read_scores()
    if "ladder" not in scores:
        raise Unsuitable(f"{path} is not {LADDER}")
    if not (path / MODES).is_file():
        raise Unsuitable(
            f"{path} keeps no predictions, as earlier versions made it: the same command with --resume adds them"
        )
    modes = folder.read_modes()
    graphs = [
        (graph, [_course(row, modes, f"{i}/{j}") for j, row in enumerate(rows)])
        for i, (graph, rows) in enumerate(scores["ladder"].items())
    ]
    return scores, graphs, source_of_run(folder)


def _course(row: Mapping[str, Any], modes: Mapping[str, NDArray[Any]], place: str) -> RungCourse:
    names = [one.name for one in dataclasses.fields(Agreement)]
    found = [{name: seed[name] for name in names} for seed in row["seeds"]]
    return RungCourse(
        row["title"],
        tuple(seed["seed"] for seed in row["seeds"]),
        tuple(Agreement(**{k: float("nan") if v is None and k != "parted_at" else v for k, v in one.items()})
              for one in found),
        *(modes[f"{place}/{name}"] for name in ("times", "energy", "predicted")),
    )  # fmt: skip
