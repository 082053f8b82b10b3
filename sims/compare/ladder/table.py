"""The ladder's rows as tables: for the terminal, report.md and the docs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...foreign import visible
from ..comparison import scores_of_runs
from .agreement import HOLDS, PARTED
from .retention import retention
from .rows import LEADING, Ladder, LadderRow

HEADER = (
    "",
    "predicted by",
    "loss",
    "eigenvalues predicted",
    "measured",
    "in the limit",
    "R² over time",
    "R² at the end",
    "clock",
    "R² with it",
    f"{100 * PARTED:.0f} % apart at t",
)
NARROW = ("", "eigenvalues predicted", "measured", "R² over time", "clock", "R² with it")
NOTES = (
    "Predicted: the gradient flow of the rung's own net from its own initial weights, nothing fitted (with layer norm, "
    "descent in float64 at half the run's step); for a model with further parts, which are named, that of what is left "
    "without them. Eigenvalues: the leading ones "
    "of the centred Gram matrix at the end of the runs, means over seeds, and in the limit of a small start where a "
    "closed form knows it. R²: share of the centred mode energies' variance that is explained, smallest and largest "
    "over seeds, over all recorded times and at the last; Adam has no flow time, so that nothing can be said without a "
    f"fit. Clock: the one factor on time that explains most. {100 * PARTED:.0f} % apart: median over seeds of the first"
    " time at which measured and predicted energies differ by that share of the largest predicted. A prediction holds "
    f"where R² over time is at least {HOLDS} for every seed."
)


def ladder_lines(rows: Sequence[LadderRow]) -> list[list[str]]:
    """One line a rung, in the columns of HEADER."""
    return [
        [
            row.compared.model.title,
            "its own flow" if row.exact else f"the flow without {', '.join(row.parts)}",
            f"{np.mean([scores['loss_per_node'] for scores in scores_of_runs(row.compared)]):.4f}",
            _eigenvalues(row.predicted),
            _eigenvalues(row.measured),
            "not known" if row.limit.spectrum is None else _eigenvalues(row.limit.spectrum),
            _range(row, "over_time"),
            _range(row, "at_end"),
            f"{row.over_seeds('clock'):.3g}" if row.has_clock else f"{row.over_seeds('clock'):.3g} a step",
            _range(row, "with_clock"),
            _parted(row),
        ]
        for row in rows
    ]


SECOND = (
    "",
    "rank of the embedding predicted",
    "measured",
    "of the logits predicted",
    "measured",
    "largest share predicted",
    "measured",
    "at the end predicted",
    "measured",
)
SECOND_NOTES = (
    "Rank: exp of the entropy of the shares of the centred Gram matrix's eigenvalues, and of the singular values of "
    "the logits less their rows' means. Share: of the centred energy that lies in the first non-trivial eigenspace of "
    "the graph's Laplacian, the largest over time (at that time) and at the end: what falls from one to the other is "
    "geometry that was there and is not kept. Means over seeds; for a model without flow time, shares after the fit of "
    "its clock."
)


def second_lines(rows: Sequence[LadderRow]) -> list[list[str]]:
    """One line a rung, in the columns of SECOND."""
    lines = []
    for row in rows:
        ranks = [(p.ranks, m) for p, m in zip(row.predictions, row.ranks, strict=True)]
        shares = [
            (retention(row.course.times, p), retention(row.course.times, m))
            for p, m in zip(row.course.predicted_share, row.course.share, strict=True)
        ]
        cells = [f"{np.mean([getattr(pair[i], name) for pair in ranks]):.2f}"
                 for name in ("embedding", "logits") for i in (0, 1)]  # fmt: skip
        for i in (0, 1):
            peak, when = (np.mean([getattr(pair[i], name) for pair in shares]) for name in ("peak", "peak_time"))
            cells.append(f"{peak:.3f} (t = {when:.3g})" if row.has_clock else f"{peak:.3f}")
        cells += [f"{np.mean([pair[i].end for pair in shares]):.3f}" for i in (0, 1)]
        lines.append([row.compared.model.title, *cells])
    return lines


THIRD = ("", "alignment of V and U predicted", "measured", "two hops found predicted", "measured")
THIRD_NOTES = (
    "Alignment: <V, U> / (‖V‖ ‖U‖) of input and output embeddings. Two hops: share of the pairs joined by a walk of "
    "two training edges that lead the rows of softmax(Z) U U': the mean output embedding of one hop read as the input "
    "of the next. Means over seeds."
)


def third_lines(rows: Sequence[LadderRow]) -> list[list[str]]:
    """One line for each rung that is untied, in the columns of THIRD."""
    lines = []
    for row in rows:
        pairs = [(p.bridge, m) for p, m in zip(row.predictions, row.bridges, strict=bool(row.bridges))]
        if pairs:
            cells = [f"{np.mean([getattr(pair[i], name) for pair in pairs]):.3f}"
                     for name in ("alignment", "two_hops") for i in (0, 1)]  # fmt: skip
            lines.append([row.compared.model.title, *cells])
    return lines


def _eigenvalues(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3g}" for value in values[:LEADING])


def _range(row: LadderRow, name: str) -> str:
    values = np.array([getattr(one, name) for one in row.agreements])
    if not np.isfinite(values).all():
        return "-"
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low} to {high}"


def _parted(row: LadderRow) -> str:
    if not row.has_clock:
        return "-"
    time, count = row.parted
    return "never" if not count else f"{time:.3g}" if np.isfinite(time) else f"{count} of {len(row.agreements)} seeds"


def verdict(rows: Sequence[LadderRow]) -> str:
    """One sentence: the first rung whose prediction fails, and when."""
    if not any(row.has_clock for row in rows):
        return "No rung here has both a flow time and a prediction."
    for row in rows:
        if row.holds is False:
            time, count = row.parted
            when = f", {100 * PARTED:.0f} % apart from t = {time:.3g} on" if count and np.isfinite(time) else ""
            return (
                f"The prediction first fails at {row.compared.model.title!r} "
                f"(R² over time {row.worst('over_time'):.3f} in the worst seed{when})."
            )
    return "The prediction holds on every rung that has a flow time."


def ladder_rendering(graphs: Sequence[tuple[str, Ladder]]) -> RenderableType:
    """The main columns for a terminal of 80; report.md has them all."""
    shown = [HEADER.index(name) for name in NARROW]
    parts: list[RenderableType] = []
    for graph, ladder in graphs:
        table = Table()
        for i in shown:
            title = HEADER[i].replace("eigenvalues predicted", "predicted eigenvalues")
            wide = len("eigenvalues") if "eigenvalues" in title else None
            table.add_column(title, justify="right" if i else "left", overflow="fold", min_width=wide)
        for line in ladder_lines(ladder.rows):
            table.add_row(*(line[i].replace(" to ", "\nto ") for i in shown))
        missing = [Text(f"No prediction of {title}: {why}.") for title, why in ladder.left_out.items()]
        parts += [Text(visible(graph), style="bold"), table, Text(verdict(ladder.rows)), *missing, Text("")]
    return Group(*parts)
