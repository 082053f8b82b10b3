"""What a comparison found, a sentence or two a model: whether the prediction holds, and by how much it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..scores.statistics import mean
from .at_time import number, of_one_start
from .comparison import Comparison, scores_of_runs
from .spectral_bias import describe_spectral_bias
from .trajectory_fit import TrajectoryFit

HOLDS, ROUGHLY = 0.02, 0.2  # of a Gram matrix, relative: up to here a prediction holds, and up to there roughly
CLOSE, FAR = np.log10(1.1), np.log10(2.0)  # the same of mode energies: factors, as decades
ORDERED, PARTLY = 0.8, 0.4  # Somers' D of the order in which modes fall behind


def comparison_verdicts(comparison: Comparison) -> list[str]:
    """Of every model in turn."""
    bias = describe_spectral_bias(comparison.biases)
    return [
        model_verdict(
            one.model.title,
            scores_of_runs(one),
            None if one.predicted is None else one.mean_fit,
            bias.get(one.model.name),
        )
        for one in comparison.models
    ]


def model_verdict(
    title: str, scores: Sequence[Mapping[str, Any]], fit: TrajectoryFit | None, bias: Mapping[str, Any] | None = None
) -> str:
    """Of one model's runs: their scores, the fit of their mean energies, None without a prediction, and of the spectral
    bias what scores.json holds of it."""
    parts = [_prediction(scores, fit)]
    order = _order(bias)
    parts += [order] if order else []
    parts.append(_recall(scores))
    return f"{title}: {' '.join(part for part in parts if part)}"


def _prediction(scores: Sequence[Mapping[str, Any]], fit: TrajectoryFit | None) -> str:
    flows, limit = of_one_start(scores), _mean(scores, "gram_error")
    at_time = _mean(flows, "gram_error_at_time")
    runs = f"{len(flows)} run{'s' if len(flows) > 1 else ''}" + (f" of {len(scores)}" if flows != scores else "")
    if not np.isnan(at_time):
        holds = "holds" if at_time <= HOLDS else "holds roughly" if at_time <= ROUGHLY else "fails"
        text = (
            f"the prediction {holds}: at t = {scores[0]['flow_time']:g} the Gram matrix of the flow, followed from "
            f"{flows[0]['predicted_from']}, is {_percent(at_time)} from that of {runs}, with nothing fitted"
        )
        return text + ("." if np.isnan(limit) else f"; its limit is {_percent(limit)} from it.")
    if fit is None or not np.isfinite(fit.rms_log10):
        return "" if np.isnan(limit) else f"its Gram matrix is {_percent(limit)} from the limit."
    near = fit.rms_log10
    holds = "follow the theory" if near <= CLOSE else "follow the theory roughly" if near <= FAR else "part from theory"
    fitted = f"after fitting {fit.what}" if fit.fitted else "with nothing fitted"
    text = f"its mode energies {holds}: a factor {10**near:.2g} apart over time (root mean square), {fitted}"
    return text + ("." if np.isnan(limit) else f"; its Gram matrix is {_percent(limit)} from the limit of logits VV'.")


def _order(bias: Mapping[str, Any] | None) -> str:
    own = [flow for flow in (bias or {}).get("flows", {}).values() if flow.get("own")]
    order = own[0]["filtering"]["order"]["mean"] if own else None
    if order is None or order != order:
        return ""
    how = "in" if order >= ORDERED else "roughly in" if order >= PARTLY else "not in"
    return f"Modes fall behind {how} the predicted order (Somers' D {order:.2g})."


def _recall(scores: Sequence[Mapping[str, Any]]) -> str:
    recall = _mean(scores, "edge_recall")
    if np.isnan(recall):
        return ""
    return "Every edge is recalled." if recall == 1.0 else f"{_percent(recall)} of the edges are recalled."


def _mean(scores: Sequence[Mapping[str, Any]], name: str) -> float:
    return mean([number(one, name) for one in scores])


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
