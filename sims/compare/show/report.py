"""A comparison as text: its rows of numbers, and report.md for the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fiedler.theory import TiedOptimum, effective_rank

from ...draw.markdown import environment_section, markdown_table, setting_words
from ...draw.over_seeds import DEVIATION_NOTE, mean_and_deviation
from ...scores.embedding import gap_uncertainty
from ...scores.statistics import mean, standard_deviation
from ..comparison import Comparison, scores_of_runs, summarise
from ..notes import comparison_notes
from ..spectral_bias import spectral_bias_notes, spectral_bias_rows
from ..verdict import comparison_verdicts

LOSS = "loss/node"
# column title, key of the summary, number format
COLUMNS = (
    (LOSS, "loss_per_node", ".6f"),
    ("gram_error to limit", "gram_error", ".4f"),
    ("gram_error at t", "gram_error_at_time", ".2g"),
    ("fiedler_score", "fiedler_score", ".4f"),
    ("effective rank", "effective_rank", ".2f"),
    ("edge recall", "edge_recall", ".3f"),
    ("trajectory error (decades)", "trajectory_rms_log10", ".3f"),
)
AT_TIME = {  # the same of the flow at the run's own time
    "loss_per_node": "predicted_loss_per_node",
    "gram_error": "predicted_gram_error",
    "fiedler_score": "predicted_fiedler_score",
    "effective_rank": "predicted_effective_rank",
}
FLOW_ROW = "predicted at t ="
SHOWN = 10  # eigenvalues written out; scores.json has them all


def comparison_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the limit (the optimum) first, then one row a model, mean ± standard deviation over seeds, and
    before a model that has a flow time the flow at the end of its runs.

    A model trained with weight decay is measured from the optimum with it, which then has a row too."""
    header = ["", "seeds", *(_title(comparison, title) for title, _, _ in COLUMNS)]
    rows = []
    if comparison.optimum is not None:
        decay = comparison.optimum.weight_decay  # with one direction of the edges, and where every model has it
        rows.append(_predicted_row(f"limit, decay {decay:g}" if decay else "limit", comparison.optimum))
    clocked = [one for one in comparison.models if "predicted_from" in one.scores[0]]
    for compared in comparison.models:
        if compared.optimum is not None and compared.optimum is not comparison.optimum:
            rows.append(_predicted_row(f"limit, decay {compared.optimum.weight_decay:g}", compared.optimum))
        summary = summarise(scores_of_runs(compared))
        if compared in clocked:
            cells = [_of_flow(summary[AT_TIME[key]], fmt) if key in AT_TIME else "" for _, key, fmt in COLUMNS]
            of = "" if len(clocked) == 1 else f"{compared.model.title}, "
            rows.append([f"{of}{FLOW_ROW} {compared.scores[0]['flow_time']:g}", "", *cells])
        rows.append(
            [
                compared.model.title,
                str(len(compared.runs)),
                *(_mean_and_spread(summary[key], fmt) for _, key, fmt in COLUMNS),
            ]
        )
    return header, rows


def _title(comparison: Comparison, title: str) -> str:
    """Beside the loss the entropy of the target, below which none is."""
    if title != LOSS:
        return title
    return f"{title} (floor {comparison.task.entropy_floor:.6f})"


def comparison_markdown(comparison: Comparison, environment: Mapping[str, Any], figure: str) -> str:
    """report.md: figure, table, what was fitted, settings, command and versions."""
    task = comparison.task
    header, rows = comparison_rows(comparison)
    lines = [
        f"# {task.title}: prediction beside real runs",
        "",
        f"{task.graph.n} nodes, {task.graph.edge_count} edges, {task.graph.component_count} component(s).",
        "",
        *(f"{text}\n" for text in comparison_verdicts(comparison)),
        f"![Theory lines through measured mode energies, Gram spectrum and embedding]({figure})",
        "",
        *markdown_table(header, rows),
        "",
        f"{DEVIATION_NOTE} `gram_error`: relative distance of the",
        "centred Gram matrix after the best scale: from the limit (the certified optimum), and from the flow at the",
        "run's own time t = learning rate × steps, from its own V(0) where that is known. `fiedler_score`: share of",
        "the centred energy in the limit's column space.",
        "Trajectory error: root mean square of log10(measured / predicted) centred mode energies.",
        "Floor: entropy of the targets (nats), below which no loss is, whatever the model.",
        "",
        "## Prediction",
        "",
        _optimum(comparison),
        "",
        *(f"{text}\n" for text in comparison_notes(comparison)),
        *(f"{one.model.title}: {one.no_flow}.\n" for one in comparison.models if one.no_flow),
        *(
            f"{one.model.title}: the lines are the flow of its own net from its seeds' starts, nothing fitted.\n"
            for one in comparison.models
            if one.predicted is not None and one.predicted.own
        ),
        *_rivals(comparison),
        *_bias(comparison),
        "## Runs",
        "",
    ]
    for compared in comparison.models:
        fitted = compared.mean_fit.words
        if not compared.mean_fit.fitted:
            fitted += ": flow time is learning rate × steps"
        settings = setting_words(vars(compared.settings))
        seeds = ", ".join(str(run.seed) for run in compared.runs)
        lines.append(f"- **{compared.model.title}** (seeds {seeds}): {settings}. {fitted}.")
    lines += ["", *environment_section(environment), ""]
    return "\n".join(lines)


def _optimum(comparison: Comparison) -> str:
    optimum = comparison.optimum
    if optimum is None:
        return f"Scored {comparison.no_optimum}: no gram_error and no fiedler_score."
    eigenvalues = ", ".join(f"{value:.5g}" for value in optimum.eigenvalues[:SHOWN]) or "none (rank 0)"
    eigenvalues += ", ..." if optimum.rank > SHOWN else ""
    gap = optimum.relative_gap
    return (
        f"Optimum: rank {optimum.rank}, centred Gram eigenvalues {eigenvalues}; "
        f"{'attained' if optimum.attained else 'an infimum, not attained'}; KKT violation "
        f"{optimum.certificate.max_violation:.1e}, duality gap {optimum.certificate.duality_gap:.1e}, relative "
        f"{gap:.1e}: gram_error to about {gap_uncertainty(gap):.1g}."
    )


def _bias(comparison: Comparison) -> list[str]:
    if not comparison.biases:
        return []
    return [
        "## Spectral bias",
        "",
        *markdown_table(*spectral_bias_rows(comparison.biases)),
        "",
        *spectral_bias_notes(len(comparison.models[0].runs)),
        "",
    ]


def _rivals(comparison: Comparison) -> list[str]:
    """A table with a row a theory: gram_error of the certified optimum and of every model against its prediction."""
    predicted_by = [(compared, compared.rivals) for compared in comparison.models]
    if not any(entries for _, entries in predicted_by):
        return []
    rows = [["this package (certified optimum)", "", "0.0000"]]
    rows[0] += [_spread_of([s["gram_error"] for s in scores_of_runs(compared)]) for compared, _ in predicted_by]
    for k, first in enumerate(predicted_by[0][1]):
        own = _number(first["gram_error_of_optimum"])
        measured = [_spread_of(entries[k]["gram_error"]) for _, entries in predicted_by]
        rows.append([first["title"], str(first["rank"]), own, *measured])
    rows[0][1] = str(comparison.certified.rank)
    header = ["prediction", "rank", "certified optimum", *(compared.model.title for compared, _ in predicted_by)]
    return [
        "## Other predictions",
        "",
        *markdown_table(header, rows),
        "",
        "`gram_error` against each prediction, after the best scale. Theories without a rank of their own are taken at",
        "the optimum's, in whole eigenspaces.",
        "",
    ]


def _spread_of(values: Sequence[float]) -> str:
    return _mean_and_spread({"mean": mean(values), "std": standard_deviation(values)}, ".4f")


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4f}"


def _mean_and_spread(value: Mapping[str, float | None], fmt: str) -> str:
    if value["mean"] is None or value["mean"] != value["mean"]:
        return "-"
    return mean_and_deviation(value["mean"], value["std"], fmt, ".1g")


def _of_flow(value: Mapping[str, float | None], fmt: str) -> str:
    """One number where all seeds have the same flow."""
    return _mean_and_spread({**value, "std": value["std"] or None}, fmt)


def _predicted_row(title: str, optimum: TiedOptimum) -> list[str]:
    if optimum.rank == 0:  # a zero Gram matrix: there is nothing an embedding could be aligned with
        return [title, "", f"{optimum.loss_per_node:.6f}", "-", "", "-", "0.00", "", ""]
    rank = effective_rank(optimum.embedding(), components=optimum.components)
    return [title, "", f"{optimum.loss_per_node:.6f}", "0.0000", "", "1.0000", f"{rank:.2f}", "", ""]
