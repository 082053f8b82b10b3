"""Recall runs as text: tables for the terminal, and report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ...draw.markdown import environment_section, markdown_table, settings_lines
from ...draw.over_seeds import DEVIATION_NOTE, mean_and_deviation
from ...scores.statistics import standard_deviation
from ..scaling.report import scaling_tables
from .hop_map import hop_rows
from .summary import number_of

Rows = list[list[str]]

# Row title, key of a condition's means. Rows no condition has are left out.
RECALL = (
    ("recall", "accuracy"),
    ("margin", "margin"),
    ("held out", "held_out_accuracy"),
    ("through unseen facts alone", "unseen_facts_accuracy"),
    ("no hop", "zero_hop_accuracy"),
    ("alignment", "alignment"),
    ("fed back, shown", "fed_back_shown"),
    ("fed back, unseen facts", "fed_back_unseen"),
    ("transfer, closed form", "transfer_accuracy"),
    ("transfer, by gradient", "gradient_transfer_accuracy"),
    ("transfer, random embeddings", "random_control"),
)
STRUCTURE = (
    ("R², held out", "superposition_r2_held_out"),
    ("R², facts shuffled", "superposition_r2_shuffled"),
    ("probe", "probe_accuracy"),
    ("probe, facts shuffled", "probe_accuracy_shuffled"),
    ("overlap", "subspace_overlap"),
    ("overlap, random subspaces", "subspace_overlap_chance"),
    ("gate selectivity", "gate_selectivity"),
    ("gate selectivity, questions shuffled", "gate_selectivity_shuffled"),
    ("silenced: own", "ablation_own"),
    ("silenced: others", "ablation_others"),
    ("swap: own", "intervention_success"),
    ("swap: others kept", "intervention_others_kept"),
    ("swap: random direction", "intervention_random_success"),
    ("swap: another relation's map", "intervention_other_map_success"),
    ("corrected swap: its length over the raw one", "intervention_correction"),
    ("corrected swap: own", "intervention_corrected_success"),
    ("corrected swap: others kept", "intervention_corrected_others_kept"),
    ("corrected swap: random direction", "intervention_corrected_random_success"),
    ("corrected swap: another relation's map", "intervention_corrected_other_map_success"),
    ("slope of true on predicted embeddings", "intervention_slope"),
)
LEGEND = f"""{DEVIATION_NOTE} Recall: share of all facts answered by the most likely token; margin: of the worst fact.
With several hops: of the longest questions shown, of those held out, of those through facts that no composition shown
goes through, and of entities alone; alignment: <e, o> / (|e| |o|) of the entities' input and output embeddings; fed
back: the mean output embedding of an answer read as the subject of the next relation. Transfer to new facts, with
everything but subject embeddings frozen: closed form (regression of the learned embeddings on attribute codes),
gradient on the embeddings alone, random embeddings. R²: variance of subject embeddings explained by codes of their
attributes, on subjects left out of the fit, and with facts shuffled. Probe: attribute of a left-out subject from its
embedding, by a linear map to its code, over relations. Overlap: mean cos² between the subspaces that two relations
write to (0 orthogonal), and of random subspaces. Gate selectivity: (R f - 1) / (R - 1), f the largest share of a
neuron's energy in one relation (1: the construction's gates), and with questions shuffled; silenced: accuracy on a
relation, and on the others, without the H/R neurons most selective for it. Swap: one attribute's code is replaced in
an embedding: how often the answer to that relation becomes the new one, how often the others stay, and the first for
a random direction of the same length and for the new code through another relation's map. Corrected: the same changes
at 1 / shrinkage times their length, the share of a true embedding that its prediction by regression makes up in its
direction, over left-out subjects; the slope, true on predicted, is about 1 where nothing but that is wrong."""


def recall_tables(answer: Mapping[str, Any]) -> list[tuple[str, list[str], Rows]]:
    """Title, header and rows of every table that ``answer`` has numbers for."""
    if "fits" in answer:
        return scaling_tables(answer)
    conditions = answer["conditions"]
    shown_tables = []
    sizes = f"{answer['subjects']} subjects, {answer['relations']} relations, {answer['attributes']} attributes"
    if "hop_map" in answer:
        tables = [("accuracy", *hop_rows(answer["hop_map"]))]
        if any(cell["held_out_accuracy"] is not None for cell in answer["hop_map"]["cells"]):
            tables.append(("held out", *hop_rows(answer["hop_map"], "held_out_accuracy")))
        return tables
    for title, columns in ((f"{sizes}, chance {answer['chance']:.3g}", RECALL), ("predicted structure", STRUCTURE)):
        shown = [
            (name, key)
            for name, key in columns
            if any(_finite(condition["mean"], key) for condition in conditions.values())
        ]
        if shown:
            rows = [[name, *(_cell(condition, key) for condition in conditions.values())] for name, key in shown]
            shown_tables.append((title, ["", *map(_word, conditions)], rows))
    return shown_tables


def construction_rows(answer: Mapping[str, Any]) -> Rows:
    """Rows of name and value for the explicit construction."""
    return [
        ["attributes", f"{answer['attributes']:,}"],
        ["code dimension k", str(answer["code_dimension"])],
        ["dimension of subject vectors", str(answer["dimension"])],
        ["neurons of the gate, 2 R k", f"{answer['neurons']:,}"],
        ["facts recalled", f"{answer['accuracy']:.4f}"],
        ["new facts, same perceptron", f"{answer['transfer_accuracy']:.4f}"],
        ["facts recalled by it as a GPT-2 block", _optional(answer["transformer_accuracy"], 4)],
        ["random subject vectors", f"{answer['random_control']:.4f} (chance {answer['chance']:.4f})"],
        ["smallest margin", f"{answer['margin']:.4f}"],
        ["bound on it", f"{answer['margin_bound']:.4f}"],
        ["weights of the gate", f"{answer['gate_parameters']:,}"],
        ["subject coordinates", f"{answer['subject_parameters']:,}"],
        ["entries of an associative table", f"{answer['associative_parameters']:,}"],
        ["bits in the facts", f"{answer['fact_bits']:,.0f}"],
        ["least dimension by packing, any precision", _optional(answer["least_dimension_packing"], 1)],
    ]


def recall_markdown(
    answer: Mapping[str, Any], about: str, environment: Mapping[str, Any], figures: Sequence[str]
) -> str:
    """report.md: tables, figures, settings, command and versions."""
    lines = [f"# Factual recall: {about}", ""]
    for title, header, rows in recall_tables(answer):
        lines += [f"**{title}**", "", *markdown_table(header, rows), ""]
    if "hop_map" not in answer:
        lines += [LEGEND, ""]
    for figure in figures:
        lines += [f"![{about}]({figure})", ""]
    return "\n".join([*lines, *_settings(answer["conditions"]), "", *environment_section(environment), ""])


def _settings(conditions: Mapping[str, Any]) -> list[str]:
    lines = settings_lines({_word(name): asdict(condition["settings"]) for name, condition in conditions.items()})
    seeds = len(next(iter(conditions.values()))["per_seed"])
    return ["## Settings", "", *lines, "", f"Seeds 0 to {seeds - 1}." if seeds > 1 else "Seed 0."]


def _optional(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _cell(condition: Mapping[str, Any], key: str) -> str:
    if not _finite(condition["mean"], key):
        return "–"
    values = [value for seed in condition["per_seed"] if (value := number_of(seed[key])) is not None]
    return mean_and_deviation(condition["mean"][key], standard_deviation(values), ".3f")


def _finite(mean: Mapping[str, float], key: str) -> bool:
    value = mean.get(key)
    return value is not None and value == value


def _word(name: str) -> str:
    return name.replace("_", " ")
