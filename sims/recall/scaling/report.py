"""What a search of smallest dimensions leaves in its folder: scores.json, the figure and report.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.drawing import Drawing, save_drawings
from ...draw.markdown import environment_section, markdown_table
from ...draw.over_seeds import T_INTERVAL, mean_and_interval
from .fit import FEWEST_SIZES, ScalingFit, fit_laws
from .plot import LETTERS, TITLES, scaling_figure
from .run import ScalingResult

Fits = dict[str, dict[str, ScalingFit | None]]


def write_scaling(result: ScalingResult) -> tuple[dict[str, Any], list[Path]]:
    """Fit, draw and write under the folder's lock; the JSON of the command and the paths of the files. Raises
    NotDrawn as ``save_drawings``."""
    fits, folder = fit_curves(result), result.folder
    answer = describe_scaling(result, fits)
    drawing = Drawing("scaling", lambda: scaling_figure(result, fits))
    with locked(folder.path):
        folder.write_scores(answer)
        write_text(folder.path / "report.md", scaling_markdown(answer, folder.read_environment(), drawing.link))
        folder.seal()
        written = save_drawings([drawing], folder.path)
    return answer, [*written, folder.path / "report.md", folder.path / "scores.json"]


def fit_curves(result: ScalingResult) -> Fits:
    """Both laws for every curve of FEWEST_SIZES sizes or more; None for a shorter one, and for one with a seed at which
    no dimension tried memorised, which would bend it."""
    fits: Fits = {name: {} for name in result.conditions}
    for name in result.conditions:
        for against in LETTERS:
            curve = result.curve(name, against)
            sizes = [getattr(point, against) for point in curve]
            widths = [point.found.width for point in curve if point.found.width is not None]
            whole = len(widths) == len(sizes) and len(set(sizes)) >= FEWEST_SIZES
            fits[name][against] = fit_laws(sizes, widths) if whole else None
    return fits


def describe_scaling(result: ScalingResult, fits: Fits) -> dict[str, Any]:
    """``settings``, the grid, ``fits`` by condition and axis, and ``points``: every search with all it tried."""
    return {
        "settings": result.settings,
        "threshold": result.threshold,
        "high": result.high,
        "conditions": list(result.conditions),
        "subjects": list(result.subjects),
        "relations": list(result.relations),
        "seeds": list(result.seeds),
        "fits": {name: {against: _describe_fit(fit) for against, fit in laws.items()} for name, laws in fits.items()},
        "points": [_describe_point(point) for point in result.points],
    }


def scaling_rows(answer: Mapping[str, Any], against: str) -> tuple[list[str], list[list[str]]]:
    """Header and one row a condition: the dimension at every size (range over seeds), the exponent of the power law and
    the slope of the logarithmic one with their intervals, and which fits better by AIC."""
    fixed = "relations" if against == "subjects" else "subjects"
    letter, held = LETTERS[against], getattr(answer["settings"], fixed)
    points = [point for point in answer["points"] if point[fixed] == held]
    sizes = sorted({point[against] for point in points})
    header = ["condition", *(f"{letter} = {size}" for size in sizes), "exponent", "per doubling", "better law",
              "residuals log, power"]  # fmt: skip
    rows = []
    for name in answer["conditions"]:
        mine = [point for point in points if point["condition"] == name]
        widths = [[point["width"] for point in mine if point[against] == size] for size in sizes]
        rows.append([TITLES[name], *map(_range, widths), *_fit_cells(answer["fits"][name][against])])
    return header, rows


def scaling_markdown(answer: Mapping[str, Any], environment: Mapping[str, Any], figure: str) -> str:
    """report.md: figure, a table against each axis, what the numbers are, settings and environment."""
    settings = dataclasses.asdict(answer["settings"])
    varied = ("subjects", "relations", "width", "frozen")
    lines = ["# The smallest dimension that memorises facts", "", f"![Smallest dimension]({figure})", ""]
    for against, fixed in (("subjects", "relations"), ("relations", "subjects")):
        lines += [f"## Against {against}", "", f"{fixed.capitalize()}: {settings[fixed]}.", ""]
        lines += [*markdown_table(*scaling_rows(answer, against)), ""]
    lines += [
        f"Smallest embedding dimension, least to largest of {len(answer['seeds'])} seeds. Trained: at least "
        f"{answer['threshold']:.0%} of the facts right at one record, by bisection up to {answer['high']}; the "
        "logits run over the whole vocabulary. Constructions: every fact right. Blocks: d = R k with random sign codes "
        "in R^k. Rotations: k = d, each relation's codes turned at random. Associative: one d x d matrix a relation, "
        "random embeddings. Frozen subjects: their input embeddings stay as drawn; frozen subjects and codes: the "
        "output embeddings too, which leaves the facts to the matrices in between.",
        "",
        "Exponent: alpha of d = c x^alpha; per doubling: b of d = a + b log2 x; both fitted to log d, with the "
        f"{T_INTERVAL} of the regression [low, high]. Better law: the smaller AIC, by how much; both have two "
        "parameters, and a difference below 2 tells little. Residuals: root mean square of log d. Memory linear in "
        "the facts is an exponent of 1/2 where it lies in matrices of d x d, and "
        "of 1 where it lies in a fixed number of neurons of d weights.",
        "",
        "## Settings",
        "",
        "Trained: " + ", ".join(f"{key} {value}" for key, value in settings.items() if key not in varied) + ".",
        "",
        *environment_section(environment),
        "",
    ]
    return "\n".join(lines)


def _describe_point(point: Any) -> dict[str, Any]:
    found = dataclasses.asdict(point.found)
    return {
        "condition": point.condition,
        "subjects": point.subjects,
        "relations": point.relations,
        "seed": point.seed,
        **found,
    }


def _describe_fit(fit: ScalingFit | None) -> dict[str, Any] | None:
    if fit is None:
        return None
    return {"log": fit.log, "power": fit.power, "better": fit.better, "advantage": fit.advantage}


def _fit_cells(fit: Mapping[str, Any] | None) -> list[str]:
    if fit is None:
        return ["–"] * 4
    log, power = fit["log"], fit["power"]
    return [
        mean_and_interval(power.second, (power.low, power.high), ".2f"),
        mean_and_interval(log.second, (log.low, log.high), ".2f"),
        f"{fit['better']} by {fit['advantage']:.1f}",
        f"{log.residual:.3f}, {power.residual:.3f}",
    ]


def _range(widths: list[int | None]) -> str:
    known = [width for width in widths if width is not None]
    if not widths or len(known) < len(widths):
        return "none" if widths else "–"
    return str(known[0]) if len(set(known)) == 1 else f"{min(known)}–{max(known)}"
