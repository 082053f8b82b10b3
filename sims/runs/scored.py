"""Runs with their scores: what `fiedler train` and every point of a sweep do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from fiedler.theory import TiedOptimum, edge_margin, geometric_margin

from ..models.protocol import Final
from ..models.registry import Model
from ..scores.embedding import score_embedding, score_logits
from ..tasks.optimum import stopped_by
from ..tasks.search import SEARCH, Search
from ..tasks.task import Task
from .control import AFRESH, UNWATCHED, Restart, Watch
from .engine import Run, describe_run, run_seeds
from .folder import RunDir
from .seeking import seek_optimum
from .stopping import Interrupted, heeding
from .take_up import take_up

Also = Callable[[Run, TiedOptimum | None], Mapping[str, Any]]

MOST_FOUND = 16  # optima that are kept: a sweep's points share theirs


def run_and_score(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    *,
    folder: Callable[[int], Path],
    restart: Restart = AFRESH,
    search: Search = SEARCH,
    watch: Watch = UNWATCHED,
    also: Also | None = None,
) -> list[dict[str, Any]]:
    """``runs.engine.run_seeds``, then every run's scores against the optimum with its own weight decay, written into
    its folder and returned as its scores.json holds them. ``search``: how far that optimum is sought; ``also``: what
    is scored beside (``compare.at_time``). With ``restart.resume`` finished runs that have their scores are only read.

    Raises as ``run_seeds``; Interrupted and RuntimeError after training, with the finished run saved.
    """
    done = _finished(task, model, settings, seeds, folder, search) if restart.resume else {}
    # Seeds that shared a training share it again, finished or not: alone they would end in other last bits.
    groups = [(seed,) for seed in seeds] if model.exact_together else model.groups(task, settings, seeds)
    left = [seed for group in groups if not all(seed in done for seed in group) for seed in group]
    if left:
        how: Any = {"folder": folder, "restart": restart, "search": search, "watch": watch, "also": also}
        for run in run_scored(task, model, settings, left, known=done, **how):
            assert run.scores is not None
            done[run.seed] = run.scores
    return [done[seed] for seed in seeds]


def run_scored(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    *,
    folder: Callable[[int], Path] | None = None,
    restart: Restart = AFRESH,
    search: Search = SEARCH,
    watch: Watch = UNWATCHED,
    also: Also | None = None,
    known: Mapping[int, dict[str, Any]] | None = None,
) -> list[Run]:
    """The runs of ``run_and_score`` with their scores, and without a ``folder`` kept nowhere; finished ones are taken
    up too, from their last checkpoint. ``known``: scores of finished runs by seed; None: those in their folders."""
    if known is None:
        known = {}
        if folder is not None and restart.resume:
            known = _finished(task, model, settings, seeds, folder, search)

    def scored(run: Run) -> dict[str, Any]:
        if run.seed in known:
            return known[run.seed]
        with nullcontext() if folder is None else saved_run(folder(run.seed)):
            return score_run(task, run, search, watch, also)

    return run_seeds(task, model, settings, seeds, folder=folder, restart=restart, score=scored, watch=watch)


def _finished(
    task: Task, model: Model, settings: Any, seeds: Sequence[int], folder: Callable[[int], Path], search: Search
) -> dict[int, dict[str, Any]]:
    """The scores, by seed, of runs in their folders that are as they are wanted."""
    done: dict[int, dict[str, Any]] = {}
    for seed in seeds:
        scores = _scores_of_finished(RunDir(folder(seed)), describe_run(task, model, settings, seed, seeds))
        wanted = not search.left_out(task.graph.n)
        if scores is not None and not stale(scores, own_decay(model, settings), wanted):
            done[seed] = scores
    return done


def own_decay(model: Model, settings: Any) -> float:
    """The weight decay of the objective a model is trained on, where it is the theory's: tied, with a clock."""
    clocked = model.tied and model.time_per_step(settings) is not None
    return float(settings.weight_decay) if clocked else 0.0


def score_run(
    task: Task, run: Run, search: Search = SEARCH, watch: Watch = UNWATCHED, also: Also | None = None
) -> dict[str, Any]:
    """Model, seed, loss and every score of one run, against the optimum with its own weight decay; see
    ``describe_search``. Raises Interrupted where ``watch`` asks to stop."""
    decay = own_decay(run.model, run.settings)
    optimum = sought_optimum(task, decay, search, watch)
    watch.report("scores", 0.0)
    scores = heeding(watch.stop, lambda: score_final(run.final, task, optimum, decay))
    watch.report("scores", 1.0)
    return {
        "model": run.model.name,
        "seed": run.seed,
        "loss_per_node": float(run.modes.loss[-1]),
        **describe_search(task, optimum, search),
        **scores,
        **({} if also is None else also(run, optimum)),
    }


def describe_search(task: Task, optimum: TiedOptimum | None, search: Search) -> dict[str, Any]:
    """What scores say of the optimum they are against: ``optimum_left_out``, in words, where there is none;
    ``optimum_weight_decay`` where it has one; ``optimum_stopped_by`` where the search ended before its tolerance."""
    if optimum is None:
        return {"optimum_left_out": search.left_out(task.graph.n)}
    stopped = {"optimum_stopped_by": why} if (why := stopped_by(optimum)) else {}
    return {**({"optimum_weight_decay": optimum.weight_decay} if optimum.weight_decay else {}), **stopped}


@contextmanager
def saved_run(folder: Path) -> Iterator[None]:
    """While a finished run in ``folder`` is scored: what ends it says that the run is there, and what goes on."""
    saved = f"the run is finished and saved in {folder}, its scores are not: `fiedler score {folder}` makes them"
    try:
        yield
    except Interrupted as error:
        raise Interrupted(f"{error}; {saved}") from error
    except (RuntimeError, MemoryError) as error:
        why = f"memory ran out for its scores ({error})" if isinstance(error, MemoryError) else error
        raise RuntimeError(f"{why}; {saved}, --no-optimum without the optimum") from error
    except ValueError as error:
        raise ValueError(f"{error}; {saved}, --no-optimum without the optimum") from error


_found: dict[tuple[Task, float, Search], TiedOptimum | None] = {}  # tasks are compared by identity


def sought_optimum(task: Task, decay: float, search: Search, watch: Watch = UNWATCHED) -> TiedOptimum | None:
    """The optimum that runs are scored against, sought once; None where it is left out."""
    key = (task, decay, search)
    if key not in _found:
        found = seek_optimum(task, decay, search, watch)
        while len(_found) >= MOST_FOUND:
            del _found[next(iter(_found))]
        _found[key] = found
    return _found[key]


def stale(scores: Mapping[str, Any], decay: float, optimum: bool | None) -> bool:
    """Whether finished scores are to be made again: they lack the ``optimum`` that is wanted, or are against that of
    another weight decay, as earlier versions wrote them. None: whether it is wanted depends on the graph's size."""
    if optimum is False:
        return False
    if "optimum_left_out" in scores:
        return bool(optimum)
    return decay > 0 and scores.get("optimum_weight_decay") != decay


def _scores_of_finished(folder: RunDir, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scores of a finished run of ``config``, None where it has to be trained or scored."""
    if not folder.finished or not take_up(folder, config):
        return None
    try:
        return folder.read_scores() if folder.is_final("scores.json") else None
    except ValueError:
        return None  # damaged: scored again from the run's last checkpoint


def score_final(final: Final, task: Task, optimum: TiedOptimum | None, weight_decay: float = 0.0) -> dict[str, Any]:
    """``score_embedding`` and ``score_logits``; ``weight_decay``: of the objective where there is no ``optimum``. For
    a one-layer net Z = E W E' the geometric margin through W, too.

    ``geometric_margin`` and its top-1 accuracy are then those of E W' E', W' the part of W that is diagonal in the
    right singular basis of E. ``bilinear_margin``: of E W E', the logits without a bias. ``transposed_margin``: of
    E W E' transposed, which is what E W E' gives with the weight of a ``torch.nn.Linear``, stored the other way round;
    the public release of arXiv 2510.26745 prints numbers of its sign and size as "original margin" where the two differ
    (embeddings N(0,1), learning rate 0.1).
    """
    scores = {
        **score_embedding(final.embedding, task, optimum, weight_decay=weight_decay),
        **score_logits(final.logits, task),
    }
    if final.inner is None:
        return scores
    e, w = np.asarray(final.embedding, dtype=np.float64), np.asarray(final.inner, dtype=np.float64)
    margin, top1 = geometric_margin(e, task.graph, inner=w, direction=task.edges)
    bilinear = e @ w @ e.T
    return {
        **scores,
        "geometric_margin": margin,
        "geometric_margin_top1": top1,
        "bilinear_margin": edge_margin(bilinear, task.graph, direction=task.edges)[0],
        "transposed_margin": edge_margin(bilinear.T, task.graph, direction=task.edges)[0],
    }
