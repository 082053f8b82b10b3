"""The command `fiedler headroom`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runs.control import Restart
from ..tasks.search import TIME_LIMIT, Search
from .completion import complete_graph, complete_model
from .console import wide_console
from .estimates import print_estimates, print_path_estimates, say_optimum
from .options import CheckpointEvery, DryRun, Json, Overwrite, Rate, Resume, Steps, TimeLimit, Tolerance, with_reading

if TYPE_CHECKING:
    from fiedler.theory import Graph

    from ..models.registry import Model
    from ..paths.settings import PathSettings
    from ..runs.folder import RunDir
    from ..tasks.task import Task


@with_reading
def headroom(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GRAPH",
            help="Graph words (default: the four tiny graphs of arXiv 2510.26745; with --paths: path-star:100x5).",
            autocompletion=complete_graph,
        ),
    ] = None,
    paths: Annotated[
        bool, typer.Option("--paths", help="Train on edges and paths, and ask for held-out paths as `fiedler paths`.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The network that is guided, not with --paths (default: the Transformer).",
            autocompletion=complete_model,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds: 0, 1, ...")] = 5,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder (default runs/headroom...).")] = None,
    steps: Steps = None,
    learning_rate: Rate = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Embedding dimension.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="With --paths: runs side by side (default: all CPUs).")
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    tolerance: Tolerance = None,
    time_limit: TimeLimit = TIME_LIMIT,
    dry_run: DryRun = False,
    json: Json = False,
    reading: Any = None,
) -> None:
    """How far trained embeddings are from the predicted geometry, and what moving them there changes.

    Trains a network as it is, started at the geometry, pulled toward it, and with Node2Vec's loss added; and Node2Vec
    itself. The variants use the prediction, so they are no test of it: that is `fiedler compare`.
    """
    from ..disk.jsonio import to_json
    from ..headroom.conditions import BASE_WORD
    from ..headroom.embeddings import headroom_models
    from ..headroom.output import write_headroom
    from ..headroom.report import headroom_rendering
    from ..runs.estimate import estimate_runs
    from ..runs.stopping import heeding, stop_on_signals
    from .progress import Stages

    restart, search = Restart(overwrite, resume, checkpoint_every), Search(True, tolerance, time_limit)
    options = {"steps": steps, "learning_rate": learning_rate, "width": width}
    changes = {name: value for name, value in options.items() if value is not None}
    if paths:
        if model is not None:
            raise ValueError(f"--paths trains a model of its own; leave --model {model} out")
        graph, conditions, place = _planned_paths(graphs or [], changes, out, reading)
        if dry_run:
            print_path_estimates(graph, conditions, range(seeds), place, "cpu", jobs, json)
            return
        answer, folder = _paths(graph, conditions, seeds, place, jobs, restart, search)
    else:
        if jobs is not None:
            raise ValueError("--jobs is for --paths; tiny graphs train their seeds together")
        tasks, variants, place = _planned_embeddings(graphs or [], model, out, reading)
        if dry_run:
            models = headroom_models(variants, changes)
            print_estimates(
                [estimate_runs(task, *one, range(seeds), search) for task in tasks for one in models], place, json
            )
            return
        answer, folder = _embeddings(tasks, variants, changes, seeds, place, restart, search)
        answer["model"] = model or BASE_WORD
    with Stages(transient=True) as stages, stop_on_signals() as stop:
        stages.update("figure", 0.0)
        figure, report, scores = heeding(stop, lambda: write_headroom(answer, folder))
        stages.update("figure", 1.0)
    if json:
        print(to_json(answer))
        return
    wide_console().print(headroom_rendering(answer))
    print(f"figure: {figure}\nreport: {report}\nscores: {scores}")


def _planned_embeddings(
    words: list[str], model: str | None, out: Path | None, reading: Any
) -> "tuple[list[Task], list[Model], Path]":
    from fiedler.theory import parse

    from ..compare.presets.published import GRAPHS
    from ..headroom.conditions import BASE_WORD, model_variants
    from ..tasks.task import Task

    tasks = [Task(parse(word, options=reading)) for word in words or GRAPHS]
    names = [task.graph.name for task in tasks]
    if len(set(names)) != len(names):
        raise ValueError(f"graphs must not repeat; got {', '.join(names)}")
    return tasks, model_variants(model or BASE_WORD), out or Path("runs") / "headroom"


def _embeddings(
    tasks: "list[Task]",
    variants: "list[Model]",
    changes: dict[str, Any],
    seeds: int,
    folder: Path,
    restart: Restart,
    search: Search,
) -> "tuple[dict[str, Any], RunDir]":
    from ..headroom.embeddings import describe_headroom, run_headroom
    from ..runs.stopping import stop_on_signals
    from .progress import Stages

    with Stages() as stages, stop_on_signals() as stop:
        say_optimum(stages, search, tasks)
        result, comparisons = run_headroom(
            tasks, variants, range(seeds), folder, changes=changes, restart=restart, search=search,
            watch=stages.watch(stop),
        )  # fmt: skip
    return describe_headroom(comparisons), result


def _planned_paths(
    words: list[str], changes: dict[str, Any], out: Path | None, reading: Any
) -> "tuple[Graph, dict[str, PathSettings], Path]":
    from dataclasses import replace

    from fiedler.theory import parse

    from ..disk.files import folder_name
    from ..headroom.conditions import PATHS, PATHS_GRAPH, path_variants

    if len(words) > 1:
        raise ValueError(f"--paths takes one graph; got {', '.join(words)}")
    graph, base = parse(words[0] if words else PATHS_GRAPH, options=reading), replace(PATHS, **changes)
    folder = out or Path("runs") / f"headroom-paths-{folder_name(graph.name)}-width{base.width}"
    return graph, path_variants(base), folder


def _paths(
    graph: "Graph",
    conditions: "dict[str, PathSettings]",
    seeds: int,
    folder: Path,
    jobs: int | None,
    restart: Restart,
    search: Search,
) -> "tuple[dict[str, Any], RunDir]":
    from ..headroom.paths import describe_path_headroom
    from ..paths.run import run_paths
    from ..runs.stopping import stop_on_signals
    from ..tasks.task import Task
    from .progress import Stages

    with Stages() as stages, stop_on_signals() as stop:
        say_optimum(stages, search, [Task(graph)])
        watch = stages.watch(stop)
        result = run_paths(graph, conditions, range(seeds), folder, jobs=jobs, restart=restart, watch=watch)
        return describe_path_headroom(result, search, watch), result.folder
