"""What --dry-run prints, and what a long command says first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tasks.search import Search

if TYPE_CHECKING:
    from ..tasks.task import Task
    from .progress import Stages

LONG = 10.0  # seconds of the optimum above which its estimate is said before it is sought


def print_estimates(
    estimates: list[Any], folder: Path, json: bool, predictions: float | None = None, jobs: int = 1
) -> None:
    """What --dry-run says: one line or object for each model, and where its runs are predicted, too, how long that
    takes (``predictions`` seconds on one CPU) and all of it with ``jobs`` processes."""
    from ..disk.jsonio import to_json
    from ..runs.duration import duration
    from ..runs.estimate import describe_estimate

    answers = [describe_estimate(estimate, folder) for estimate in estimates]
    whole: dict[str, Any] = {"estimates": answers}
    if predictions is not None:
        training = sum(estimate.seconds for estimate in estimates)
        whole |= {"prediction_seconds": predictions, "jobs": jobs, "seconds": (training + predictions) / jobs}
    if json:
        print(to_json(whole))
        return
    for answer in answers:
        print(answer["text"])
    if predictions is not None:
        print(
            f"in all about {duration(training)} of training and {duration(predictions)} of predictions: "
            f"{duration(whole['seconds'])} with {jobs} process{'es' if jobs > 1 else ''}, and the optima"
        )


def print_path_estimates(
    graph: Any, conditions: Any, seeds: range, folder: Path, device: str, jobs: int | None, json: bool
) -> None:
    """The same of path runs: a line or object for each condition."""
    from ..disk.jsonio import to_json
    from ..paths.estimate import estimate_paths

    estimates = estimate_paths(graph, conditions, seeds, folder, device=device, jobs=jobs)
    if json:
        print(to_json({"estimates": [dataclasses.asdict(one) for one in estimates]}))
        return
    for one in estimates:
        print(one.text)


def say_optimum(stages: Stages, search: Search, tasks: Iterable[Task]) -> None:
    """One line for every task whose optimum is left out for its size, or will take long."""
    from ..runs.duration import duration

    for task in tasks:
        name = f"{task.graph.name} ({task.graph.n} nodes)"
        left_out, seconds = search.left_out(task.graph.n), search.seconds(task)
        if left_out and search.optimum is None:
            stages.say(f"{name}: {left_out}")
        elif seconds is not None and seconds > LONG:
            stages.say(
                f"{name}: about {duration(seconds)} for the optimum, at most {duration(search.time_limit)} "
                "(--time-limit); --no-optimum leaves it out"
            )
