"""Predicted at the time of the runs, beside the limit: the same numbers of the limit, of the flow and of the runs."""

from __future__ import annotations

from collections.abc import Sequence

from fiedler.theory import effective_rank

from ..compare.at_time import number, of_one_start
from ..scores.statistics import mean
from .blocks import Section, Table
from .views import ModelView, TaskView

COLUMNS = ("", "t", "loss per node", "gram_error to limit", "gram_error at t", "fiedler_score", "effective rank")
OF_FLOW = (
    "predicted_loss_per_node",
    "predicted_gram_error",
    "",
    "predicted_fiedler_score",
    "predicted_effective_rank",
)
OF_RUN = ("loss_per_node", "gram_error", "gram_error_at_time", "fiedler_score", "effective_rank")


def at_time_section(view: TaskView) -> Section | None:
    """A table and, in words, how far the time of the runs reaches; None where neither is there."""
    rows: list[Sequence[str | float | None]] = []
    if view.optimum.get("loss_per_node") is not None:
        rows.append(["limit", "∞", float(view.optimum["loss_per_node"]), 0.0, None, 1.0, _rank(view)])
    clocked = [one for one in view.models if one.scores and "predicted_from" in one.scores[0]]
    for one in clocked:
        rows.append([f"{one.model.title}, predicted at t", _time(one), *(_mean(one, name) for name in OF_FLOW)])
        rows.append([f"{one.model.title}, runs", _time(one), *(_mean(one, name) for name in OF_RUN)])
    if not clocked and not view.notes:
        return None
    blocks = (
        [Table("at-time", COLUMNS, rows, "The limit, the flow at the time of the runs, and the runs")]
        if clocked
        else []
    )
    note = "Time t is learning rate × steps. Means over seeds; their intervals stand under Scores."
    return Section("At the time of the runs", blocks, [*([note] if clocked else []), *view.notes], view.source)


def _rank(view: TaskView) -> float | None:
    best = view.optimum_factor
    return None if best is None or not best.any() else effective_rank(best, components=view.graph.component_labels)


def _time(one: ModelView) -> str:
    return f"{one.scores[0]['flow_time']:g}"


def _mean(one: ModelView, name: str) -> float | None:
    if not name:
        return None
    if name == "loss_per_node":
        return float(one.loss[:, -1].mean())
    return mean(
        [
            number(scores, name)
            for scores in (of_one_start(one.scores) if name in (*OF_FLOW, "gram_error_at_time") else one.scores)
        ]
    )
