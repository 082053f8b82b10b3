"""What a finished preset shows: tables beside the published numbers, figures with their captions, report.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...draw.drawing import Drawing
from ...draw.markdown import environment_section, markdown_table, setting_words
from ...draw.over_seeds import DEVIATION_NOTE, mean_and_deviation
from ...foreign import visible
from ..comparison import Comparison
from ..show.gallery import gallery_caption, plot_gallery
from ..show.heat_maps import heat_maps_caption, plot_heat_maps
from ..show.mode_times import mode_times_caption, plot_mode_times
from ..show.spectral_bars import plot_spectral_bars, plot_vector_bars, spectral_bars_caption, vector_bars_caption
from ..spectral_bias import spectral_bias_notes, spectral_bias_rows
from .definitions import Preset
from .run import STABLE, CellResult, Measured, measured

TITLES = {
    "loss": ("loss", ".4f"),
    "entropy_floor": ("its floor", ".4f"),
    "edge_recall": ("edge recall", ".3f"),
    "recall_step": ("first full recall", ".0f"),
    "geometric_level": ("geometric level", ".3f"),
    "geometric_level_centred": ("level, centred", ".3f"),
    "geometric_margin": ("geometric margin", ".2f"),
    "geometric_margin_top1": ("its top-1", ".2f"),
    "transposed_margin": ("margin of (E W E')'", ".2f"),
    "gram_error": ("gram_error", ".3f"),
    "fiedler_score": ("fiedler_score", ".3f"),
}
MAIN = ("", "loss", "first full recall", "geometric level", "geometric margin", "gram_error", "fiedler_score")

PUBLISHED_NOTE = "In brackets the published number, one seed."
NOTES = (
    f"{DEVIATION_NOTE} {PUBLISHED_NOTE} It is bold where ours agree over seeds to 25 % and it lies "
    "farther than 25 % from their mean. Loss: per training line for networks, per node for "
    "Node2Vec; its floor: the entropy of the targets. First full recall: the first recorded step at which all "
    "neighbours of every node lead its logits. "
    "Level: mean cosine over training lines, self pairs included. Geometric margin: of the logits' part that is "
    "diagonal in the embedding's singular basis. Margin of (E W E')': see `final_scores`."
)

MIXED = "The optimum drawn is Node2Vec's, which weighs nodes alike; networks weigh training lines alike."


def preset_tables(results: Sequence[CellResult]) -> list[tuple[str, list[str], list[list[str]]]]:
    """For each cell its name, a header and rows."""
    tables = []
    for cell, of_cell in groupby(measured(results), key=lambda row: row.cell):
        rows = list(of_cell)
        names = [name for name in TITLES if any(row.measure == name for row in rows)]
        header = ["", *(TITLES[name][0] for name in names)]
        lines = []
        for title, of_model in groupby(rows, key=lambda row: row.title):
            found = {row.measure: row for row in of_model}
            lines.append([title, *(_entry(found.get(name), TITLES[name][1]) for name in names)])
        tables.append((cell, header, lines))
    return tables


def _entry(row: Measured | None, fmt: str) -> str:
    if row is None or not np.isfinite(row.values).any():
        return "never" if row is not None and row.measure == "recall_step" else "-"
    text = mean_and_deviation(row.mean, row.deviation, fmt, ".2g")
    missing = sum(not np.isfinite(value) for value in row.values)
    if missing:
        text += f", {missing} never"
    if row.published is None:
        return text
    published = f"{row.published:{fmt}}"
    return f"{text} ({f'**{published}**' if apart(row) else published})"


def apart(row: Measured) -> bool:
    """Whether a stable score of ours and the published one are farther apart than STABLE."""
    if row.published is None or not row.stable:
        return False
    return abs(row.published - row.mean) > STABLE * abs(row.mean)


def preset_drawings(preset: Preset, results: Sequence[CellResult]) -> list[Drawing]:
    """The figures to be drawn. Cells with other models or lines are drawn in figures of their own."""
    groups: dict[tuple[Any, ...], list[CellResult]] = {}
    for result in results:
        cell = result.cell
        groups.setdefault((cell.edges, cell.self_edges, *(one.name for one in cell.models)), []).append(result)
    found = []
    for number, group in enumerate(groups.values()):
        comparisons = [result.comparison for result in group]
        for name, plot, caption in _plots(preset, group, comparisons):
            full = name if number == 0 else f"{name}-{number + 1}"
            found.append(Drawing(full, partial(plot, comparisons), caption.split(". ")[0], caption))
    return found


def _plots(
    preset: Preset, group: Sequence[CellResult], comparisons: Sequence[Comparison]
) -> Iterator[tuple[str, Callable[[Sequence[Comparison]], Figure], str]]:
    """File name, function and caption of each figure."""
    weights = {spec.weights for result in group for spec in result.cell.models}
    note = "" if len(weights) == 1 else f" {MIXED}"
    yield "gallery", plot_gallery, gallery_caption(comparisons) + note
    yield "heat-maps", plot_heat_maps, heat_maps_caption(comparisons) + note
    yield "spectral-bars", plot_spectral_bars, spectral_bars_caption(comparisons)
    yield "mode-times", plot_mode_times, mode_times_caption(comparisons)
    if preset.vector_bars:
        yield "vector-bars", plot_vector_bars, vector_bars_caption(comparisons)


def preset_markdown(
    preset: Preset,
    seeds: Sequence[int],
    results: Sequence[CellResult],
    figures: Sequence[Drawing],
    environment: Mapping[str, Any],
) -> str:
    """report.md: tables, spectral bias, figures, settings, command and versions."""
    lines = [
        f"# {preset.title}",
        "",
        f"Preset `{preset.name}`, after {preset.source} of arXiv 2510.26745; seeds {', '.join(map(str, seeds))}.",
        "",
    ]
    for cell, header, rows in preset_tables(results):
        lines += [f"## {cell}", "", *markdown_table(header, rows), ""]
    lines += [NOTES, "", "## Spectral bias", ""]
    for result in results:
        lines += [f"### {result.cell.name}", "", *markdown_table(*spectral_bias_rows(result.comparison.biases)), ""]
    lines += [*spectral_bias_notes(len(seeds)), ""]
    for drawing in figures:
        lines += [f"![{drawing.title}]({drawing.link})", "", drawing.caption, ""]
    lines += ["## Settings", ""]
    for result in results:
        for one in result.comparison.models:
            lines.append(f"- {result.cell.name}, **{one.model.title}**: {setting_words(vars(one.settings))}")
    lines += ["", *environment_section(environment), ""]
    return "\n".join(lines)


def preset_rendering(results: Sequence[CellResult]) -> RenderableType:
    """The main columns for a terminal of 80, the published numbers in brackets below ours; report.md has them all."""
    parts: list[RenderableType] = []
    for cell, header, rows in preset_tables(results):
        shown = [i for i, title in enumerate(header) if title in MAIN]
        table = Table()
        for i in shown:
            table.add_column(header[i].replace("_", " "), justify="right" if i else "left", overflow="fold")
        for row in rows:
            lines = [row[i].replace("**", "").replace(" ± ", "\n±").replace(" (", "\n(") for i in shown[1:]]
            table.add_row(row[0], *(line.replace(", ", "\n") for line in lines))
        parts += [Text(visible(cell), style="bold"), table]
    return Group(*parts, Text(f"{DEVIATION_NOTE}\n{PUBLISHED_NOTE}", style="dim"))
