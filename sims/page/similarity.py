"""Heat maps of cosine similarity between the nodes' centred embeddings, predicted and measured."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..draw.colours import DIVERGING_ON_PAGE
from ..foreign import visible
from .blocks import Choice, Plot, Section
from .charts import axis, figure
from .views import TaskView

Floats = NDArray[np.float64]

MOST_NODES = 400  # whose pairs are drawn
MOST_CELLS = 1_500_000  # of all maps together: the page stays small
TICKS = [-100, -50, 0, 50, 100]
TICK_TEXTS = ["-1", "-0.5", "0", "0.5", "1"]
NAMED = 40  # nodes whose names stand along the axes


def similarity_section(view: TaskView, share: float = 1.0) -> Section | None:
    """The optimum's map and that of each model's first seed; None for graphs too large for one. ``share``: of the
    page's room for maps."""
    n = view.graph.n
    if n > MOST_NODES:
        return None
    maps: list[tuple[str, Floats]] = []
    if view.optimum_factor is not None:
        centred = view.centred(view.optimum_factor)
        maps.append(("Certified optimum", centred @ centred.T))
    for one in view.models:
        centred = view.centred(one.runs[0].final.embedding)
        maps.append((f"{one.model.title}, seed {one.seeds[0]}", centred @ centred.T))
    room = max(1, int(share * MOST_CELLS) // n**2)
    shown = maps[:room]
    options = [(name, _plot(view, name, gram)) for name, gram in shown]
    notes = ["Cosine of the angle between the centred embeddings of two nodes, in the order of the graph's nodes."]
    if len(shown) < len(maps):
        notes.append(f"To keep the page small, {len(shown)} of {len(maps)} maps are shown.")
    block = options[0][1] if len(options) == 1 else Choice("Embedding", options)
    return Section("Similarity", [block], notes, {**view.source, "seeds": str(view.seeds[0])})


def cosines(gram: Floats) -> NDArray[np.int8]:
    """100 x K_ij / sqrt(K_ii K_jj), rounded: two digits are what a colour tells. Zero rows have cosine zero."""
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    tiny = 1e-9 * float(size.max(initial=0.0))
    inverse = np.where(size > tiny, 1.0 / np.where(size > tiny, size, 1.0), 0.0)
    return np.round(100 * np.clip(gram * inverse[:, None] * inverse[None], -1, 1)).astype(np.int8)


def _plot(view: TaskView, name: str, gram: Floats) -> Plot:
    names = [html.escape(visible(str(node)), quote=False) for node in view.graph.nodes]
    ticks: dict[str, Any] = {"type": "category", "tick0": 0, "dtick": max(1, -(-len(names) // NAMED))}
    drawn = figure(
        [
            go.Heatmap(
                x=names,
                y=names,
                z=cosines(gram),
                zmin=-100,
                zmax=100,
                **DIVERGING_ON_PAGE,
                colorbar={"title": {"text": "cosine"}, "thickness": 14, "tickvals": TICKS, "ticktext": TICK_TEXTS},
                hovertemplate="nodes %{y} and %{x}: 100 cos = %{z}<extra></extra>",
            )
        ],
        xaxis=axis("node", constrain="domain", **ticks),
        yaxis=axis("node", autorange="reversed", scaleanchor="x", constrain="domain", **ticks),
    )
    file = name.lower().replace(",", "").replace(" ", "-")
    return Plot(f"similarity-{file}", f"Similarity heat map: {name}", drawn, 560)
