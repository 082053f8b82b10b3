"""Mode energies and losses of the runs with the lines theory predicted for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..compare.comparison import geometric_mean
from ..compare.energy_series import EnergySeries, ModeGroup, eigenspace_name, energy_series, positive, spread_modes
from .blocks import Choice, Plot, Section
from .charts import THEORY, axis, figure, look, wide
from .views import ModelView, TaskView

Floats = NDArray[np.float64]

SHOWN_MODES = 6  # shown at first; the others are a click on the legend away
MOST_MODES = 14
POINTS = 40  # measured points a mode
DECADES = 6  # of energy below the largest


def energy_section(view: TaskView) -> Section:
    """One figure a model, chosen from a menu."""
    options = [(model_view.model.title, _plot(view, model_view)) for model_view in view.models]
    lines = "Lines: theory. " if any(model_view.predicted is not None for model_view in view.models) else ""
    notes = [
        "Energy of the centred embedding in each eigenspace of the symmetrized random-walk Laplacian, with eigenvalue "
        f"and multiplicity. {lines}Points: runs, geometric mean and range over seeds. A click on a name in the legend "
        "shows or hides a mode."
    ]
    notes += [
        f"{model_view.model.title}: the lines are the flow of its own net from its seeds' starts."
        for model_view in view.models
        if model_view.predicted is not None and model_view.predicted.own
    ]
    notes += [
        f"{model_view.model.title}: {_fitted(model_view)}." for model_view in view.models if model_view.fit is not None
    ]
    return Section("Mode energies", [_chosen("Model", options)], notes, view.source)


def loss_section(view: TaskView) -> Section:
    """Loss per node of every model over its steps, with the optimum's and the floor of all."""
    traces: list[Any] = []
    for index, model_view in enumerate(view.models):
        style, used = look(index), model_view.steps > 0
        steps, losses = model_view.steps[used], model_view.loss[:, used]
        for seed, row in zip(model_view.seeds, losses, strict=True):
            first = seed == model_view.seeds[0]
            traces.append(
                go.Scatter(
                    x=steps,
                    y=row,
                    mode="lines",
                    name=model_view.model.title,
                    legendgroup=model_view.model.name,
                    showlegend=first,
                    meta=f"seed {seed}",
                    line={"color": style["colour"], "width": 1.4},
                    hovertemplate=f"{model_view.model.title}, seed {seed}<br>step %{{x}}: %{{y:.5g}}<extra></extra>",
                )
            )
        clock = model_view.model.time_per_step(model_view.settings)
        if model_view.predicted is not None and clock:
            traces.append(
                go.Scatter(
                    x=model_view.predicted.times / clock,
                    y=model_view.predicted.loss,
                    mode="lines",
                    name=f"{model_view.model.title}, theory",
                    line={"color": THEORY, "width": 2, "dash": "dash"},
                    hovertemplate="theory, step %{x:.4g}: %{y:.5g}<extra></extra>",
                )
            )
    traces += [trace for index, one in enumerate(view.models) for trace in _loss_at_time(one, index)]
    if view.optimum.get("loss_per_node") is not None:
        traces.append(_level(view, view.optimum["loss_per_node"], "limit: certified optimum of logits VV'", "dot"))
    if view.task.entropy_floor > 0:  # zero has no place on a logarithmic axis
        traces.append(_level(view, view.task.entropy_floor, "floor: entropy of the targets", "dashdot"))
    losses = np.concatenate([model_view.loss[:, model_view.steps > 0].ravel() for model_view in view.models])
    drawn = figure(traces, xaxis=axis("step", log=True), yaxis=axis("loss per node, nats", log=wide(losses, 10)))
    plot = Plot("loss", f"Loss per node over the steps on {view.graph.name}", drawn)
    return Section("Loss", [plot], source=view.source)


def _level(view: TaskView, loss: float, name: str, dash: str) -> go.Scatter:
    """A line at one loss across all steps."""
    ends = [min(one.steps[1] for one in view.models), max(one.steps[-1] for one in view.models)]
    return go.Scatter(
        x=ends,
        y=[loss] * 2,
        mode="lines",
        name=name,
        line={"color": THEORY, "width": 1, "dash": dash},
        hovertemplate=f"{name.partition(':')[0]} %{{y:.6g}}<extra></extra>",
    )


def _loss_at_time(one: ModelView, index: int) -> list[Any]:
    """The loss of the flow from every seed's own V(0) at the run's time."""
    known = [scores["predicted_loss_per_node"] for scores in one.scores if "predicted_loss_per_node" in scores]
    if not known:
        return []
    name = f"{one.model.title}, predicted at t = {one.scores[0]['flow_time']:g}"
    return [
        go.Scatter(
            x=[int(one.steps[-1])] * len(known),
            y=known,
            mode="markers",
            name=name,
            marker={"color": THEORY, "symbol": f"{look(index)['symbol']}-open", "size": 10},
            hovertemplate=f"{name}: %{{y:.6g}}<extra></extra>",
        )
    ]


def _fitted(model_view: ModelView) -> str:
    fit = model_view.fit
    assert fit is not None
    return f"{fit.words}; trajectory error of the mean over seeds, which is drawn, {fit.rms_log10:.3g} decades"


def _chosen(label: str, options: list[tuple[str, Plot]]) -> Plot | Choice:
    return options[0][1] if len(options) == 1 else Choice(label, options)


def _plot(view: TaskView, model_view: ModelView) -> Plot:
    amplitude = 1.0 if model_view.fit is None else model_view.fit.amplitude
    steps = model_view.steps[model_view.steps > 0]
    times = np.asarray(steps * (1.0 if model_view.time_scale is None else model_view.time_scale), dtype=np.float64)
    energies = positive(model_view.centred_energy[:, model_view.steps > 0]) / amplitude
    centre = geometric_mean(energies)
    floor = float(max(centre.max(), _most(model_view))) * 10.0**-DECADES
    energy = centre if model_view.predicted is None else model_view.predicted.centred_energy
    shown = spread_modes([energy], SHOWN_MODES)
    order = np.union1d(shown, _by_energy(energy)[: MOST_MODES - len(shown)])
    traces: list[Any] = []
    for series in energy_series(_groups(view, order), times, energies, model_view.predicted, POINTS):
        if series.largest >= floor:
            traces += _traces(model_view, series, times, steps, shown=series.group.members[0] in shown)
    return Plot(
        f"mode-energies-{model_view.model.name}", _alt(view, model_view), _layout(model_view, traces, floor), 620
    )


def _groups(view: TaskView, order: NDArray[np.intp]) -> list[ModeGroup]:
    groups = []
    for index, k in enumerate(order.tolist()):
        style = look(index)
        name = f"μ = {eigenspace_name(view.eigenvalues[k], view.multiplicities[k])}"
        groups.append(ModeGroup(name, (k,), style["colour"], style["symbol"], style["dash"]))
    return groups


def _traces(
    model_view: ModelView, series: EnergySeries, times: Floats, steps: NDArray[np.int64], *, shown: bool
) -> list[go.Scatter]:
    """The line, the dots and below them the ratio of one series; without a prediction the dots alone."""
    group, dots = series.group, series.dots
    common: dict[str, Any] = {
        "legendgroup": ", ".join(map(str, group.members)),
        "visible": True if shown else "legendonly",
        "name": group.label,
    }
    marker = {"color": group.colour, "symbol": f"{group.marker}-open"}
    centre = series.centre[dots]
    low, high = series.measured[:, dots].min(axis=0), series.measured[:, dots].max(axis=0)
    runs = go.Scatter(
        x=times[dots],
        y=centre,
        mode="markers",
        meta="runs",
        marker={**marker, "size": 7},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": high - centre,
            "arrayminus": centre - low,
            "thickness": 1,
            "width": 0,
        },
        customdata=np.stack([steps[dots], low, high], axis=1),
        hovertemplate=f"{group.label}, runs<br>step %{{customdata[0]}}: %{{y:.4g}} "
        "(%{customdata[1]:.4g} to %{customdata[2]:.4g})<extra></extra>",
        **common,
    )
    if model_view.predicted is None:
        return [runs]
    theory = go.Scatter(
        x=model_view.predicted.times,
        y=series.predicted,
        mode="lines",
        meta="theory",
        line={"color": group.colour, "dash": group.dash, "width": 2},
        showlegend=False,
        hovertemplate=f"{group.label}, theory<br>t = %{{x:.4g}}: %{{y:.4g}}<extra></extra>",
        **common,
    )
    ratio = go.Scatter(
        x=times[series.compared],
        y=series.log_ratio,
        yaxis="y2",
        mode="markers",
        meta="log10(run / theory)",
        marker={**marker, "size": 6},
        showlegend=False,
        hovertemplate=f"{group.label}<br>log10(run / theory) = %{{y:.3f}}<extra></extra>",
        **common,
    )
    return [theory, runs, ratio]


def _layout(model_view: ModelView, traces: list[Any], floor: float) -> go.Figure:
    has_theory = model_view.predicted is not None
    time = "step" if model_view.time_scale is None else "flow time t = learning rate × steps"
    if model_view.fit is not None and model_view.fit.fitted:
        time = f"flow time t = {model_view.fit.time_scale:.3g} × steps (fitted)"
    shown = [np.asarray(trace.y) for trace in traces if trace.yaxis != "y2" and trace.visible is True]
    top = max((float(y.max()) for y in shown), default=1.0)
    floor = max(floor, 0.3 * min((float(y[y > 0].min(initial=top)) for y in shown), default=floor))
    layout: dict[str, Any] = {
        "xaxis": axis(time, log=True, anchor="y2" if has_theory else "y"),
        "yaxis": axis(
            "mode energy", log=True, domain=[0.3, 1.0] if has_theory else [0, 1],
            range=[np.log10(floor), np.log10(4 * top)],
        ),
    }  # fmt: skip
    if has_theory:
        layout["yaxis2"] = axis("log10 ratio", domain=[0.0, 0.22], zeroline=True, anchor="x")
    return figure(traces, **layout)


def _by_energy(energy: Floats) -> NDArray[np.intp]:
    """The modes by their mean share of the energy over log time."""
    share = energy / np.maximum(energy.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.argsort(-share.mean(axis=0), kind="stable")


def _most(model_view: ModelView) -> float:
    return 0.0 if model_view.predicted is None else float(model_view.predicted.centred_energy.max())


def _alt(view: TaskView, model_view: ModelView) -> str:
    theory = "" if model_view.predicted is None else " with the lines theory predicts"
    return f"Mode energies of {model_view.model.title} on {view.graph.name} over time{theory}"
