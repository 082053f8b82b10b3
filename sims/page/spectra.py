"""Spectra: the graph's Laplacian, and the Gram matrices theory predicts and runs end in."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..compare.at_time import spectrum_at_time
from ..draw.over_seeds import T_INTERVAL
from .blocks import Choice, Plot, Section
from .charts import THEORY, axis, figure, interval, look
from .views import ModelView, TaskView

Floats = NDArray[np.float64]

SHOWN = 60  # leading eigenvalues


def spectrum_section(view: TaskView) -> Section:
    """Gram spectra of every model against its prediction, and the Laplacian's eigenvalues with their multiplicities."""
    options = [(one.model.title, _gram(view, one)) for one in view.models]
    blocks: list[Plot | Choice] = [options[0][1] if len(options) == 1 else Choice("Model", options)]
    blocks += [_laplacian(view)]
    certificate = view.optimum.get("certificate") or {}
    notes = [f"Eigenvalues of the centred Gram matrix J V V' J; runs: mean over seeds with its {T_INTERVAL}."]
    if certificate:
        notes.append(
            f"The optimum is certified: largest violation of the optimality conditions "
            f"{certificate['max_violation']:.1e}, duality gap {certificate['duality_gap']:.1e} nats "
            f"({view.optimum['method']})."
        )
    return Section("Spectra", blocks, notes, view.source)


def _gram(view: TaskView, one: ModelView) -> Plot:
    measured = np.array([_gram_spectrum(view, run.final.embedding) for run in one.runs])
    count = min(SHOWN, measured.shape[1], max(1, view.graph.n - 1))
    predicted = np.zeros(measured.shape[1])
    known = one.eigenvalues[: len(predicted)]
    predicted[: len(known)] = known
    factor = 1.0
    if one.fit is not None and one.fit.fitted and (measured > 0).any():
        factor = float((measured @ predicted).sum() / (measured**2).sum())
    mean, reach = interval(factor * measured)
    index = np.arange(1, count + 1)
    style = look(1)
    traces: list[Any] = []
    if len(known):
        traces.append(
            go.Scatter(
                x=index,
                y=predicted[:count],
                mode="lines+markers",
                name="limit" if one.model.tied else "predicted",
                line={"color": THEORY, "width": 1.5},
                marker={"symbol": "square-open", "size": 9},
                hovertemplate=("limit" if one.model.tied else "predicted") + " %{x}: %{y:.5g}<extra></extra>",
            )
        )
    at_time = spectrum_at_time(one.scores) if one.model.tied else None
    if at_time is not None:
        name = f"predicted at t = {one.scores[0]['flow_time']:g}"
        traces.append(
            go.Scatter(
                x=index[: len(at_time)],
                y=at_time[:count],
                mode="lines+markers",
                name=name,
                line={"color": look(2)["colour"], "width": 1.2, "dash": "dash"},
                marker={"symbol": "diamond-open", "size": 8},
                hovertemplate=f"{name}, %{{x}}: %{{y:.5g}}<extra></extra>",
            )
        )
    name = "measured" if factor == 1.0 else f"measured × {factor:.3g}"
    traces.append(
        go.Scatter(
            x=index,
            y=mean[:count],
            mode="markers",
            name=name,
            marker={"color": style["colour"], "symbol": style["symbol"], "size": 7},
            error_y=None if reach is None else {"type": "data", "array": reach[:count], "thickness": 1.2},
            hovertemplate=f"{name} %{{x}}: %{{y:.5g}}<extra></extra>",
        )
    )
    drawn = figure(traces, xaxis=axis("index"), yaxis=axis("eigenvalue of the centred Gram matrix", rangemode="tozero"))
    alt = f"Gram spectrum of {one.model.title} on {view.graph.name}"
    return Plot(f"gram-spectrum-{one.model.name}", alt, drawn)


def _gram_spectrum(view: TaskView, embedding: NDArray[np.floating]) -> Floats:
    """Descending, padded with zeros to n."""
    values = np.linalg.svd(view.centred(embedding), compute_uv=False) ** 2
    return np.pad(values, (0, max(0, view.graph.n - len(values))))[: view.graph.n]


def _laplacian(view: TaskView) -> Plot:
    """The eigenvalues with their multiplicities, or where every one is simple, in order."""
    values = np.where(np.abs(view.eigenvalues) < 1e-9, 0.0, view.eigenvalues)
    name, alt = "laplacian-spectrum", f"Laplacian spectrum of {view.graph.name}"
    if (view.multiplicities == 1).all():
        points = go.Scatter(
            x=np.arange(1, len(values) + 1),
            y=values,
            mode="markers",
            marker={"color": look(0)["colour"], "size": 6},
            hovertemplate="μ %{x}: %{y:.5g}<extra></extra>",
            showlegend=False,
        )
        index = axis("index of the eigenvalues of the symmetrized random-walk Laplacian, every one simple")
        return Plot(name, alt, figure([points], xaxis=index, yaxis=axis("eigenvalue μ")), 300)
    drawn = figure(
        [
            go.Scatter(
                x=values,
                y=view.multiplicities,
                mode="markers",
                marker={"color": look(0)["colour"], "size": 8},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": np.zeros(len(values)),
                    "arrayminus": view.multiplicities,
                    "width": 0,
                    "thickness": 1,
                },
                name="multiplicity",
                hovertemplate="μ = %{x:.5g}: multiplicity %{y}<extra></extra>",
                showlegend=False,
            )
        ],
        xaxis=axis("eigenvalue μ of the symmetrized random-walk Laplacian"),
        yaxis=axis("multiplicity", rangemode="tozero"),
    )
    return Plot(name, alt, drawn, 300)
