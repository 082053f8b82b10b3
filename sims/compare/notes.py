"""What a reader of a comparison or a run has to be told beside its numbers, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..models.node2vec import Node2VecSettings
from ..predict.at_time import FLOW, NEAR_GRAM, NEAR_LOSS
from ..runs.stability import stability_warning
from .at_time import OWN, number
from .comparison import Comparison

Scores = Mapping[str, Any]


def comparison_notes(comparison: Comparison) -> list[str]:
    """Of every model in turn: how far its time reaches, a loss below the limit's, a step that is too long."""
    notes = []
    for one in comparison.models:
        losses = [float(run.modes.loss[-1]) for run in one.runs]
        found = model_notes(one.settings, one.scores, losses)
        notes += [f"{one.model.title}: {text}" for text in found]
    return notes


def model_notes(settings: Any, scores: Sequence[Scores], losses: Sequence[float]) -> list[str]:
    """The same of one model's runs: their settings, their scores and their last losses per node."""
    found = [text for text in (_time_note(settings, scores), _drift_note(scores[0])) if text]
    return unstable(settings, scores) + found + below_the_limit(settings, scores[0], min(losses))


def run_notes(settings: Any, scores: Scores) -> list[str]:
    """What a single run's scores say: the prediction at its time, the time to the limit, a step that is too long."""
    found = unstable(settings, [scores])
    if "predicted_from" in scores:
        known = number(scores, "predicted_gram_error")
        limit = "" if np.isnan(known) else f"; this flow itself has gram_error {known:.4g} to the limit"
        found.append(
            f"predicted at t = {scores['flow_time']:g} (the flow from {scores['predicted_from']}): loss per node "
            f"{scores['predicted_loss_per_node']:.6g}; the run has gram_error "
            f"{number(scores, 'gram_error_at_time'):.4g} to it{limit}"
        )
    elif "no_flow_at_time" in scores:
        found.append(str(scores["no_flow_at_time"]))
    found += [text for text in (_near(scores, settings.learning_rate), _drift_note(scores)) if text]
    return found + below_the_limit(settings, scores, number(scores, "loss_per_node"))


def unstable(settings: Any, scores: Sequence[Scores]) -> list[str]:
    """The warning of the sharpest run whose step was above the edge of stability; empty without one."""
    if not isinstance(settings, Node2VecSettings):
        return []
    warned = [one for one in scores if stability_warning(one, settings.learning_rate)]
    if not warned:
        return []
    worst = min(warned, key=lambda one: number(one, "stable_learning_rate"))
    return [f"warning: {stability_warning(worst, settings.learning_rate)}."]


def below_the_limit(settings: Any, scores: Scores, loss: float) -> list[str]:
    """Why a model may lie below the optimum of logits VV', for one whose logits are something else and that does."""
    tied = isinstance(settings, Node2VecSettings) and settings.tied
    limit, floor = number(scores, "limit_loss_per_node"), number(scores, "entropy_floor")
    if tied or not loss < limit:
        return []
    least = "" if np.isnan(floor) else f", {floor:.6g}"
    return [
        f"its loss per node, {loss:.6g}, is below the limit, {limit:.6g}: that is the optimum of logits VV', which "
        f"this model's are not. No model goes below the entropy of the target{least}."
    ]


def _time_note(settings: Any, scores: Sequence[Scores]) -> str:
    if not isinstance(settings, Node2VecSettings) or "flow_time" not in scores[0]:
        return ""
    first = scores[0]
    flow = f"it ends at t = {first['flow_time']:g} (learning rate x steps)"
    if "predicted_from" in first:
        own = sum(one.get("predicted_from") == OWN for one in scores)
        of = "its own V(0)" if own else "the wide limit, around which a finite width scatters"
        if 0 < own < len(scores):
            of += f" for {own} of {len(scores)} seeds, the wide limit for the others"
        flow += f"; predicted there: the flow from {of}"
    elif "no_flow_at_time" in first:
        flow += f"; {first['no_flow_at_time']}"
    near = _near(first, settings.learning_rate)
    return f"{flow}. {near[0].upper()}{near[1:]}." if near else f"{flow}."


def _near(scores: Scores, learning_rate: float) -> str:
    """When the flow is near the limit."""
    times = scores.get("time_to_limit")
    if not times:
        return ""
    now, followed = float(scores["flow_time"]), float(times["followed_to"])
    parts = []
    for key, what in (("gram_error", f"gram_error {NEAR_GRAM:g}"), ("loss", f"a loss within {NEAR_LOSS:.0%} of it")):
        value = times[key]
        if value is None:
            parts.append(f"{what} not before t = {_round(followed)}")
        elif value <= now:
            parts.append(f"{what} already by then")
        else:
            how = "" if times[f"{key}_from"] == FLOW else f", by {times[f'{key}_from']}"
            parts.append(f"{what} at t = {_round(value)} ({_round(value / learning_rate)} steps{how})")
    flow = any(times[key] is not None and times[f"{key}_from"] == FLOW for key in ("gram_error", "loss"))
    return f"the flow comes near the limit: {', '.join(parts)}" + (" (integrated flow)" if flow else "")


def _drift_note(scores: Scores) -> str:
    gap = number(scores, "drift_gap_per_node")
    if not np.isfinite(gap):
        return ""
    limit = number(scores, "limit_loss_per_node")
    flow = number(scores, "predicted_loss_per_node") - limit
    known = f", and the flow is {flow:.2g} above" if np.isfinite(flow) else ""
    return (
        f"the infimum, {limit:.6g}, is not attained: by the drift law, to leading order at late times, a run of "
        f"t = {scores['flow_time']:g} is still about {gap:.2g} a node above it{known}."
    )


def _round(value: float) -> str:
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")
