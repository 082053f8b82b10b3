"""What is drawn of a ladder beside its rungs where its models are one net in several sizes or from several starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from .rank_figure import plot_ranks, ranks_caption, sized_rows
from .rows import LadderRow
from .starts import plot_starts, start_cells, starts_caption

Graphs = Sequence[tuple[str, Sequence[LadderRow]]]

MOST_COLUMNS = 5  # graphs side by side


def end_figures(graphs: Graphs) -> Iterator[tuple[str, str, Figure, str]]:
    """Title, file name, figure and caption of each; none for models of other kinds."""
    for start in range(0, len(graphs), MOST_COLUMNS):
        part = graphs[start : start + MOST_COLUMNS]
        number = f"-{start // MOST_COLUMNS + 1}" if start else ""
        if all(sized_rows(rows) for _, rows in part):
            yield "Rank by depth and width", f"ranks{number}", plot_ranks(part), ranks_caption(part)
        if all(start_cells(rows) for _, rows in part):
            yield "Starts", f"starts{number}", plot_starts(part), starts_caption(part)
