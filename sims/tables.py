"""What the terminal shows: predictions, scores and comparisons as rich tables with a title line above each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .compare import Comparison
from .report import comparison_rows

HEAD, TAIL = 12, 2  # lines of a long table that are shown; the JSON has them all


def theory_tables(answer: Mapping[str, Any]) -> list[RenderableType]:
    """The dictionary of `fiedler theory`: spectrum, optimum, early phase, and the flow where it was asked for."""
    spectrum = _columns(
        ("eigenvalue", "multiplicity"),
        [(f"{line['eigenvalue']:.6g}", str(line["multiplicity"])) for line in answer["spectrum"]],
    )
    times = _columns(
        ("growth rate", "multiplicity", "time to order one"),
        [
            (f"{rate['rate']:.6g}", str(rate["multiplicity"]), f"{time:.4g}")
            for rate, time in zip(answer["growth_rates"], answer["mode_times"], strict=True)
        ],
    )
    flow = [_titled("Flow from K(0)", _flow(answer["flow"]["points"]))] if "flow" in answer else []
    size = f"{answer['n']} nodes, {answer['edges']} edges, {answer['components']} component(s)"
    return [
        _titled(f"{answer['graph']}: {size}. Spectrum of its {answer['laplacian']} Laplacian", spectrum),
        _titled(f"Optimum of {answer['model']} Node2Vec, weight decay {answer['weight_decay']:g}", _optimum(answer)),
        _titled(f"Early phase from K(0) = {answer['init_scale']:g}^2 I (time = learning rate x steps)", times),
        *flow,
    ]


def score_table(answer: Mapping[str, Any]) -> RenderableType:
    """The dictionary of `fiedler score`."""
    names = (
        "fiedler_score",
        "gram_error",
        "gram_scale",
        "effective_rank",
        "geometric_level",
        "geometric_level_centred",
        "geometric_margin",
        "geometric_margin_top1",
    )
    angles = ", ".join(f"{angle:.4g}" for angle in answer["principal_angles"][:8])
    lines = [(name, f"{answer[name]:.6g}") for name in names]
    lines.append(("principal angles (rad)", angles or "none: the predicted optimum is zero"))
    return _titled(f"{answer['file']} against {answer['graph']}", _facts(lines))


def comparison_table(comparison: Comparison) -> RenderableType:
    """The rows of report.md, turned: one column for the prediction and for each model, so that it fits 80 columns."""
    header, rows = comparison_rows(comparison)
    table = Table()
    table.add_column("")
    for row in rows:
        table.add_column(row[0], justify="right")
    for i, title in enumerate(header[1:], 1):
        table.add_row(title, *(row[i] for row in rows))
    return _titled(f"{comparison.task.graph.name}: predicted and measured", table)


def _optimum(answer: Mapping[str, Any]) -> Table:
    optimum = answer["optimum"]
    certificate, eigenvalues = optimum["certificate"], optimum["eigenvalues"]
    runs = [(text, len(list(same))) for text, same in groupby(f"{value:.6g}" for value in eigenvalues)]
    values = ", ".join(text if count == 1 else f"{text} (x{count})" for text, count in runs[:8])
    values += ", ..." if len(runs) > 8 else ""
    return _facts(
        [
            ("loss per node", f"{optimum['loss_per_node']:.12f}"),
            ("attained", "yes" if optimum["attained"] else "no, an infimum"),
            ("rank", str(optimum["rank"])),
            (f"eigenvalues, {optimum['eigenvalues_of']}", values or "none"),
            ("KKT violation", f"{certificate['max_violation']:.1e}"),
            ("duality gap", f"{certificate['duality_gap']:.1e}"),
            ("method", optimum["method"]),
        ]
    )


def _flow(points: Sequence[Mapping[str, Any]]) -> Table:
    def leading(point: Mapping[str, Any]) -> str:
        shown = [(f"{e['eigenvalue']:.5g}", e["multiplicity"]) for e in point["eigenvalues"][:3]]
        return ", ".join(text if count == 1 else f"{text} (x{count})" for text, count in shown)

    lines = [(f"{point['time']:.4g}", f"{point['loss_per_node']:.6f}", leading(point)) for point in points]
    return _columns(("time", "loss per node", "leading eigenvalues of V V'"), lines)


def _titled(title: str, table: Table) -> Group:
    return Group(Text(title, style="bold"), table)


def _facts(lines: Sequence[tuple[str, str]]) -> Table:
    table = Table(show_header=False)
    for line in lines:
        table.add_row(*line)
    return table


def _columns(titles: Sequence[str], lines: Sequence[tuple[str, ...]]) -> Table:
    table = Table()
    for title in titles:
        table.add_column(title, justify="right")
    shown = list(lines)
    if len(lines) > HEAD + TAIL + 1:
        shown = [*lines[:HEAD], ("...",) * len(titles), *lines[-TAIL:]]
    for line in shown:
        table.add_row(*line)
    return table
