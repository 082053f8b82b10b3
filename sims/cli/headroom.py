"""The command `fiedler headroom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..runs.control import Restart
from ..runs.folder import RunDir
from ..tasks.optimum import TIME_LIMIT, Search
from .completion import complete_graph, complete_model
from .console import wide_console
from .estimates import say_optimum
from .options import CheckpointEvery, Json, Overwrite, Rate, Resume, Steps, TimeLimit, Tolerance, with_reading
from .progress import Stages


@with_reading
def headroom(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GRAPH]...",
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
    json: Json = False,
    reading: Any = None,
) -> None:
    """How far trained embeddings are from the predicted geometry, and what moving them there changes.

    Trains a network as it is, started at the geometry, pulled toward it, and with Node2Vec's loss added; and Node2Vec
    itself. The variants use the prediction, so they are no test of it: that is `fiedler compare`.
    """
    from ..disk.jsonio import to_json
    from ..headroom.output import write_headroom
    from ..headroom.report import headroom_rendering
    from ..runs.stopping import heeding, stop_on_signals

    restart, search = Restart(overwrite, resume, checkpoint_every), Search(True, tolerance, time_limit)
    options = {"steps": steps, "learning_rate": learning_rate, "width": width}
    changes = {name: value for name, value in options.items() if value is not None}
    if paths:
        if model is not None:
            raise ValueError(f"--paths trains a model of its own; leave --model {model} out")
        answer, folder = _paths(graphs or [], changes, seeds, out, jobs, restart, search, reading)
    else:
        if jobs is not None:
            raise ValueError("--jobs is for --paths; tiny graphs train their seeds together")
        answer, folder = _embeddings(graphs or [], model, changes, seeds, out, restart, search, reading)
    with Stages(transient=True) as stages, stop_on_signals() as stop:
        stages.update("figure", 0.0)
        figure, report, scores = heeding(stop, lambda: write_headroom(answer, folder))
        stages.update("figure", 1.0)
    if json:
        print(to_json(answer))
        return
    wide_console().print(headroom_rendering(answer))
    print(f"figure: {figure}\nreport: {report}\nscores: {scores}")


def _embeddings(
    words: list[str],
    model: str | None,
    changes: dict[str, Any],
    seeds: int,
    out: Path | None,
    restart: Restart,
    search: Search,
    reading: Any,
) -> tuple[dict[str, Any], RunDir]:
    from fiedler.theory import parse

    from ..compare.presets.published import GRAPHS
    from ..headroom.conditions import BASE_WORD, model_variants
    from ..headroom.embeddings import describe_headroom, run_headroom
    from ..runs.stopping import stop_on_signals
    from ..tasks.task import Task

    tasks = [Task(parse(word, options=reading)) for word in words or GRAPHS]
    names = [task.graph.name for task in tasks]
    if len(set(names)) != len(names):
        raise ValueError(f"graphs must not repeat; got {', '.join(names)}")
    variants = model_variants(model or BASE_WORD)
    folder = out or Path("runs") / "headroom"
    with Stages() as stages, stop_on_signals() as stop:
        say_optimum(stages, search, tasks)
        result, comparisons = run_headroom(
            tasks, variants, range(seeds), folder, changes=changes, restart=restart, search=search,
            watch=stages.watch(stop),
        )  # fmt: skip
    return {**describe_headroom(comparisons), "model": model or BASE_WORD}, result


def _paths(
    words: list[str],
    changes: dict[str, Any],
    seeds: int,
    out: Path | None,
    jobs: int | None,
    restart: Restart,
    search: Search,
    reading: Any,
) -> tuple[dict[str, Any], RunDir]:
    from dataclasses import replace

    from fiedler.theory import parse

    from ..disk.files import folder_name
    from ..headroom.conditions import PATHS, PATHS_GRAPH, path_variants
    from ..headroom.paths import describe_path_headroom
    from ..paths.run import run_paths
    from ..runs.stopping import stop_on_signals
    from ..tasks.task import Task

    if len(words) > 1:
        raise ValueError(f"--paths takes one graph; got {', '.join(words)}")
    graph, base = parse(words[0] if words else PATHS_GRAPH, options=reading), replace(PATHS, **changes)
    folder = out or Path("runs") / f"headroom-paths-{folder_name(graph.name)}-width{base.width}"
    with Stages() as stages, stop_on_signals() as stop:
        say_optimum(stages, search, [Task(graph)])
        watch = stages.watch(stop)
        result = run_paths(graph, path_variants(base), range(seeds), folder, jobs=jobs, restart=restart, watch=watch)
        return describe_path_headroom(result, search, watch), result.folder
