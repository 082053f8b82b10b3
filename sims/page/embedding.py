"""The section that shows the nodes: a slider over the steps, theory beside experiment."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..draw.principal_plane import node_colours
from .blocks import Embedding, Section
from .positions import Motion, motions
from .views import TaskView

Floats = NDArray[np.float64]

POSITION_BYTES = 2_500_000  # of all runs on a page, before compression: the page stays under 6 MB
FEWEST_FRAMES = 12  # a seed is left out before a run has fewer
MOST_NODES = 20_000  # a browser draws no more as single points


def embedding_section(view: TaskView, share: float = 1.0) -> Section | None:
    """None where the graph is too large to be drawn node by node. ``share``: of the page's room for positions."""
    if view.graph.n > MOST_NODES:
        return None
    kept, notes = _within_budget([motions(view, model) for model in view.models], view.graph.n, share)
    adjacency = view.graph.adjacency.tocoo()
    edges = np.stack([adjacency.row, adjacency.col], axis=1)
    edges = edges[edges[:, 0] < edges[:, 1]]
    predicted = next((motion.predicted for motion in kept if motion.predicted is not None), None)
    plane = None if predicted is None else predicted[-1][:, :2]
    content = {
        "nodes": [str(node) for node in view.graph.nodes],
        "edges": b64encode(edges.astype("<u4").tobytes()).decode(),
        "colours": node_colours(view.graph, plane),
        "series": _series(kept),
    }
    with_theory = any(motion.predicted is not None for motion in kept)
    what = "theory beside experiment, in one orientation" if with_theory else "in its own principal directions"
    alt = f"Positions of the {view.graph.n} nodes of {view.graph.name} over training, {what}"
    return Section(
        "Embedding",
        [Embedding("embedding", alt, content)],
        [*_explanation(kept, with_theory), *notes],
        view.source,
    )


def _explanation(kept: Sequence[Motion], with_theory: bool) -> list[str]:
    if not with_theory:
        return ["The embedding less its mean row, in the leading directions of its last step; there is no prediction."]
    own = [motion for motion in kept if motion.own]
    notes = []
    if own:
        labels = ", ".join(dict.fromkeys(motion.label for motion in own))
        notes.append(
            f"{labels}: left the gradient flow from the run's own V(0), right the run, both turned by the one rotation "
            "that lays the flow's last embedding onto that of infinite width; nothing is fitted to the run."
        )
    if len(own) < len(kept):
        rest = ", ".join(dict.fromkeys(motion.label for motion in kept if not motion.own))
        notes.append(
            f"{rest}: left the flow of infinite width, in the leading directions of its last embedding; right the run, "
            "turned onto it by one orthogonal Procrustes rotation for all steps and scaled by one factor to fit at the "
            "last step."
        )
    if all(len(motion.steps) == 1 for motion in kept):
        notes.append("These runs kept no positions on the way: only the last step is shown.")
    return notes


def _within_budget(models: Sequence[list[Motion]], n: int, share: float) -> tuple[list[Motion], list[str]]:
    """As many seeds and frames as fit into the room, theory's frames once a model, or a seed where they are its own."""
    bytes_a_frame, room = 2 * 3 * n, share * POSITION_BYTES
    seeds = max(len(of_model) for of_model in models)
    frames = max(len(motion.steps) for of_model in models for motion in of_model)

    def size(seeds: int, frames: int) -> int:
        kept = [of_model[:seeds] for of_model in models]
        return sum(len(runs) + max(1, sum(run.own for run in runs)) for runs in kept) * frames * bytes_a_frame

    first, most = seeds, frames
    while seeds > 1 and size(seeds, min(frames, FEWEST_FRAMES)) > room:
        seeds -= 1
    while frames > 1 and size(seeds, frames) > room:
        frames -= 1
    notes = []
    if seeds < first:
        notes.append(f"To keep the page small, {seeds} of {first} seeds of each model are shown.")
    if frames < most:
        notes.append(f"To keep the page small, {frames} of the {most} kept steps are shown.")
    return [_thinned(motion, frames) for of_model in models for motion in of_model[:seeds]], notes


def _thinned(motion: Motion, frames: int) -> Motion:
    if len(motion.steps) <= frames:
        return motion
    # The last step stays, whatever goes.
    keep = np.unique(np.round(np.linspace(len(motion.steps) - 1, 0, frames)).astype(int))
    return replace(
        motion,
        steps=motion.steps[keep],
        times=None if motion.times is None else motion.times[keep],
        measured=motion.measured[keep],
        predicted=None if motion.predicted is None else motion.predicted[keep],
    )


def _series(kept: Sequence[Motion]) -> list[dict[str, Any]]:
    found, known = [], dict[str, str]()
    for motion in kept:
        theory = None
        if motion.predicted is not None:
            packed = _packed(motion.predicted)
            # Seeds of one model share their clock and so theory's frames: sent once, named afterwards.
            name = known.setdefault(packed["data"], f"{motion.label}, seed {motion.seed}")
            same = name != f"{motion.label}, seed {motion.seed}"
            theory = {"like": name} if same else packed
        found.append(
            {
                "label": motion.label,
                "seed": motion.seed,
                "name": f"{motion.label}, seed {motion.seed}",
                "steps": motion.steps.tolist(),
                "times": None if motion.times is None else [float(f"{time:.4g}") for time in motion.times],
                "factor": float(f"{motion.factor:.4g}"),
                "measured": _packed(motion.measured),
                "predicted": theory,
            }
        )
    return found


def _packed(positions: Floats) -> dict[str, Any]:
    """(f, n, 3) as 16-bit integers of ``limit`` / 32767, little-endian, in base64."""
    limit = float(np.abs(positions).max(initial=0.0)) or 1.0
    whole = np.round(positions / limit * 32767).astype("<i2")
    return {"limit": limit, "data": b64encode(whole.tobytes()).decode()}
