"""The spectral bias of every model of a comparison, as a table and as JSON, and where the theory stands.

For Node2Vec the flow of its own kind, tied or untied, is exact as the width grows. For every other model both are
hypotheses, and each is scored: logits read through the embedding itself (a residual stream with tied embeddings) move
like tied Node2Vec, logits read through inner weights that are free to be negative like the untied one, where modes grow
at the size of their rate whatever its sign.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..draw.over_seeds import T_INTERVAL, mean_and_interval
from ..models.node2vec import Node2VecSettings
from ..predict.trajectory import PredictedTrajectory, predict_trajectory
from ..runs.recorder import log_spaced_steps
from ..tasks.task import Task
from .mode_events import FACTOR
from .mode_order import OrderScore, OverSeeds, SpectralBias, spectral_bias
from .model_comparison import ModelComparison

MOST_NODES = 100  # up to here the flow that is not the model's own is followed too: eight seconds there
EXACT = "exact as width grows"

HEADER = ("", "flow", "filtering order", "growth order", "events", "time error", "energy overlap", "theory")
BRIEF = (0, 1, 2, 3, 5, 6)  # the columns a terminal has room for


@dataclass(frozen=True, eq=False)
class ModelBias:
    """One model scored against one flow, "tied" or "untied"; ``own``: whether it is the comparison's prediction."""

    compared: ModelComparison
    flow: str
    own: bool
    predicted: PredictedTrajectory
    score: SpectralBias


def spectral_biases(task: Task, models: Sequence[ModelComparison]) -> tuple[ModelBias, ...]:
    """Every model against its own flow and, where that is a hypothesis, against the other: in the order of the models.

    Follows one more flow for every start that several such models share, on graphs of up to MOST_NODES nodes.
    """
    followed: dict[tuple[Any, ...], PredictedTrajectory] = {}
    biases = []
    for compared in models:
        settings = compared.settings
        if compared.predicted is None:
            continue
        biases.append(_score(task, compared, compared.model.tied, compared.predicted))
        if isinstance(settings, Node2VecSettings) or compared.predicted.own or task.graph.n > MOST_NODES:
            continue
        other = dataclasses.replace(compared.model, tied=not compared.model.tied)
        clock = compared.model.time_per_step(settings)
        key = (other.tied, compared.model.initial_energy(settings), clock)
        key += (None,) if clock is None else (settings.steps, settings.weight_decay)
        if key not in followed:
            followed[key] = predict_trajectory(task, other, settings, log_spaced_steps(settings.steps))
        biases.append(_score(task, compared, other.tied, followed[key]))
    return tuple(biases)


def describe_spectral_bias(biases: Sequence[ModelBias]) -> dict[str, Any]:
    """ "spectral_bias" of scores.json: for each model where the theory stands and its scores against each flow."""
    described: dict[str, Any] = {}
    for bias in biases:
        entry = described.setdefault(bias.compared.model.name, {"theory": theory_status(bias.compared), "flows": {}})
        entry["flows"][bias.flow] = {"own": bias.own, **bias.score.describe()}
    return described


def spectral_bias_rows(biases: Sequence[ModelBias], *, brief: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows, one a model and flow. ``brief``: means without intervals, fewer columns."""
    rows = []
    for bias in biases:
        score = bias.score
        row = [
            bias.compared.model.title,
            bias.flow,
            _order(score.filtering, brief),
            _order(score.growth, brief),
            f"{_events(score.filtering)}; {_events(score.growth)} of {len(score.followed)}",
            _times(score, brief),
            f"{_interval(score.overlap, brief)} ({score.overlap_by_chance:.2f})",
            theory_status(bias.compared),
        ]
        rows.append([row[i] for i in BRIEF] if brief else row)
    return [HEADER[i] for i in BRIEF] if brief else list(HEADER), rows


def spectral_bias_notes(seeds: int) -> list[str]:
    """What the columns mean, in lines for a report."""
    return [
        f"Filtering: a mode falls a factor {FACTOR:g} behind the largest in energy per dimension; growth: it has grown",
        "as much. Order: Somers' D of the predicted given the measured order over the modes (1 the predicted order, 0",
        f"random, -1 the reverse; - where a run tells no two modes apart), mean over {seeds} seed(s) with its",
        f"{T_INTERVAL} over seeds, and p of an order as good among random ones. Events: modes that have",
        "one, predicted / measured (mean), for filtering; for growth. Time error: root mean square of",
        "log10(measured / predicted) over both kinds of event, after one fitted time scale where none is known. Energy",
        "overlap: of predicted and measured shares of the final energy over eigenspaces (in brackets: of equal energy",
        "in every dimension).",
    ]


def theory_status(compared: ModelComparison) -> str:
    """Exact, or a hypothesis with the parts of the model that the flows leave out."""
    settings = compared.settings
    if isinstance(settings, Node2VecSettings) or (compared.predicted is not None and compared.predicted.own):
        return EXACT
    if not hasattr(settings, "arch"):  # a model of the reader's own: what the flows leave out of it is not known here
        return "hypothesis"
    left_out = [] if compared.model.time_per_step(settings) is not None else [_optimiser(settings)]
    return f"hypothesis: {', '.join(left_out + _parts(settings))}"


def _score(task: Task, compared: ModelComparison, tied: bool, predicted: PredictedTrajectory) -> ModelBias:
    score = spectral_bias(
        predicted,
        float(compared.model.initial_energy(compared.settings)),
        [run.modes for run in compared.runs],
        compared.model.time_per_step(compared.settings),
        task.spaces,
    )
    return ModelBias(compared, "tied" if tied else "untied", tied == compared.model.tied, predicted, score)


def _optimiser(settings: Any) -> str:
    return "Adam (no clock)" if settings.optimiser == "adamw" else "changing rate (no clock)"


def _parts(settings: Any) -> list[str]:
    """What the settings say the model has beyond softmax(V V')."""
    if settings.arch == "one-layer":
        parts = ["inner weights"]
    else:
        parts = [f"depth {settings.layers}"]
        if settings.arch == "linear":
            parts += ["linear"] if settings.residual else ["linear", "no residuals"]
        elif settings.is_net:
            parts += ["nonlinear", "no residuals"]
        else:
            parts += ["layer norm"] if settings.layer_norm else []
            parts += ["attention"] if settings.attention and not settings.arch.startswith("mamba") else []
            parts += [] if settings.residual else ["no residuals"]
    parts += [] if settings.tied else ["untied"]
    parts += ["frozen embeddings"] if settings.frozen else []
    parts += ["dropout"] if settings.dropout > 0 else []
    return parts


def _order(score: OrderScore, brief: bool) -> str:
    text = _interval(score.order, brief)
    return text if text == "-" or brief else f"{text}, p {score.p_value:.1g}"


def _events(score: OrderScore) -> str:
    seen = sum(int(events.happened.sum()) for events in score.measured) / len(score.measured)
    return f"{int(score.predicted.happened.sum())} / {seen:.3g}"


def _times(score: SpectralBias, brief: bool) -> str:
    text = _interval(score.time_error, brief)
    return f"{text}, {score.time_scale:.2g} a step" if text != "-" and score.fitted and not brief else text


def _interval(value: OverSeeds, brief: bool) -> str:
    if not len(value.defined):
        return "-"
    return mean_and_interval(value.mean, None if brief else value.interval, ".2f")
