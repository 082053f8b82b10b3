"""Phase diagrams of every kind that is drawn, from made-up tables, each drawn once."""

from __future__ import annotations

import dataclasses
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiedler.sims.phase.diagram import PhaseDiagram, phase_diagram
from fiedler.sims.phase.plot import phase_figure
from fiedler.sims.phase.prediction import ModeDeath
from phase_tables import fail, swept

RATES, STDS = [1e-4, 1e-3, 1e-2, 1e-1], [0.01, 0.1, 1.0]
PLANE = {"learning_rate": RATES, "init_std": STDS}
DECAYS = [0.003, 0.03, 0.3, 3.0]


def slope(seed: int, learning_rate: float, init_std: float, **_: object) -> float:
    return float(np.log10(learning_rate) + 0.5 * np.log10(init_std) + 3.2) + (0.3, -0.3)[seed % 2]


def decaying(seed: int, weight_decay: float, **_: object) -> float:
    return 1.0 / (1 + weight_decay) + 0.01 * seed


def with_holes() -> pd.DataFrame:
    table = swept(PLANE, slope)
    fail(table, table["learning_rate"] == 0.1)
    fail(table, (table["learning_rate"] == 0.01) & (table["seed"] == 0))
    fail(table, (table["learning_rate"] == 1e-4) & (table["init_std"] == 1.0), status="pending")
    fail(table, (table["learning_rate"] == 1e-4) & (table["init_std"] == 0.01), status="done")
    return table


def many_deaths(count: int) -> tuple[ModeDeath, ...]:
    """Crowded together at one end, as in large graphs."""
    decays = 1.1 - 0.05 * np.arange(count)
    return tuple(
        ModeDeath(float(d), 0.1 * k - 0.2, k, 1 + k % 3, 0.5 + 0.5 * (k % 2), k % 4 != 3) for k, d in enumerate(decays)
    )


def scattered() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    points = 10 ** rng.uniform([-4, -2], [-1, 0], (12, 2))
    return pd.concat([swept({"learning_rate": [float(x)], "init_std": [float(y)]}, slope) for x, y in points])


def crowded(along: str) -> PhaseDiagram:
    """Deaths along the x or the y axis."""
    other = {"init_std": STDS} if along == "y" else {}
    axes = {**other, "weight_decay": DECAYS}
    diagram = phase_diagram(swept(axes, decaying), *axes, samples=0)
    return dataclasses.replace(diagram, prediction=dataclasses.replace(diagram.prediction, deaths=many_deaths(12)))


def over(x: str, y: str | None, table: pd.DataFrame, metric: str = "geometric_margin", **options) -> PhaseDiagram:
    return phase_diagram(table, x, y, metric, **{"samples": 0, **options})


def plane(table: pd.DataFrame, metric: str = "geometric_margin", **options) -> PhaseDiagram:
    return over("learning_rate", "init_std", table, metric, **options)


def smoothed() -> pd.DataFrame:
    axes = {"label_smoothing": [0.0, 0.1, 0.2], "init_std": [0.1, 0.2]}
    return swept(axes, lambda label_smoothing, **_: label_smoothing - 0.12)


def rates() -> pd.DataFrame:
    return swept({"learning_rate": RATES}, lambda seed, learning_rate, **_: slope(seed, learning_rate, 1.0))


CASES = {
    "plane": lambda: plane(swept(PLANE, slope), samples=4),
    "holes": lambda: plane(with_holes(), samples=4),
    "scatter": lambda: plane(scattered(), samples=4),
    "deaths on y": lambda: crowded("y"),
    "deaths on x": lambda: crowded("x"),
    "true deaths": lambda: over(
        "weight_decay", "init_std", swept({"weight_decay": DECAYS, "init_std": STDS}, decaying, graph="cycle:15")
    ),
    "zero decay": lambda: over(
        "init_std", "weight_decay", swept({"init_std": STDS, "weight_decay": [0.0, 0.001, *DECAYS]}, decaying)
    ),
    "linear": lambda: over("label_smoothing", "init_std", smoothed()),
    "other score": lambda: plane(swept(PLANE, slope, metric="loss_per_node"), "loss_per_node"),
    "asked boundary": lambda: plane(swept(PLANE, slope, metric="gram_error"), "gram_error", boundary=0.4),
    "curve": lambda: over("learning_rate", None, rates(), samples=4),
    "curve with failures": lambda: over("learning_rate", None, with_holes()[lambda t: t["init_std"] == 0.1]),
    "one cell": lambda: plane(swept({"learning_rate": [0.1], "init_std": [1.0]}, slope)),
    "all failed": lambda: plane(_all_failed()),
    "transformer": lambda: plane(swept(PLANE, slope, model="transformer")),
    "untied": lambda: plane(swept(PLANE, lambda **_: -1.0, model="node2vec-untied")),
    "long name": lambda: plane(swept(PLANE, slope, graph=f"/{'long' * 60}.edges")),
}


def _all_failed() -> pd.DataFrame:
    table = swept(PLANE, slope)
    fail(table, table["seed"] >= 0)
    return table


DIAGRAMS: dict[str, tuple[PhaseDiagram, Figure]] = {}


def drawn(name: str) -> tuple[PhaseDiagram, Figure]:
    """A diagram and its figure, in whose making every warning is an error. Not to be changed."""
    if name not in DIAGRAMS:
        diagram = CASES[name]()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = phase_figure(diagram)
            figure.canvas.draw()
        plt.close(figure)
        DIAGRAMS[name] = diagram, figure
    return DIAGRAMS[name]
