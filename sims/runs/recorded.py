"""What a run on a graph leaves of its records: the lines of metrics.jsonl, and modes.npz with the graph beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.protocol import Snapshot
from ..scores.line_scores import LineScores, line_scores
from ..tasks.task import Task
from .graph_arrays import graph_arrays
from .recorder import Modes, Recorder


def record_snapshot(task: Task, recorder: Recorder, shot: Snapshot, time_per_step: float | None) -> dict[str, Any]:
    """Record one seed at one step; its line of metrics.jsonl. ``time_per_step``: as for ``modes_arrays``."""
    lines: LineScores | None = None if shot.logits is None else line_scores(task, shot.embedding, shot.logits)
    recorder.record(shot.embedding, shot.loss, lines)
    time = None if time_per_step is None else time_per_step * shot.step
    return {"step": shot.step, "time": time, "loss_per_node": shot.loss, **({} if lines is None else lines._asdict())}


def modes_arrays(task: Task, modes: Modes, time_per_step: float | None) -> dict[str, NDArray[Any]]:
    """The arrays by name. ``time_per_step``: of the flow's time, None where no clock is known, and then no "times"."""
    optional = {
        "edge_recall": modes.edge_recall,
        "geometric_level": modes.geometric_level,
        "snapshot_steps": modes.snapshot_steps,
        "snapshots": modes.snapshots,
        "snapshot_whole": modes.snapshot_whole,
    }
    times = {} if time_per_step is None else {"times": time_per_step * modes.steps}
    return {
        **{name: values for name, values in optional.items() if values is not None},
        **graph_arrays(task.graph),
        "steps": modes.steps,
        "energy": modes.energy,
        "centred_energy": modes.centred_energy,
        "loss_per_node": modes.loss,
        "eigenvalues": task.spaces.eigenvalues,
        "multiplicities": np.asarray(task.spaces.multiplicities),
        **times,
    }
