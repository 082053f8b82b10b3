"""Runs of the path tasks with the geometry of their embeddings and the order in which positions are learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fiedler.theory import parse

from ...paths.geometry import describe_geometry
from ...paths.settings import PathSettings
from ...paths.star import split_paths, star_paths
from ...runs.control import Restart
from ...scores.statistics import first_step
from ..cell import At

if TYPE_CHECKING:
    from ...paths.one_run import PathRun

LEARNED = 0.5  # share of held-out paths right at a position that counts as learned


def run(at: At, graph: str, settings: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The run of ``PathSettings(**settings)`` on ``graph``; scores of ``path_scores_of``."""
    # Here, so that a cell's key is known without torch.
    from ...models.torch_state import one_thread
    from ...paths.one_run import run_path

    star = parse(graph)
    restart = Restart(resume=True, checkpoint_every=at.how.restart.checkpoint_every)
    chosen = PathSettings(**dict(settings))
    with one_thread():
        found = run_path(star, chosen, at.seed, at.folder / "paths", restart=restart, watch=at.how.watch)
    scores = path_scores_of(found)
    if chosen.in_context:
        return scores
    paths = star_paths(star)
    geometry = describe_geometry(found.embedding, paths, *split_paths(paths, at.seed, chosen.split))["test"]
    apart = geometry["between_path_distance"] - geometry["within_path_distance"]
    return {**scores, "nearest": geometry["nearest_first_hop"], "apart": apart}


def path_scores_of(run: PathRun) -> dict[str, Any]:
    """On held-out paths: ``first`` node after the root, the same among the root's neighbours (``choice``), the ``path``
    whole, ``later``: the mean over all positions after the first; ``shown``: the first node on paths that were shown;
    ``recall`` of nodes' edges and of edges (``hits``); ``peak`` of ``first`` over the run, ``lost``: how far it fell
    from there; ``area``: its mean over the run, larger for a model that is sooner; ``cascade``: 1 where positions
    1 .. l - 1 are learned strictly from the last to the first, as future-token gradients would have it; ``in_turn``:
    the share of neighbouring positions of which the later one is learned strictly sooner."""
    from ...paths.examples import HARDEST

    last = run.records[-1]
    curve = np.array([record["first_token_accuracy"] for record in run.records])
    positions = np.array([record["per_position"] for record in run.records])
    steps = np.array([record["step"] for record in run.records], dtype=np.float64)
    learned = np.array([first_step(steps, row >= LEARNED) for row in positions.T])[HARDEST:]
    in_turn = learned[1:] < learned[:-1]
    return {
        "chance": run.chance,
        "first": float(curve[-1]),
        "choice": last.get("first_token_choice"),
        "path": last["path_accuracy"],
        "later": float(np.mean(np.delete(positions[-1], 0))),
        "others": float(np.mean(np.delete(positions[-1], HARDEST))),
        "shown": last.get("train_first_token_accuracy"),
        "recall": last.get("edge_recall"),
        "hits": last.get("edge_hits"),
        "peak": float(curve.max()),
        "lost": float(curve.max() - curve[-1]),
        "area": float(curve.mean()),
        "cascade": float(in_turn.all()),
        "in_turn": float(in_turn.mean()),
    }
