"""Mode energies and losses of the runs with the lines theory predicted for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..compare.trajectory_fit import VISIBLE_SHARE, TrajectoryFit, interpolate_energy
from .blocks import Choice, Plot, Section
from .charts import THEORY, axis, figure, look
from .views import ModelView, TaskView

Floats = NDArray[np.float64]

SHOWN_MODES = 6  # shown at first; the others are a click on the legend away
MOST_MODES = 14
POINTS = 40  # measured points a mode
ROUNDING = 1e-9
DECADES = 6  # of energy below the largest


def energy_section(view: TaskView) -> Section:
    """One figure a model, chosen from a menu."""
    options = [(one.model.title, _plot(view, one)) for one in view.models]
    notes = [
        "Energy of the centred embedding in each eigenspace of the symmetrized random-walk Laplacian, with eigenvalue "
        "and multiplicity. Lines: theory. Points: runs, geometric mean and range over seeds. A click on a name in the "
        "legend shows or hides a mode."
    ]
    notes += [f"{one.model.title}: {_fitted(one.fit)}." for one in view.models if one.fit is not None]
    return Section("Mode energies", [_chosen("Model", options)], notes, view.source)


def loss_section(view: TaskView) -> Section:
    """Loss per node of every model over its steps, with the optimum's."""
    traces: list[Any] = []
    for index, one in enumerate(view.models):
        style, used = look(index), one.steps > 0
        steps, losses = one.steps[used], one.loss[:, used]
        for seed, row in zip(one.seeds, losses, strict=True):
            first = seed == one.seeds[0]
            traces.append(
                go.Scatter(
                    x=steps,
                    y=row,
                    mode="lines",
                    name=one.model.title,
                    legendgroup=one.model.name,
                    showlegend=first,
                    meta=f"seed {seed}",
                    line={"color": style["colour"], "width": 1.4},
                    hovertemplate=f"{one.model.title}, seed {seed}<br>step %{{x}}: %{{y:.5g}}<extra></extra>",
                )
            )
        clock = one.model.time_per_step(one.settings)
        if one.predicted is not None and clock:
            traces.append(
                go.Scatter(
                    x=one.predicted.times / clock,
                    y=one.predicted.loss,
                    mode="lines",
                    name=f"{one.model.title}, theory",
                    line={"color": THEORY, "width": 2, "dash": "dash"},
                    hovertemplate="theory, step %{x:.4g}: %{y:.5g}<extra></extra>",
                )
            )
    if view.optimum.get("loss_per_node") is not None:
        ends = [min(one.steps[1] for one in view.models), max(one.steps[-1] for one in view.models)]
        traces.append(
            go.Scatter(
                x=ends,
                y=[view.optimum["loss_per_node"]] * 2,
                mode="lines",
                name="certified optimum of tied embeddings",
                line={"color": THEORY, "width": 1, "dash": "dot"},
                hovertemplate="optimum %{y:.6g}<extra></extra>",
            )
        )
    drawn = figure(traces, xaxis=axis("step", log=True), yaxis=axis("loss per node, nats", log=_wide(view)))
    plot = Plot("loss", f"Loss per node over the steps on {view.graph.name}", drawn)
    return Section("Loss", [plot], source=view.source)


def _wide(view: TaskView) -> bool:
    """Whether losses range over more than a decade."""
    losses = np.concatenate([one.loss[:, one.steps > 0].ravel() for one in view.models])
    return bool(losses.min() > 0 and losses.max() > 10 * losses.min())


def _fitted(fit: TrajectoryFit) -> str:
    what = "nothing fitted"
    if fit.fitted:
        what = f"fitted {fit.time_scale:.3g} flow time a step and factor {fit.amplitude:.3g} on the energies"
    return f"{what}; distance {fit.rms_log10:.3g} decades"


def _chosen(label: str, options: list[tuple[str, Plot]]) -> Plot | Choice:
    return options[0][1] if len(options) == 1 else Choice(label, options)


def _plot(view: TaskView, one: ModelView) -> Plot:
    amplitude = 1.0 if one.fit is None else one.fit.amplitude
    used = one.steps > 0
    scale = one.time_scale
    times = one.steps[used] * (1.0 if scale is None else scale)
    energies = np.maximum(one.centred_energy[:, used], np.finfo(np.float64).tiny) / amplitude
    centre = np.exp(np.log(energies).mean(axis=0))
    dots = np.unique(np.round(np.linspace(0, len(times) - 1, POINTS)).astype(int))
    order = _by_energy(one, centre)
    floor = float(max(centre.max(), _most(one))) * 10.0**-DECADES
    expected = None if one.predicted is None else interpolate_energy(one.predicted, np.asarray(times, dtype=np.float64))
    traces: list[Any] = []
    for index, k in enumerate(order):
        if max(centre[:, k].max(), 0.0 if one.predicted is None else one.predicted.centred_energy[:, k].max()) < floor:
            continue
        style, name = look(index), _name(view, int(k))
        common: dict[str, Any] = {
            "legendgroup": str(k),
            "visible": True if index < SHOWN_MODES else "legendonly",
            "name": name,
        }
        if one.predicted is not None:
            traces.append(
                go.Scatter(
                    x=one.predicted.times,
                    y=one.predicted.centred_energy[:, k],
                    mode="lines",
                    meta="theory",
                    line={"color": style["colour"], "dash": style["dash"], "width": 2},
                    showlegend=False,
                    hovertemplate=f"{name}, theory<br>t = %{{x:.4g}}: %{{y:.4g}}<extra></extra>",
                    **common,
                )
            )
        low, high = energies[:, dots, k].min(axis=0), energies[:, dots, k].max(axis=0)
        traces.append(
            go.Scatter(
                x=times[dots],
                y=centre[dots, k],
                mode="markers",
                meta="runs",
                marker={"color": style["colour"], "symbol": f"{style['symbol']}-open", "size": 7},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": high - centre[dots, k],
                    "arrayminus": centre[dots, k] - low,
                    "thickness": 1,
                    "width": 0,
                },
                customdata=np.stack([one.steps[used][dots], low, high], axis=1),
                hovertemplate=f"{name}, runs<br>step %{{customdata[0]}}: %{{y:.4g}} "
                "(%{customdata[1]:.4g} to %{customdata[2]:.4g})<extra></extra>",
                **common,
            )
        )
        if expected is not None:
            visible = dots[(expected[dots, k] >= VISIBLE_SHARE * expected[dots].sum(axis=1))]
            traces.append(
                go.Scatter(
                    x=times[visible],
                    y=np.log10(centre[visible, k] / expected[visible, k]),
                    yaxis="y2",
                    mode="markers",
                    meta="log10(run / theory)",
                    marker={"color": style["colour"], "symbol": f"{style['symbol']}-open", "size": 6},
                    showlegend=False,
                    hovertemplate=f"{name}<br>log10(run / theory) = %{{y:.3f}}<extra></extra>",
                    **common,
                )
            )
    return Plot(f"mode-energies-{one.model.name}", _alt(view, one), _layout(one, traces, floor), 620)


def _layout(one: ModelView, traces: list[Any], floor: float) -> go.Figure:
    has_theory = one.predicted is not None
    time = "step" if one.time_scale is None else "flow time t = learning rate × steps"
    if one.fit is not None and one.fit.fitted:
        time = f"flow time t = {one.fit.time_scale:.3g} × steps (fitted)"
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


def _by_energy(one: ModelView, centre: Floats) -> NDArray[np.intp]:
    """The modes by their mean share of the energy over log time, predicted where there is a prediction."""
    energy = centre if one.predicted is None else one.predicted.centred_energy
    share = energy / np.maximum(energy.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.argsort(-share.mean(axis=0), kind="stable")[:MOST_MODES]


def _most(one: ModelView) -> float:
    return 0.0 if one.predicted is None else float(one.predicted.centred_energy.max())


def _name(view: TaskView, k: int) -> str:
    value = float(view.eigenvalues[k])
    return f"μ = {0.0 if abs(value) < ROUNDING else value:.3g} (×{view.multiplicities[k]})"


def _alt(view: TaskView, one: ModelView) -> str:
    theory = "" if one.predicted is None else " with the lines theory predicts"
    return f"Mode energies of {one.model.title} on {view.graph.name} over time{theory}"
