"""Runs on tiny graphs: which eigenspaces the embedding uses, in which order they are filtered out."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np

from fiedler.theory import centre_rows, geometric_level, mode_energy, parse

from ...compare.ladder.bridge import Bridge
from ...compare.ladder.ranks import Ranks
from ...compare.mode_order import spectral_bias
from ...models.registry import get_model
from ...predict.trajectory import PredictedTrajectory, predict_trajectory
from ...runs.recorder import log_spaced_steps
from ...tasks.task import Task
from ..cell import At
from .training import train

MIDDLE = 2.0  # eigenvalue of -L's negative, (I - T) + (I - T)', above which T + T' is negative


def modes(
    at: At, graph: str, model: str, self_edges: bool = False, label_smoothing: float = 0.0, weights: str = "node"
) -> dict[str, Any]:
    """The embedding at the end: ``negative``: the share of its centred energy on eigenvectors of T + T' with a negative
    eigenvalue; ``first``: the share in the first eigenspace after that of zero; ``neighbours``: centred mean cosine of
    neighbours; effective ranks of embedding and logits; loss per node, and recall of edges; untied also ``alignment``
    of V and U and ``two_hops`` found by feeding one hop to the next."""
    task = Task(parse(graph), self_edges=self_edges, label_smoothing=label_smoothing, weights=weights)
    run = train(at, task, model)
    v = np.asarray(run.final.embedding, dtype=np.float64)
    energy = mode_energy(centre_rows(v), task.spaces)
    ranks = Ranks.of(task, v, run.final.logits)
    found = {
        "negative": float(energy[task.spaces.eigenvalues > MIDDLE].sum() / energy.sum()),
        "first": float(energy[1] / energy.sum()),
        "neighbours": geometric_level(v, task.graph, centred=True),
        "rank": ranks.embedding,
        "logit_rank": ranks.logits,
        "loss": float(run.modes.loss[-1]),
        "floor": task.entropy_floor,
        "recall": None if run.modes.edge_recall is None else float(run.modes.edge_recall[-1]),
    }
    if run.final.context is not None:
        found |= dataclasses.asdict(Bridge.of(task, v, run.final.context))
    return found


def order(at: At, graph: str, model: str, weights: str = "node") -> dict[str, Any]:
    """Somers' D of the order in which eigenspaces are filtered out, given the run, for the tied and the untied flow
    from the model's initial scale; for each the error of the times in decades and the overlap of the energies."""
    task = Task(parse(graph), weights=weights)
    run = train(at, task, model)
    found: dict[str, Any] = {}
    for tied in (True, False):
        chosen = dataclasses.replace(run.model, tied=tied)
        score = spectral_bias(
            _predicted(graph, model, weights, tied), float(chosen.initial_energy(run.settings)), [run.modes],
            chosen.time_per_step(run.settings), task.spaces,
        )  # fmt: skip
        name = "tied" if tied else "untied"
        found |= {f"{name}_order": score.filtering.order.values[0], f"{name}_overlap": score.overlap.values[0],
                  f"{name}_time_error": score.time_error.values[0]}  # fmt: skip
    return {name: None if np.isnan(value) else float(value) for name, value in found.items()}


@lru_cache(maxsize=8)
def _predicted(graph: str, word: str, weights: str, tied: bool) -> PredictedTrajectory:
    model = dataclasses.replace(get_model(word), tied=tied)
    settings = model.make_settings()
    return predict_trajectory(Task(parse(graph), weights=weights), model, settings, log_spaced_steps(settings.steps))
