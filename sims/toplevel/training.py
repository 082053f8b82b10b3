"""``fiedler.train``: one training run, as `fiedler train` makes it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..extras import check_part
from ..foreign import visible
from ..runs.control import Progress, Restart, StepRecord, Watch
from ..tasks.search import TIME_LIMIT, Search
from ..tasks.task import Task
from .given import TaskOptions, make_task
from .shown import closed, frame, table_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fiedler.theory import TiedOptimum

    from ..runs.engine import Run

SHOWN = (
    "loss_per_node", "limit_loss_per_node", "entropy_floor", "gram_error", "gram_error_at_time", "fiedler_score",
    "edge_recall", "effective_rank", "geometric_margin",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult:
    """A finished ``run`` (``sims.runs.Run``: model, settings, seed, what was recorded, what it ended in) for ``task``;
    ``folder``: where it is kept, None where it is not."""

    task: Task
    run: Run
    search: Search
    folder: Path | None

    @property
    def answer(self) -> Mapping[str, Any]:
        """The scores, as `fiedler train --json` prints them."""
        return self.run.scores or {}

    @property
    def embedding(self) -> NDArray[np.float64]:
        """(nodes, width), a row for each of ``nodes``: V, or of a network the embeddings it reads."""
        return np.asarray(self.run.final.embedding, dtype=np.float64)

    @property
    def context(self) -> NDArray[np.float64] | None:
        """(nodes, width) of untied logits V U': U, a row for each of ``nodes``; None of tied ones."""
        found = self.run.final.context
        return None if found is None else np.asarray(found, dtype=np.float64)

    @property
    def nodes(self) -> tuple[Hashable, ...]:
        """The nodes of the graph in the order of the rows."""
        return self.task.graph.nodes

    @cached_property
    def optimum(self) -> TiedOptimum | None:
        """The certified optimum that the run is scored against, None where it was left out."""
        from ..runs.scored import own_decay, sought_optimum

        return sought_optimum(self.task, own_decay(self.run.model, self.run.settings), self.search)

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row a recorded step: "step", "time" (of the flow; without a clock NaN),
        "loss_per_node", and, where logits were recorded, "edge_recall"."""
        modes, clock = self.run.modes, self.run.model.time_per_step(self.run.settings)
        columns = {"step": modes.steps, "time": modes.steps * (np.nan if clock is None else clock),
                   "loss_per_node": modes.loss}  # fmt: skip
        if modes.edge_recall is not None:
            columns["edge_recall"] = modes.edge_recall
        return frame([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])

    def plot(self) -> Figure:
        """Loss beside its limit, energies of modes over the steps, and the embedding beside the predicted one."""
        from .training_figure import plot_training

        return closed(plot_training(self.task, self.run, self.answer, self.optimum if self.run.model.tied else None))

    def summary(self) -> list[tuple[str, str]]:
        """The scores that are most asked for, as name and text."""
        known = [(name, self.answer.get(name)) for name in SHOWN]
        return [(name, f"{value:.6g}") for name, value in known if value is not None]

    def __repr__(self) -> str:
        n, m = self.embedding.shape
        parts = ", ".join(f"{name} {text}" for name, text in self.summary() if name in ("loss_per_node", "gram_error"))
        title = visible(f"{self.run.model.title} on {self.task.title}")
        return f"TrainingResult({title}, seed {self.run.seed}: {n} nodes, width {m}, {parts})"

    def _repr_html_(self) -> str:
        title = f"{self.run.model.title} on {self.task.title}, seed {self.run.seed}"
        return table_html(title, ("score", "value"), self.summary())


def train(
    graph: Any,
    model: str = "node2vec",
    *,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    width: int | None = None,
    init_std: float | None = None,
    weight_decay: float | None = None,
    overwrite: bool = False,
    resume: bool = False,
    optimum: bool | None = None,
    tolerance: float | None = None,
    time_limit: float = TIME_LIMIT,
    symmetrize: bool = False,
    on_step: StepRecord | None = None,
    on_progress: Progress | None = None,
    **options: Unpack[TaskOptions],
) -> TrainingResult:
    """Train one ``model`` on ``graph`` from one ``seed`` and score it, as `fiedler train` does.

    ``graph``: as for ``fiedler.predict``. ``model``: as -m takes it, such as "node2vec", "transformer:heads=2",
    "hf:gpt2". ``out``: a run folder; None keeps nothing. ``steps`` to ``weight_decay``: settings of the model, None for
    its own; the others as the options of the command, which `fiedler train --help` explains. ``on_step`` and
    ``on_progress``: as for ``fiedler.compare``.

    Raises ImportError naming the extra without what training needs, TypeError and ValueError for bad input, Diverged (a
    FloatingPointError) where training diverges.

    >>> import fiedler
    >>> result = fiedler.train("cycle:5", steps=100, width=8)
    >>> result.embedding.shape, result.answer["model"], len(result.to_frame())
    ((5, 8), 'node2vec', 62)
    """
    check_part("sims", "fiedler.train")
    from ..compare.at_time import one_at_time
    from ..models.registry import get_model
    from ..runs.scored import run_scored

    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer; got {seed!r}")
    search, restart = Search(optimum, tolerance, time_limit), Restart(overwrite, resume)
    task = make_task(graph, symmetrize, options)
    folder = None if out is None else Path(out)
    chosen = get_model(model, earlier=resume and folder is not None and (folder / "config.json").exists())
    settings = chosen.make_settings(
        steps=steps, learning_rate=learning_rate, width=width, init_std=init_std, weight_decay=weight_decay
    )
    watch = Watch(on_progress, on_step=on_step)
    (run,) = run_scored(
        task,
        chosen,
        settings,
        [int(seed)],
        folder=None if folder is None else lambda _: folder,
        restart=restart,
        search=search,
        watch=watch,
        also=one_at_time(task, search, watch),
    )
    return TrainingResult(task, run, search, folder)
