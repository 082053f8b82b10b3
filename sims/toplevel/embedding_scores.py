"""``fiedler.score``: any embedding against the prediction, as `fiedler score` scores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum
from fiedler.theory.softmax import check_weight_decay

from ..extras import check_part
from ..foreign import visible
from ..runs.control import UNWATCHED, Watch
from ..runs.scored import describe_search
from ..runs.seeking import seek_optimum
from ..runs.stopping import heeding
from ..scores.embedding import score_embedding
from ..scores.references import loss_of_embedding, reference_scores
from ..tasks.optimum import reference_decay
from ..tasks.search import TIME_LIMIT, Search
from ..tasks.task import Task
from .given import TaskOptions, make_task, node_vectors
from .shown import closed, frame, table_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = (
    "fiedler_score", "gram_error", "loss_per_node", "gram_scale", "effective_rank", "geometric_level",
    "geometric_margin", "optimum_relative_gap",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingScores:
    """The scores of ``embedding`` (n, m) for ``task``. ``answer``: all of them, as `fiedler score --json` prints them
    (docs/guide.md); ``optimum``: the certified optimum they are against, None where it was left out."""

    task: Task
    embedding: NDArray[np.float64]
    answer: Mapping[str, Any]
    optimum: TiedOptimum | None

    def __getitem__(self, name: str) -> Any:
        """One score by its name, such as "gram_error"."""
        return self.answer[name]

    def to_frame(self) -> Any:
        """A pandas DataFrame of one row: every score that is a number."""
        return frame([{name: value for name, value in self.answer.items() if isinstance(value, int | float)}])

    def plot(self) -> Figure:
        """Gram spectrum and embedding beside the predicted ones. Raises ValueError without the optimum, ImportError
        without matplotlib."""
        check_part("sims", "EmbeddingScores.plot")
        from .score_figure import plot_scores

        return closed(plot_scores(self.task, self.embedding, self.answer, self.optimum))

    def summary(self) -> list[tuple[str, str]]:
        """The scores that are most asked for, as name and text."""
        known = [(name, self.answer.get(name)) for name in SHOWN]
        return [(name, f"{value:.6g}") for name, value in known if value is not None]

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {text}" for name, text in self.summary()[:3])
        n, m = self.embedding.shape
        return f"EmbeddingScores({visible(self.task.title)}: {n} nodes, dimension {m}, {parts})"

    def _repr_html_(self) -> str:
        return table_html(f"Embedding against {self.task.title}", ("score", "value"), self.summary())


def score(
    graph: Any,
    embedding: Any,
    *,
    weight_decay: float = 0.0,
    optimum: bool | None = None,
    tolerance: float | None = None,
    time_limit: float = TIME_LIMIT,
    symmetrize: bool = False,
    **options: Unpack[TaskOptions],
) -> EmbeddingScores:
    """How near an ``embedding`` of ``graph``, trained by anyone, is to the predicted one, as `fiedler score` says it.

    ``graph``: as for ``fiedler.predict``. ``embedding``: (nodes, dimension), a row for each node in the order of the
    graph's nodes: an array, a tensor, a data frame; or a dictionary node -> vector. ``weight_decay``: of the predicted
    optimum; the others as the options of the command. Needs no PyTorch. The scores do not depend on a rotation.

    Raises TypeError and ValueError for bad input, saying what to give instead.

    >>> import fiedler
    >>> optimum = fiedler.predict("cycle:15").optimum
    >>> round(fiedler.score("cycle:15", optimum.embedding())["fiedler_score"], 6)
    1.0
    """
    search = Search(optimum, tolerance, time_limit)
    task = make_task(graph, symmetrize, options)
    vectors = node_vectors(embedding, task)
    found, scores = scores_of(vectors, task, weight_decay, search)
    return EmbeddingScores(task, vectors, scores, found)


def scores_of(
    embedding: NDArray[np.floating], task: Task, weight_decay: float, search: Search, watch: Watch = UNWATCHED
) -> tuple[TiedOptimum | None, dict[str, Any]]:
    """The optimum with ``weight_decay``, as far as ``search`` goes, and everything that is said of ``embedding``
    against it. Raises ValueError for a task without an optimum at no decay, Interrupted where ``watch`` asks to
    stop."""
    check_reference(task, weight_decay, search)
    check_weight_decay(weight_decay)
    found = seek_optimum(task, weight_decay, search, watch)
    watch.report("scores", 0.0)
    scores = heeding(watch.stop, lambda: score_embedding(embedding, task, found, weight_decay=weight_decay))
    beside = heeding(watch.stop, lambda: reference_scores(embedding, task, found, weight_decay=weight_decay))
    watch.report("scores", 1.0)
    return found, {
        **task.describe(),
        "dimension": embedding.shape[1],
        **describe_search(task, found, search),
        "loss_per_node": loss_of_embedding(embedding, task),
        **scores,
        "references": beside,
    }


def check_reference(task: Task, weight_decay: float, search: Search) -> None:
    """Raises ValueError where an optimum is sought that does not exist without weight decay."""
    if weight_decay == 0 and reference_decay(task) > 0 and not search.left_out(task.graph.n):
        raise ValueError(
            f"{task.title} has no optimum without weight decay: give one (--weight-decay), such as "
            f"{reference_decay(task)}, or leave the optimum out (--no-optimum)"
        )
