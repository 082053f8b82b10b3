"""What the terminal shows: predictions, scores and comparisons as rich tables with a title line above each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..compare.comparison import Comparison
from ..compare.notes import comparison_notes
from ..compare.show.report import FLOW_ROW, comparison_rows
from ..compare.spectral_bias import spectral_bias_rows
from ..compare.verdict import comparison_verdicts
from ..draw.over_seeds import legend
from ..foreign import visible
from ..scores.embedding import AGAINST_OPTIMUM, gap_uncertainty

SHOWN = 1e-5  # uncertainty that no digit shown here tells
ZERO = 1e-12  # scores below it are zero but for rounding
ROUGH = 1e-6  # relative gap above which what is derived from a point says so
BRIEF = ("seeds", "loss/node", "gram_error to limit", "gram_error at t", "edge recall")  # rows shown at first
WARNING = "warning:"  # in notes that are always shown
MOST_BESIDE = 4  # columns of a comparison; with more, the flows at the time of the runs have a table of their own
HEAD, TAIL = 12, 2  # lines of a long table that are shown; the JSON has them all


def theory_tables(answer: Mapping[str, Any], *, verbose: bool = False) -> list[RenderableType]:
    """The dictionary of `fiedler theory`: spectrum, optimum, early phase, and the flow where it was asked for; with
    ``verbose`` also what was understood of the graph's file."""
    spectrum = _columns(
        ("eigenvalue", "multiplicity"),
        [(f"{line['eigenvalue']:.6g}", str(line["multiplicity"])) for line in answer["spectrum"]],
    )
    size = f"{answer['n']} nodes, {answer['edges']} edges, {answer['components']} component(s)"
    tables: list[RenderableType] = [_reading(answer)] if verbose else []
    tables.append(_titled(f"{answer['graph']}: {size}. Spectrum of its {answer['laplacian']} Laplacian", spectrum))
    if "spectrum_proof" in answer:
        proof = answer["spectrum_proof"]
        complete = "complete" if proof["complete"] else "NOT PROVED complete"
        tables.append(Group(Text(f"{proof['method']}, {complete}: {proof['note']}")))
    if "optimum" in answer:
        title = f"Optimum of {answer['model']} Node2Vec, weight decay {answer['weight_decay']:g}"
        tables.append(_titled(title, _optimum(answer)))
        if answer.get("drift") is not None:  # an interrupted search has none
            kappa = f"kappa = {answer['drift']['kappa']:.5g}"
            gap = answer["optimum"]["relative_gap"]
            of = f" (of a point with a relative gap of {gap:.0e})" if gap > ROUGH else ""
            title = f"The infimum is not attained, the mean vector grows: law of large times, {kappa}{of}"
            tables.append(_titled(title, _drift(answer["drift"]["points"])))
    if "growth_rates" in answer:
        start = f"K(0) = {answer['init_scale']:g}^2 I"
        tables.append(_titled(f"Early phase from {start} (time = learning rate x steps)", _early_phase(answer)))
    if "flow" in answer:
        tables.append(_titled("Flow from K(0)", _flow(answer["flow"]["points"])))
    if "width" in answer:
        title = f"Runs of width {answer['width']['width']}: loss per node, {answer['width']['samples']} starts"
        tables.append(_titled(title, _width(answer["width"])))
    if "rivals" in answer:
        tables.append(_titled("Rival predictions against the optimum", _rivals(answer["rivals"])))
    if "storage" in answer:
        tables.append(_titled("Storage, both directions of every edge", _storage(answer["storage"])))
    return tables


def _reading(answer: Mapping[str, Any]) -> RenderableType:
    if "read" not in answer:
        return Text(f"{visible(answer['graph'])} is a graph word: no file was read")
    read = answer["read"]
    header = "none" if read["header"] is None else ", ".join(read["header"])
    rows = [
        ("format", read["format"]),
        *([] if read["delimiter"] is None else [("separator", read["delimiter"]), ("header", header)]),
        ("comments left out", f"{read['comments']:,}"),
        ("names", read["names"]),
        ("weights", read["weights"]),
        ("nodes", f"{read['nodes']:,}"),
        ("edges", f"{read['edges']:,}"),
        ("components", f"{read['components']:,}"),
        *(("note", note) for note in read["notes"]),
    ]
    return _titled(f"{answer['graph']}, as it was read", _facts(rows))


def against_optimum(scores: Mapping[str, Any]) -> str:
    """gram_error and fiedler_score of a run in a line, with the weight decay of the optimum they are against and what
    its gap leaves open; or why there is none."""
    if "optimum_left_out" in scores:
        return str(scores["optimum_left_out"])
    decay = scores.get("optimum_weight_decay", 0.0)
    text = f"gram_error {_score(scores, 'gram_error')} to the limit, fiedler_score {_score(scores, 'fiedler_score')}"
    return text + (f" against the optimum with weight decay {decay:g}" if decay else "") + _open(scores)


def _open(scores: Mapping[str, Any]) -> str:
    """What is to be said where digits that are shown depend on the optimum's gap."""
    reach, between = scores.get("optimum_uncertainty", 0.0), scores.get("fiedler_score_range")
    if reach is not None and reach <= SHOWN:
        return ""
    why = f", stopped by {scores['optimum_stopped_by']}" if "optimum_stopped_by" in scores else ""
    gap = scores["optimum_relative_gap"]
    rank = "" if between is None else f", fiedler_score between {between[0]:.4g} and {between[1]:.4g}"
    if reach is None:  # JSON's word for an infinite gap
        return f" (gram_error to no known digit{rank}: nothing bounds how far this point is from the optimum{why})"
    return f" (gram_error +- about {reach:.1g}{rank}: the optimum has a relative gap of {gap:.1e}{why})"


def _gap(gap: float | None) -> str:
    return "not bounded" if gap is None else f"{gap:.1e}"


def _score(scores: Mapping[str, Any], name: str) -> str:
    value = scores.get(name)
    if value is None or value != value:
        return "undefined"
    return f"{value if abs(value) > ZERO else 0.0:.6g}"


def score_table(answer: Mapping[str, Any]) -> RenderableType:
    """The dictionary of `fiedler score`."""
    names = (
        "loss_per_node",
        "fiedler_score",
        "gram_error",
        "gram_error_at_time",
        "gram_scale",
        "effective_rank",
        "geometric_level",
        "geometric_level_centred",
        "geometric_margin",
        "geometric_margin_top1",
    )
    left_out, behind = answer.get("optimum_left_out", ""), list[tuple[str, str]]()
    missing = set(AGAINST_OPTIMUM) if left_out else set()
    shown = [name for name in names if name in answer and name not in missing]
    references = answer.get("references") or {}
    lines = [(name, *(_score(of, name) for of in (answer, *references.values()))) for name in shown]
    if left_out:
        lines.append((", ".join(AGAINST_OPTIMUM), left_out, *[""] * len(references)))
    else:
        angles = ", ".join(f"{angle:.4g}" for angle in answer["principal_angles"][:8])
        unfinished = "none: the search ended before it found any direction"
        nothing = unfinished if "optimum_stopped_by" in answer else "none: the predicted optimum is zero"
        behind = [("principal angles (rad)", angles or nothing)]
        decay, reach = answer.get("optimum_weight_decay", 0.0), _open(answer)
        behind.append(
            ("optimum", f"weight decay {decay:g}, relative gap {_gap(answer['optimum_relative_gap'])}{reach}")
        )
    title = f"{answer['file']} against {answer['graph']}"
    if not references:
        return _titled(title, _facts([*lines, *behind]))
    table = _columns(("", "this embedding", *references), lines)
    return Group(_titled(title, table), *(Text(f"{name}: {value}") for name, value in behind))


def comparison_table(comparison: Comparison, *, everything: bool = False) -> RenderableType:
    """What was found in words, and the rows of report.md, turned: one column for the prediction and for each model, so
    that it fits 80 columns. Without ``everything`` the rows BRIEF, and of the notes the warnings."""
    header, rows = comparison_rows(comparison)
    flows = [row for row in rows if FLOW_ROW in row[0]] if len(rows) > MOST_BESIDE else []
    shown = None if everything else BRIEF
    tables = [_turned(header, [row for row in rows if row not in flows], shown)]
    notes = [Text(note, style="dim") for note in legend(rows)]
    if comparison.optimum is None:
        notes.append(Text(f"Scored {comparison.no_optimum}: no gram_error and no fiedler_score."))
    elif (reach := gap_uncertainty(comparison.optimum.relative_gap)) > SHOWN:
        notes.append(
            Text(
                f"gram_error to about {reach:.1g}: the optimum has a duality gap, see fiedler_score_range in "
                f"scores.json."
            )
        )
    notes += [Text(f"{one.model.title}: {one.no_flow}.") for one in comparison.models if one.no_flow]
    notes += [Text(text) for text in comparison_notes(comparison) if everything or WARNING in text]
    tables += [_turned(header, flows, shown)] if flows else []
    title = Text(f"{comparison.task.title}: predicted and measured", style="bold")
    verdicts = [Text(text) for text in comparison_verdicts(comparison)]
    parts: list[RenderableType] = [title, *verdicts, *tables, *notes]
    header, rows = spectral_bias_rows(comparison.biases, brief=True) if everything else ([], [])
    if rows:
        bias = _columns(header, [tuple(row) for row in rows])
        parts.append(_titled("Spectral bias: order and times of the modes against the predicted flows", bias))
    if not everything:
        parts.append(Text("Every score, what is behind them and the spectral bias: --all, or report.md.", style="dim"))
    return Group(*parts)


def _turned(header: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[str] | None = None) -> Table:
    """A column for each row; what is empty in all of them is left out, and what is not ``shown``, brackets aside."""
    table = Table()
    table.add_column("", min_width=len("fiedler_score"))
    for row in rows:
        table.add_column(row[0], justify="right", overflow="fold")  # a model's name may be its settings
    for i, title in enumerate(header[1:], 1):
        known = any(row[i] not in ("", "-") for row in rows) if shown else any(row[i] for row in rows)
        if known and (shown is None or title.partition(" (")[0] in shown):
            table.add_row(title, *(row[i] for row in rows))
    return table


def _early_phase(answer: Mapping[str, Any]) -> Table:
    return _columns(
        ("growth rate", "multiplicity", "time to order one"),
        [
            (f"{rate['rate']:.6g}", str(rate["multiplicity"]), f"{time:.4g}")
            for rate, time in zip(answer["growth_rates"], answer["mode_times"], strict=True)
        ],
    )


def _width(answer: Mapping[str, Any]) -> Table:
    titles = ("time", *(f"{100 * level:g} %" for level in answer["quantiles"]))
    lines = [(f"{p['time']:.4g}", *(f"{value:.6f}" for value in p["loss_per_node"])) for p in answer["points"]]
    return _columns(titles, lines)


def _rivals(rivals: Sequence[Mapping[str, Any]]) -> Table:
    titles = ("prediction", "rank", "gram_error of the optimum")
    lines = [(r["title"], str(r["rank"]), _number(r["gram_error_of_optimum"])) for r in rivals]
    return _columns(titles, lines or [("the optimum is zero", "", "")])


def _storage(answer: Mapping[str, Any]) -> Table:
    bits = answer["geometric_bits"]
    return _facts(
        [
            ("stored pairs", str(answer["stored_pairs"])),
            ("associative bits", f"{answer['associative_bits']:.6g}"),
            ("geometric bits", "no code known for this graph" if bits is None else f"{bits:.6g}"),
            ("associative norm", f"{answer['associative_norm']:.6g}"),
            ("geometric norm, at least", f"{answer['geometric_norm_at_least']:.6g}"),
        ]
    )


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4f}"


def _optimum(answer: Mapping[str, Any]) -> Table:
    optimum = answer["optimum"]
    certificate, eigenvalues = optimum["certificate"], optimum["eigenvalues"]
    runs = [(text, len(list(same))) for text, same in groupby(f"{value:.6g}" for value in eigenvalues)]
    values = ", ".join(text if count == 1 else f"{text} (x{count})" for text, count in runs[:8])
    values += ", ..." if len(runs) > 8 else ""
    return _facts(
        [
            ("loss per node", f"{optimum['loss_per_node']:.12f}"),
            ("its entropy floor", f"{answer['entropy_floor']:.12f}"),
            ("attained", _attained(optimum["attained"])),
            ("rank", _rank(optimum)),
            (f"eigenvalues, {optimum['eigenvalues_of']}", values or "none"),
            ("KKT violation", f"{certificate['max_violation']:.1e}"),
            ("duality gap", f"{certificate['duality_gap']:.1e}"),
            *_relative_gap(optimum),
            ("method", optimum["method"]),
            *_direction(optimum),
        ]
    )


def _attained(value: bool | None) -> str:
    if value is None:
        return "not known at this gap"
    return "yes" if value else "no, an infimum"


def _relative_gap(optimum: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of a search for less than an exact answer, or one that ended before its tolerance, and why it did."""
    asked = f"{optimum['tolerance']:g} was asked for" if optimum["tolerance"] else "an exact answer was asked for"
    gap = f"{optimum['relative_gap']:.1e}"
    if optimum["converged"]:
        return [("relative gap", f"{gap}; {asked}")] if optimum["tolerance"] else []
    ended = {"request": "ended on request", "time limit": "at the time limit", "rounding": "at the limit of float64"}
    return [("relative gap", f"{gap}, {ended[optimum['stopped_by']]}; {asked}")]


def _drift(points: Sequence[Mapping[str, Any]]) -> Table:
    lines = [(f"{p['time']:.4g}", f"{p['gap_per_node']:.3g}", f"{p['mean_norm']:.4g}") for p in points]
    return _columns(("time", "loss per node above the infimum", "length of the mean vector"), lines)


def _rank(optimum: Mapping[str, Any]) -> str:
    low, high = optimum["rank_low"], optimum["rank_high"]
    if low == high:
        return str(low)
    unresolved = optimum["unresolved_eigenvalues"]
    tail = f"; eigenvalues from {unresolved[0]:.3g} down are not proved" if unresolved else ""
    return f"{low} to {high} is proved (this point: {optimum['rank']}{tail})"


def _direction(optimum: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "max_margin" not in optimum:
        return []
    margin = optimum["max_margin"]
    norm = f"nuclear norm {margin['nuclear_norm']:.6g} (gap {margin['gap']:.1e})"
    return [("logits diverge along", f"max-margin direction, {norm}, rank {margin['rank']}")]


def _flow(points: Sequence[Mapping[str, Any]]) -> Table:
    def leading(point: Mapping[str, Any]) -> str:
        shown = [(f"{e['eigenvalue']:.5g}", e["multiplicity"]) for e in point["eigenvalues"][:3]]
        return ", ".join(text if count == 1 else f"{text} (x{count})" for text, count in shown)

    lines = [(f"{point['time']:.4g}", f"{point['loss_per_node']:.6f}", leading(point)) for point in points]
    return _columns(("time", "loss per node", "leading eigenvalues of V V'"), lines)


def _titled(title: str, table: Table) -> Group:
    return Group(Text(visible(title), style="bold"), table)


def _facts(lines: Sequence[tuple[str, ...]]) -> Table:
    table = Table(show_header=False)
    for line in lines:
        table.add_row(*(Text(visible(cell, keep="\n")) for cell in line))
    return table


def _columns(titles: Sequence[str], lines: Sequence[tuple[str, ...]]) -> Table:
    table = Table()
    for title in titles:
        table.add_column(title, justify="right", overflow="fold")
    shown = list(lines)
    if len(lines) > HEAD + TAIL + 1:
        shown = [*lines[:HEAD], ("...",) * len(titles), *lines[-TAIL:]]
    for line in shown:
        table.add_row(*(Text(visible(cell, keep="\n")) for cell in line))
    return table
