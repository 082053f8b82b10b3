"""Node positions over time, theory and experiment in one orientation.

A Node2Vec run that recorded its V(0) whole is drawn beside the flow from that V(0), both times one matrix R with
orthonormal columns that turns the flow's last embedding onto that of infinite width: nothing is fitted to the run.

Otherwise theory is V(t) of the flow of infinite width in the leading directions of its last embedding, and experiment V
of the run times one R for all its steps, the one that maximises sum_t tr(R' V(t)' X(t)) / (|V(t)| |X(t)|) over theory's
positions X at the same times (orthogonal Procrustes), and one factor. Gradient flow of tied embeddings multiplies V
from the left alone, so one R suits all times. Where a run kept only principal coordinates, which have no orientation of
their own, every step has its own R.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from ..compare.at_time import own_start
from ..draw.plane import clear_view
from ..predict.at_time import flow_positions
from ..runs.engine import Run
from ..runs.scored import own_decay
from .views import PREDICTED_NODES, ModelView, TaskView

Floats = NDArray[np.float64]

DRAWN = 3  # coordinates
FLOW_SECONDS = 20.0  # for those of one model
TIME_ZERO = 1e-3  # of the first predicted time: where the start is drawn on a logarithmic axis


@dataclass(frozen=True, eq=False)
class Motion:
    """One run's nodes over time. ``steps`` (f,); ``times`` (f,) of the flow, None without a clock; ``measured`` and
    ``predicted`` (f, n, 3), the latter None without a prediction; ``factor``: of the measured positions; ``own``:
    whether the prediction starts from the run's own V(0)."""

    label: str
    seed: int
    steps: NDArray[np.int64]
    times: Floats | None
    measured: Floats
    predicted: Floats | None
    factor: float
    own: bool = False


def motions(view: TaskView, model: ModelView) -> list[Motion]:
    """Every seed of a model, in the order of the seeds."""
    frame, began = _view_of(model), time.monotonic()
    return [_motion(view, model, run, frame, FLOW_SECONDS - (time.monotonic() - began)) for run in model.runs]


def _motion(view: TaskView, model: ModelView, run: Run, frame: Floats | None, seconds: float) -> Motion:
    modes = run.modes
    flow = None if frame is None else _own_flow(view, model, run, frame, seconds)
    if flow is not None:
        return flow
    if modes.snapshots is None or modes.snapshot_steps is None:
        steps, shots = modes.steps[-1:], [view.centred(run.final.embedding)]
    else:
        steps, shots = modes.snapshot_steps, [view.centred(shot) for shot in modes.snapshots]
    scale = model.time_scale
    times = None if scale is None else np.asarray(scale * steps, dtype=np.float64)
    if frame is None or times is None or model.predicted is None:
        return Motion(model.model.title, run.seed, steps, times, _own(shots), None, 1.0)
    wanted = _at(model, times) @ frame
    measured = _aligned(shots, wanted, together=bool(modes.snapshot_whole))
    size = float((measured[-1] ** 2).sum())
    factor = float((measured[-1] * wanted[-1]).sum()) / size if size > 0 else 1.0
    return Motion(
        model.model.title, run.seed, steps, times, factor * measured[:, :, :DRAWN], wanted[:, :, :DRAWN], factor
    )


def _own_flow(view: TaskView, model: ModelView, run: Run, frame: Floats, seconds: float) -> Motion | None:
    """Both in one frame, without any fit; None where the flow is not the run's own, or takes too long."""
    clock, start, steps = model.model.time_per_step(model.settings), own_start(run), run.modes.snapshot_steps
    small = view.graph.n <= PREDICTED_NODES
    if clock is None or start is None or steps is None or len(steps) < 2 or not small:
        return None
    times = np.asarray(clock * steps, dtype=np.float64)
    found = flow_positions(view.task, start, times, own_decay(model.model, model.settings), seconds)
    if found is None:
        return None
    wanted = [view.centred(positions) for positions in found]
    shots = [view.centred(shot) for shot in np.asarray(run.modes.snapshots)]
    turn = _procrustes(wanted[-1].T @ (_at(model, times[-1:])[0] @ frame))[:, :DRAWN]
    measured, predicted = (np.array([one @ turn for one in ones]) for ones in (shots, wanted))
    room = ((0, 0), (0, 0), (0, DRAWN - turn.shape[1]))
    return Motion(
        model.model.title, run.seed, steps, times, np.pad(measured, room), np.pad(predicted, room), 1.0, own=True
    )


def _view_of(model: ModelView) -> Floats | None:
    """A rotation of theory's directions for the clearest view inside a repeated eigenvalue; None without a
    prediction."""
    if model.predicted is None or model.predicted.positions.shape[0] == 0:
        return None
    last = np.asarray(model.predicted.positions[-1], dtype=np.float64)
    values = (last**2).sum(axis=0)
    if not (values > 0).any():
        return None
    found = clear_view(last, values)
    width = found.shape[1]
    return np.pad(found, ((0, 0), (0, max(0, DRAWN - width))))


def _at(model: ModelView, times: Floats) -> Floats:
    """Theory's positions (f, n, r) at ``times``, linear in log time, constant beyond either end."""
    assert model.predicted is not None
    known, frames = model.predicted.position_times, np.asarray(model.predicted.positions, dtype=np.float64)
    place = np.interp(np.log(np.maximum(times, TIME_ZERO * known[0])), np.log(known), np.arange(len(known)))
    low = np.minimum(place.astype(int), len(known) - 2) if len(known) > 1 else np.zeros(len(place), dtype=int)
    part = (place - low)[:, None, None]
    high = np.minimum(low + 1, len(known) - 1)
    return np.asarray((1 - part) * frames[low] + part * frames[high])


def _aligned(shots: list[Floats], wanted: Floats, *, together: bool) -> Floats:
    """The embeddings (n, m) in the coordinates of ``wanted`` (f, n, r)."""
    products = []
    for shot, x in zip(shots, wanted, strict=True):
        size = float(np.linalg.norm(shot) * np.linalg.norm(x))
        products.append(shot.T @ x / size if size > 0 else np.zeros((shot.shape[1], x.shape[1])))
    turns = [_procrustes(np.sum(products, axis=0))] * len(shots) if together else [_procrustes(p) for p in products]
    return np.array([shot @ turn for shot, turn in zip(shots, turns, strict=True)])


def _procrustes(product: Floats) -> Floats:
    """R (m, r) with orthonormal columns (rows, where m < r) that maximises tr(R' product)."""
    left, _, right = svd(product, full_matrices=False)
    return np.asarray(left @ right)


def _own(shots: list[Floats]) -> Floats:
    """Without theory: every embedding in the leading directions of the last one."""
    directions = np.linalg.svd(shots[-1], full_matrices=False)[2][:DRAWN].T
    out = np.array([shot @ directions for shot in shots])
    return np.pad(out, ((0, 0), (0, 0), (0, DRAWN - out.shape[2])))
