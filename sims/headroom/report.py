"""Headroom as text: tables for the terminal and report.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..draw.markdown import environment_section, markdown_table, setting_words
from ..draw.over_seeds import DEVIATION_NOTE, T_INTERVAL, legend, mean_and_deviation, mean_and_interval
from ..foreign import visible

# column title and number format of each measure
COLUMNS = {
    "gram_error": ("gram_error", ".3f"),
    "fiedler_score": ("fiedler_score", ".3f"),
    "node2vec_distance": ("to Node2Vec", ".3f"),
    "geometric_margin": ("geometric margin", ".2f"),
    "geometric_margin_top1": ("its top-1", ".2f"),
    "edge_margin": ("edge margin", ".2f"),
    "loss": ("loss", ".4f"),
    "edge_recall": ("edge recall", ".3f"),
    "recall_step": ("full recall at step", ".0f"),
    "train_first_token_accuracy": ("first token, seen", ".3f"),
    "first_token_accuracy": ("first token", ".3f"),
    "path_accuracy": ("whole path", ".3f"),
    "half_step": ("half the base's at step", ".0f"),
}
# measures whose paired difference from the base gets a table
COMPARED = ("gram_error", "loss", "recall_step", "first_token_accuracy", "half_step")

NOTES = (
    f"{DEVIATION_NOTE} Differences: seed by seed from the Transformer as it is, mean and {T_INTERVAL} "
    "[low, high]. gram_error, fiedler_score: to the certified optimum; to Node2Vec: the same distance to "
    "the embedding Node2Vec learned on the graph from the same seed. Margins of the optimum's own E E' in the first "
    "row. The variants are given the predicted geometry or the edges a second time: they test what it is good for, "
    "not whether the theory predicts it."
)


def headroom_tables(answer: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, header and rows of every table: values and differences of each graph."""
    tables = []
    for name, graph in _graphs(answer):
        variants = graph["variants"]
        base = next(iter(variants.values()))
        measures = [key for key in COLUMNS if key in base["summary"]]
        header = ["", *(_column(key, graph) for key in measures)]
        rows = [["certified optimum", *(_of_optimum(graph["optimum"], key) for key in measures)]]
        rows += [[v["title"], *(_spread(v["summary"][key], COLUMNS[key][1]) for key in measures)]
                 for v in variants.values()]  # fmt: skip
        tables.append((name, header, rows))
        compared = [key for key in COMPARED if key in measures]
        rows = [[v["title"], *(_interval(v["difference"][key], COLUMNS[key][1]) for key in compared)]
                for v in list(variants.values())[1:]]  # fmt: skip
        tables.append((f"{name}: difference", ["", *(COLUMNS[key][0] for key in compared)], rows))
    return tables


def headroom_markdown(answer: Mapping[str, Any], environment: Mapping[str, Any], figure: str) -> str:
    """report.md."""
    lines = ["# Headroom of the geometry", "", f"![Distances from the optimum]({figure})", ""]
    for title, header, rows in headroom_tables(answer):
        lines += [f"## {title}", "", *markdown_table(header, rows), ""]
    lines += [NOTES, "", "## Settings", ""]
    for name, graph in _graphs(answer):
        seeds = ", ".join(map(str, graph["seeds"]))
        for variant in graph["variants"].values():
            settings = setting_words(variant["settings"])
            lines.append(f"- {name}, **{variant['title']}** (seeds {seeds}): {settings}")
    lines += ["", *environment_section(environment), ""]
    return "\n".join(lines)


def headroom_rendering(answer: Mapping[str, Any]) -> RenderableType:
    """The same tables for a terminal, turned: a column a variant."""
    parts: list[RenderableType] = []
    for title, header, rows in headroom_tables(answer):
        table = Table()
        table.add_column("")
        for row in rows:
            table.add_column(row[0], justify="right")
        for i, name in enumerate(header[1:], 1):
            table.add_row(name, *(row[i] for row in rows))
        parts += [Text(visible(title), style="bold"), table, *(Text(note, style="dim") for note in legend(rows))]
    return Group(*parts)


def _column(key: str, graph: Mapping[str, Any]) -> str:
    """The title of a measure; beside the loss the entropy of the targets, below which none is."""
    floor = graph["optimum"].get("entropy_floor") if key == "loss" else None
    return COLUMNS[key][0] if floor is None else f"{COLUMNS[key][0]} (floor {floor:.4f})"


def _graphs(answer: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    if answer["kind"] == "paths":
        return [(f"{answer['graph']}, width {answer['width']}", answer)]
    return list(answer["graphs"].items())


def _of_optimum(optimum: Mapping[str, float], key: str) -> str:
    known = {"gram_error": 0.0, "fiedler_score": 1.0, **optimum}
    if key == "gram_error" and optimum["least_gram_error"] > 0:
        return f"0 (from {optimum['least_gram_error']:.3f} at this width)"
    return f"{known[key]:{COLUMNS[key][1]}}" if key in known else ""


def _spread(summary: Mapping[str, Any], fmt: str) -> str:
    if summary["mean"] is None:
        return "never" if summary["missing"] else "-"
    text = mean_and_deviation(summary["mean"], summary["sd"], fmt)
    return text + (f", {summary['missing']} never" if summary["missing"] else "")


def _interval(difference: Mapping[str, Any], fmt: str) -> str:
    if difference["mean"] is None:
        return "-"
    interval = None if difference["low"] is None else (difference["low"], difference["high"])
    return mean_and_interval(difference["mean"], interval, f"+{fmt}")
