"""What a search of smallest dimensions leaves in its folder: scores.json, the figure and report.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...disk.files import write_text
from ...disk.lock import locked
from ...draw.drawing import Drawing, save_drawings
from ...draw.markdown import environment_section, markdown_table
from ...draw.over_seeds import DEVIATION_NOTE, T_INTERVAL, mean_and_interval
from .decide import DECISIVE
from .fit import FEWEST_SIZES, ScalingFit, fit_laws
from .hops import describe_hops, hop_dimension_rows, hop_threshold_figure, plane_rows, width_range
from .plot import LETTERS, TITLES, scaling_figure
from .run import ScalingResult
from .threshold_plot import threshold_figure
from .thresholds import collapse_rows, describe_thresholds, law_rows, threshold_rows

Fits = dict[str, dict[str, ScalingFit | None]]


def write_scaling(result: ScalingResult) -> tuple[dict[str, Any], list[Path]]:
    """Fit, draw and write under the folder's lock; the JSON of the command and the paths of the files. Raises
    NotDrawn as ``save_drawings``."""
    fits, folder = fit_curves(result), result.folder
    answer = describe_scaling(result, fits)
    drawings = [
        Drawing("hop-threshold", lambda: hop_threshold_figure(result)) if several(result)
        else Drawing("scaling", lambda: scaling_figure(result, fits))
    ]  # fmt: skip
    if result.lower:
        drawings.append(Drawing("threshold", lambda: threshold_figure(result, answer["levels"])))
    with locked(folder.path):
        folder.write_scores(answer)
        links = [one.link for one in drawings]
        write_text(folder.path / "report.md", scaling_markdown(answer, folder.read_environment(), links))
        folder.seal()
        written = save_drawings(drawings, folder.path)
    return answer, [*written, folder.path / "report.md", folder.path / "scores.json"]


def several(result: ScalingResult) -> bool:
    """Whether some of it is about more than one hop."""
    return max(result.hops) > 1


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
    """``settings``, the grid, ``fits`` by condition and axis, and ``points``: every search with all it tried. With
    lower levels ``levels`` (``describe_thresholds``), with several hops ``hops_found`` (``describe_hops``)."""
    levels = {"levels": describe_thresholds(result)} if result.lower else {}
    hops = {"hops_found": describe_hops(result)} if several(result) else {}
    return {
        "settings": result.settings,
        "threshold": result.threshold,
        "high": result.high,
        "conditions": list(result.conditions),
        "subjects": list(result.subjects),
        "relations": list(result.relations),
        "hops": list(result.hops),
        "lower": list(result.lower),
        "seeds": list(result.seeds),
        **levels,
        **hops,
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
        rows.append([TITLES[name], *map(width_range, widths), *_fit_cells(answer["fits"][name][against])])
    return header, rows


def scaling_tables(answer: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, header and rows of every table that ``answer`` has numbers for."""
    if "hops_found" in answer:
        title = f"smallest dimension over hops, {answer['settings'].subjects} entities"
        return [(title, *hop_dimension_rows(answer)), ("how it grows", *plane_rows(answer))]
    tables = [(f"smallest dimension against {axis}", *scaling_rows(answer, axis)) for axis in LETTERS]
    for level in answer.get("levels", ()):
        share = f"{float(level):.0%}"
        tables.append((f"dimension at which recall crosses {share}, N x R", *threshold_rows(answer, level)))
        tables.append((f"laws of that crossing of {share} against subjects", *law_rows(answer, level)))
        tables.append((f"variation of the crossing of {share} over sizes", *collapse_rows(answer, level)))
    return [table for table in tables if table[2]]


def scaling_markdown(answer: Mapping[str, Any], environment: Mapping[str, Any], figures: Sequence[str]) -> str:
    """report.md: figures, tables, what the numbers are, settings and environment."""
    settings = dataclasses.asdict(answer["settings"])
    varied = ("subjects", "relations", "width", "frozen", "frozen_codes", "hops", "chain_of_thought")
    lines = ["# The smallest dimension that memorises facts", ""]
    for figure in figures:
        lines += [f"![Smallest dimension]({figure})", ""]
    for title, header, rows in scaling_tables(answer):
        lines += [f"## {title[0].upper()}{title[1:]}", "", *markdown_table(header, rows), ""]
    lines += [HOPS_LEGEND if "hops_found" in answer else _legend(answer), ""]
    if "levels" in answer:
        lines += [LEVELS_LEGEND, ""]
    lines += [
        "## Settings",
        "",
        f"Held: subjects {settings['subjects']}, relations {settings['relations']}. "
        "Trained: " + ", ".join(f"{key} {value}" for key, value in settings.items() if key not in varied) + ".",
        "",
        *environment_section(environment),
        "",
    ]
    return "\n".join(lines)


def _legend(answer: Mapping[str, Any]) -> str:
    return (
        f"Smallest embedding dimension, least to largest of {len(answer['seeds'])} seeds. Trained: at least "
        f"{answer['threshold']:.0%} of the facts right at one record, by bisection up to {answer['high']}; the "
        "logits run over the whole vocabulary. Constructions: every fact right. Blocks: d = R k with random sign codes "
        "in R^k. Rotations: k = d, each relation's codes turned at random. Associative: one d x d matrix a relation, "
        "random embeddings. Frozen subjects: their input embeddings stay as drawn; frozen subjects and codes: the "
        "output embeddings too, which leaves the facts to the matrices in between.\n\n"
        "Exponent: alpha of d = c x^alpha; per doubling: b of d = a + b log2 x; both fitted to log d, with the "
        f"{T_INTERVAL} of the regression [low, high]. Better law: the smaller AIC, by how much; both have two "
        "parameters, and a difference below 2 tells little. Residuals: root mean square of log d. Memory linear in "
        "the facts is an exponent of 1/2 where it lies in matrices of d x d, and "
        "of 1 where it lies in a fixed number of neurons of d weights."
    )


LEVELS_LEGEND = (
    "Crossing: between the neighbouring dimensions around the level, linear in accuracy. Variation: the coefficient of "
    "variation over sizes (standard deviation, n - 1, over mean) of the crossing divided by what the column says, for "
    f"each seed. {DEVIATION_NOTE} 0 is a perfect collapse. a, b: the fitted powers of N and R in the "
    "last column. Seeds that would decide: how many a size, at the sizes measured, make the expected difference of AIC "
    f"{DECISIVE:g} whichever law is true, by the fitted laws and the better one's residuals; beside it the N up to "
    "which doublings of N with the seeds at hand would."
)
HOPS_LEGEND = (
    "Smallest embedding dimension at which the share of the longest questions asked for is right, least to largest of "
    "the seeds; all shorter ones are trained, too. At once: the answer follows the question; chain of thought: every "
    "entity on the way is written first, by the model itself where it is asked. With one hop both are the same, and "
    "answers have tokens of their own. Construction: R k with chain of thought, R^K k in one layer, k the length of "
    f"random sign codes that differ. Plane: least squares, [low, high] the {T_INTERVAL} of each slope. Variation: "
    "coefficient of variation over all R and K of the dimension divided by what the column says."
)


def _describe_point(point: Any) -> dict[str, Any]:
    found = dataclasses.asdict(point.found)
    return {
        "condition": point.condition,
        "subjects": point.subjects,
        "relations": point.relations,
        "hops": point.hops,
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
