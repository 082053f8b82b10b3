"""``fiedler.compare``: the prediction against training runs, as `fiedler compare` makes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..extras import check_part
from ..foreign import visible
from ..runs.control import Progress, Restart, StepRecord, Watch
from ..tasks.search import TIME_LIMIT, Search
from .given import TaskOptions, make_task
from .shown import closed, frame, table_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..compare.comparison import Comparison

MODELS = ("node2vec", "transformer")


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonResult:
    """A finished ``comparison`` (``sims.compare.Comparison``: runs, predictions, scores and fits of every model)."""

    comparison: Comparison

    @property
    def folder(self) -> Path | None:
        """Where it is kept, None where it is not."""
        return None if self.comparison.folder is None else self.comparison.folder.path

    @cached_property
    def answer(self) -> Mapping[str, Any]:
        """Everything, as `fiedler compare --json` prints it."""
        from ..compare.run import describe_comparison

        return describe_comparison(self.comparison)

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row a run: model, seed, and every score that is a number."""
        return frame([_numbers(entry) for entry in self.answer["runs"]])

    def plot(self) -> Figure:
        """The figure of `fiedler compare`: mode energies over time, Gram spectrum, embedding; one row a model."""
        from ..compare.show.figure import plot_comparison

        return closed(plot_comparison(self.comparison))

    def __repr__(self) -> str:
        from ..compare.comparison import scores_of_runs, summarise

        models = []
        for one in self.comparison.models:
            loss = summarise(scores_of_runs(one))["loss_per_node"]["mean"]
            models.append(f"{one.model.title}: {len(one.runs)} seeds, loss per node {loss:.6g}")
        return f"ComparisonResult({visible(self.comparison.task.title)}; {'; '.join(models)})"

    def _repr_html_(self) -> str:
        from ..compare.show.report import comparison_rows

        header, rows = comparison_rows(self.comparison)
        return table_html(f"{self.comparison.task.title}: prediction beside runs", header, rows)


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    row = {"model": entry["model"], "seed": entry["seed"]}
    scalars = {name: value for name, value in entry.items() if isinstance(value, int | float) and name not in row}
    return {**row, **scalars, "trajectory_rms_log10": entry["trajectory_fit"]["rms_log10"]}


def compare(
    graph: Any,
    models: str | Iterable[str] = MODELS,
    *,
    seeds: int | Sequence[int] = 5,
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
) -> ComparisonResult:
    """Train ``models`` over seeds on ``graph`` and hold them against the prediction, as `fiedler compare` does.

    ``graph``: as for ``fiedler.predict``. ``models``: one or several as -m takes them, such as "node2vec",
    "transformer:heads=2", "hf:gpt2". ``seeds``: how many (0, 1, ...), or which. ``out``: a folder for runs, figure and
    report; None keeps nothing. ``steps`` to ``weight_decay``: settings of every model, None for its own; the others as
    the options of the command, which `fiedler compare --help` explains.

    ``on_step(record)`` is called at every recorded step of every seed with what metrics.jsonl holds of it: "model",
    "seed", "step", "time" (flow time, None without a clock), "loss_per_node", on small graphs "edge_recall"; what it
    raises ends the training. ``on_progress(stage, fraction)``: as the bars of the command.

    Raises ImportError naming the extra without what training needs, TypeError and ValueError for bad input.

    >>> import fiedler
    >>> result = fiedler.compare("cycle:5", "node2vec", seeds=2, steps=100, width=8)
    >>> [(run["model"], run["seed"]) for run in result.answer["runs"]]
    [('node2vec', 0), ('node2vec', 1)]
    """
    check_part("sims", "fiedler.compare")
    from ..compare.run import compare as run_comparison
    from ..compare.show.output import write_comparison
    from ..models.registry import get_model

    search, restart = Search(optimum, tolerance, time_limit), Restart(overwrite, resume)
    task = make_task(graph, symmetrize, options)
    folder = None if out is None else Path(out)
    given = {"steps": steps, "learning_rate": learning_rate, "width": width, "init_std": init_std}
    earlier = resume and folder is not None and (folder / "config.json").exists()
    chosen = [get_model(name, earlier=earlier) for name in ([models] if isinstance(models, str) else models)]
    pairs = [(one, one.make_settings(**given, weight_decay=weight_decay)) for one in chosen]
    numbers = _seeds(seeds)
    watch = Watch(on_progress, on_step=on_step)
    result = run_comparison(task, pairs, numbers, out=folder, restart=restart, search=search, watch=watch)
    if folder is not None:
        write_comparison(result)
    return ComparisonResult(result)


def _seeds(seeds: Any) -> Sequence[int]:
    if isinstance(seeds, int | np.integer):
        return range(int(seeds))
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be their number or a list of them; got {seeds!r}")
    return list(seeds)
