"""What a page of a comparison says in words and tables: the verdict, the spectral bias, other theories, settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..compare.at_time import number
from ..compare.verdict import model_verdict
from ..draw.over_seeds import T_INTERVAL, mean_and_interval
from ..scores.statistics import mean
from .blocks import Section, Table
from .views import TaskView

ORDER_NOTE = (
    "How far the predicted flow tells when modes come and go. Filtering: a mode falls a factor ten behind the largest "
    "in energy per dimension; growth: it has grown as much. Order: Somers' D of the predicted given the measured order "
    f"(1 the predicted order, 0 random, -1 the reverse), mean over seeds with its {T_INTERVAL}. Time error: root mean "
    "square of log10(measured / predicted). Energy overlap: of predicted and measured shares of the final energy, in "
    "brackets that of equal energy in every dimension."
)
RIVAL_NOTE = (
    "gram_error of the runs against what other theories predict, after the best scale; 0 is a perfect prediction. "
    "Theories without a rank of their own are taken at the optimum's, in whole eigenspaces."
)


def verdict_section(view: TaskView) -> Section | None:
    """None where nothing was scored."""
    scored = [one for one in view.models if len(one.scores) == len(one.seeds)]
    sentences = [model_verdict(one.model.title, one.scores, one.fit, view.bias.get(one.model.name)) for one in scored]
    return Section("In short", [], sentences, view.source) if sentences else None


def bias_section(view: TaskView) -> Section | None:
    rows = []
    for one in view.models:
        known = view.bias.get(one.model.name, {})
        for flow, score in known.get("flows", {}).items():
            overlap = f"{_over_seeds(score['overlap'])} ({score['overlap_by_chance']:.2f})"
            cells = [_over_seeds(score[kind]["order"]) for kind in ("filtering", "growth")]
            rows.append(
                [one.model.title, flow, *cells, _over_seeds(score["time_error_log10"]), overlap, known["theory"]]
            )
    if not rows:
        return None
    columns = ("", "flow", "filtering order", "growth order", "time error", "energy overlap", "theory")
    return Section("Spectral bias", [Table("spectral-bias", columns, rows)], [ORDER_NOTE], view.source)


def rivals_section(view: TaskView) -> Section | None:
    models = [one for one in view.models if view.rivals.get(one.model.name)]
    if not models:
        return None
    optimum = ["certified optimum", view.optimum.get("rank"), 0.0]
    rows = [[*optimum, *(mean([number(scores, "gram_error") for scores in one.scores]) for one in models)]]
    for place, first in enumerate(view.rivals[models[0].model.name]):
        measured = [mean(view.rivals[one.model.name][place]["gram_error"]) for one in models]
        rows.append([first["title"], first["rank"], first["gram_error_of_optimum"], *measured])
    columns = ("prediction", "rank", "certified optimum", *(one.model.title for one in models))
    return Section("Other predictions", [Table("other-predictions", columns, rows)], [RIVAL_NOTE], view.source)


def settings_section(view: TaskView) -> Section:
    """Every setting of every model, a row a setting."""
    held = [vars(one.settings) for one in view.models]
    names = list(dict.fromkeys(name for settings in held for name in settings))
    rows = [[name, *(_text(settings.get(name)) for settings in held)] for name in names]
    fitted = [f"{one.model.title}: {one.fit.words}." for one in view.models if one.fit is not None and one.fit.fitted]
    columns = ("setting", *(one.model.title for one in view.models))
    return Section("Settings", [Table("settings", columns, rows)], fitted, view.source)


def _over_seeds(value: Mapping[str, Any]) -> str:
    if value["mean"] is None or value["mean"] != value["mean"]:
        return "–"
    return mean_and_interval(value["mean"], value["interval"], ".2f")


def _text(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)
