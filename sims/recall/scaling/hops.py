"""The smallest dimension over the number of hops K and relations R, beside what constructions need.

With chain of thought the construction needs R k, k the length of a code, whatever K: one gate, K passes. Telling the
passes apart may cost a dimension each, which makes it of the order of R + K. At once it is R^K k in one layer. Which of
them training follows is asked of the fitted plane d = a + b R + c K: R k says c = 0, R + K says b = c > 0; and of how
constant d / f is over the sizes (``collapse``'s coefficient of variation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

from fiedler.theory import distinct_code_dimension

from ...draw.over_seeds import mean_and_interval
from ...draw.style import COLOURS, MARKERS, STYLE
from ...scores.statistics import t_quantile
from .presets import CHAIN
from .run import ScalingPoint, ScalingResult

NAMES = {"trained": "at once", CHAIN: "chain of thought"}
SCALES: Mapping[str, Callable[[float, float], float]] = {
    "1": lambda r, k: 1.0,
    "R": lambda r, k: r,
    "R + K": lambda r, k: r + k,
    "R K": lambda r, k: r * k,
    "R^K": lambda r, k: r**k,
}
COEFFICIENTS = 3  # of the plane
APART = 0.06  # by which the relations' marks stand apart along K


@dataclass(frozen=True)
class Plane:
    """d = ``constant`` + ``per_relation`` R + ``per_hop`` K by least squares, with the 95 % intervals of the slopes,
    and the standard deviation of its ``residual`` (three parameters counted)."""

    constant: float
    per_relation: float
    relation_interval: tuple[float, float]
    per_hop: float
    hop_interval: tuple[float, float]
    residual: float


def fit_plane(relations: ArrayLike, hops: ArrayLike, dimensions: ArrayLike) -> Plane:
    """Of ``dimensions`` (n,) at ``relations`` and ``hops`` (n,), each search an independent point. Raises ValueError
    where these do not vary, or leave nothing over for a residual."""
    r, k, d = (np.asarray(values, dtype=np.float64) for values in (relations, hops, dimensions))
    inputs = np.stack([np.ones_like(r), r, k], axis=1)
    if len(d) <= COEFFICIENTS or np.linalg.matrix_rank(inputs) < COEFFICIENTS:
        raise ValueError(
            f"a plane needs more than {COEFFICIENTS} points, of different relations and hops; got {len(d)} points"
        )
    solution, square, *_ = np.linalg.lstsq(inputs, d, rcond=None)
    freedom = len(d) - COEFFICIENTS
    variance = float(square[0]) / freedom
    reach = t_quantile(freedom) * np.sqrt(variance * np.diag(np.linalg.inv(inputs.T @ inputs)))
    ends = [(float(value - by), float(value + by)) for value, by in zip(solution, reach, strict=True)]
    constant, per_relation, per_hop = map(float, solution)
    return Plane(constant, per_relation, ends[1], per_hop, ends[2], variance**0.5)


def describe_hops(result: ScalingResult) -> dict[str, Any]:
    """By condition: ``plane``, ``variation`` of d after each of SCALES (geometric means over seeds), None for a width
    that was not found; ``predicted``: what constructions need at every size."""
    code = distinct_code_dimension(result.settings.subjects)
    found: dict[str, Any] = {"code_dimension": code}
    sizes = sorted({(p.relations, p.hops) for p in result.points})
    found["predicted"] = [
        {"relations": r, "hops": k, "chain_of_thought": r * code, "one_layer": r**k * code} for r, k in sizes
    ]
    varied = len({r for r, _ in sizes}) > 1 and len({k for _, k in sizes}) > 1 and len(sizes) > COEFFICIENTS
    for name in result.conditions:
        points = [p for p in result.points if p.condition == name]
        widths = [p.found.width for p in points]
        known = [width for width in widths if width is not None]
        whole = len(known) == len(widths) and varied
        plane = fit_plane([p.relations for p in points], [p.hops for p in points], known) if whole else None
        found[name] = {
            "plane": None if plane is None else asdict(plane),
            "variation": _variations(points) if whole else None,
        }
    return found


def _variations(points: Sequence[ScalingPoint]) -> dict[str, float]:
    means = _means(points)
    scaled = {
        name: np.array([mean / scale(r, k) for (r, k), (mean, _, _) in means.items()]) for name, scale in SCALES.items()
    }
    return {name: float(values.std(ddof=1) / values.mean()) for name, values in scaled.items()}


def _means(points: Sequence[ScalingPoint]) -> dict[tuple[int, int], tuple[float, int, int]]:
    """By (R, K) the geometric mean, least and largest dimension; only where every seed found one."""
    found = {}
    for size in sorted({(p.relations, p.hops) for p in points}):
        widths = [p.found.width for p in points if (p.relations, p.hops) == size]
        known = [width for width in widths if width is not None]
        if len(known) == len(widths):
            found[size] = (float(np.exp(np.mean(np.log(known)))), min(known), max(known))
    return found


def hop_dimension_rows(answer: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and one row a condition and number of relations: the dimensions over the hops, least to largest of the
    seeds, and what the constructions need."""
    hops = sorted({point["hops"] for point in answer["points"]})
    rows = []
    for name in answer["conditions"]:
        for r in sorted({point["relations"] for point in answer["points"]}):
            cells = []
            for k in hops:
                widths = [point["width"] for point in answer["points"]
                          if (point["condition"], point["relations"], point["hops"]) == (name, r, k)]  # fmt: skip
                cells.append(width_range(widths))
            key = CHAIN if name == CHAIN else "one_layer"
            needs = [one[key] for one in answer["hops_found"]["predicted"] if one["relations"] == r]
            rows.append([f"{NAMES[name]}, R = {r}", *cells, " ".join(map(str, needs))])
    return ["smallest dimension", *(f"K = {k}" for k in hops), "construction"], rows


def plane_rows(answer: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and one row a condition: the plane's slopes and the coefficients of variation."""
    rows = []
    for name in answer["conditions"]:
        plane, variation = (answer["hops_found"][name][key] for key in ("plane", "variation"))
        if plane is None:
            continue
        slopes = [mean_and_interval(plane[f"per_{what}"], plane[f"{what}_interval"], ".2f")
                  for what in ("relation", "hop")]  # fmt: skip
        variations = [f"{value:.2f}" for value in variation.values()]
        rows.append([NAMES[name], *slopes, f"{plane['residual']:.2f}", *variations])
    return ["d = a + b R + c K", "b", "c", "residual", *(f"variation of d / ({name})" for name in SCALES)], rows


def width_range(widths: Sequence[int | None]) -> str:
    """ "4–6", "5" where all agree, "none" where one was not found, "–" for no widths."""
    known = [width for width in widths if width is not None]
    if not widths or len(known) < len(widths):
        return "none" if widths else "–"
    return str(known[0]) if len(set(known)) == 1 else f"{min(known)}–{max(known)}"


def hop_threshold_figure(result: ScalingResult) -> Figure:
    """A panel for each condition: the smallest dimension over the hops, a line for each number of relations, and what
    the construction needs, dashed; logarithmic where answers are given at once."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(result.conditions), figsize=(4.6 * len(result.conditions), 4.6), layout="constrained", squeeze=False
        )
        for ax, name in zip(axes[0], result.conditions, strict=True):
            draw_hop_thresholds(ax, result, name)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        about = f"{result.settings.subjects} entities, {result.threshold:.0%} of the longest questions right"
        figure.suptitle(f"{about}\nmean and range over seeds; dashed: construction", x=0.01, ha="left", fontsize=9)
    return figure


def draw_hop_thresholds(ax: Axes, result: ScalingResult, condition: str) -> None:
    """The smallest dimensions of one condition, and its construction's."""
    points = [p for p in result.points if p.condition == condition]
    code = distinct_code_dimension(result.settings.subjects)
    means = _means(points)
    relations = sorted({p.relations for p in points})
    hops = sorted({p.hops for p in points})
    for number, r in enumerate(relations):
        at = [k for k in hops if (r, k) in means]
        middle = np.array([means[r, k][0] for k in at])
        ends = np.abs(np.array([means[r, k][1:] for k in at]).T - middle) if at else np.zeros((2, 0))
        colour = COLOURS[number % len(COLOURS)]
        aside = np.array(at) + APART * (number - (len(relations) - 1) / 2)
        ax.errorbar(aside, middle, yerr=ends, color=colour, lw=1.3, marker=MARKERS[number % len(MARKERS)], ms=5,
                    mfc="white", elinewidth=0.9, label=f"R = {r}")  # fmt: skip
        needs = [r * code if condition == CHAIN else r**k * code for k in hops]
        ax.plot(hops, needs, "--", color=colour, lw=1.0)
    ax.set(xlabel="hops $K$", yscale="log")
    ax.set_title(NAMES[condition], loc="left")
    ax.set_ylabel("smallest embedding dimension $d$")
    ax.set_xticks(hops)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.grid(axis="y", color="#dddddd", lw=0.6)
