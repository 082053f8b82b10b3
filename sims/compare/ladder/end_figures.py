"""What is drawn of a ladder beside its rungs where its models are one net in several sizes or from several starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ...draw.drawing import Drawing
from .rank_figure import plot_ranks, ranks_caption, sized_rows
from .rows import LadderRow
from .starts import plot_starts, start_cells, starts_caption

Graphs = Sequence[tuple[str, Sequence[LadderRow]]]

MOST_COLUMNS = 5  # graphs side by side


def end_figures(graphs: Graphs) -> Iterator[Drawing]:
    """The figures to be drawn; none for models of other kinds."""
    for start in range(0, len(graphs), MOST_COLUMNS):
        part = graphs[start : start + MOST_COLUMNS]
        number = f"-{start // MOST_COLUMNS + 1}" if start else ""
        if all(sized_rows(rows) for _, rows in part):
            yield Drawing(f"ranks{number}", partial(plot_ranks, part), "Rank by depth and width", ranks_caption(part))
        if all(start_cells(rows) for _, rows in part):
            yield Drawing(f"starts{number}", partial(plot_starts, part), "Starts", starts_caption(part))
