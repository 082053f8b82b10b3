"""What the figures of many models and graphs share: the models of all comparisons, short names, the room for text."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from ...foreign import drawn
from ...tasks.task import Task
from ..comparison import Comparison

LONGEST_LABEL = 18  # characters of a name that the side of a panel has room for
FRAME = "#bbbbbb"


def shared_models(comparisons: Sequence[Comparison]) -> list[str]:
    """The titles of the models, in order. Raises ValueError without a comparison, or when their models differ."""
    if not comparisons:
        raise ValueError("a figure needs at least one comparison; got none")
    names = [[one.model.name for one in comparison.models] for comparison in comparisons]
    for comparison, found in zip(comparisons, names, strict=True):
        if found != names[0]:
            raise ValueError(
                f"the comparisons must have the same models: {comparison.task.title} has {', '.join(found)} "
                f"instead of {', '.join(names[0])}"
            )
    return [one.model.title for one in comparisons[0].models]


def short_name(name: str, longest: int = LONGEST_LABEL) -> str:
    """The name, cut with an ellipsis where it is too long, as text that is no mathematics."""
    return drawn(name, longest)


def row_label(task: Task) -> str:
    """The title of a task for the side of a panel: what follows the graph's name on lines of its own."""
    return ",\n".join(short_name(part) for part in task.title.split(", "))


def bare(ax: Axes) -> None:
    """No ticks, a light frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(FRAME)
