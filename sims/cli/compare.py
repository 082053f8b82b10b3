"""`fiedler compare`: prediction against runs."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..disk.files import folder_name
from ..runs.control import Restart
from ..tasks.make import make_task
from ..tasks.search import TIME_LIMIT, Search
from .completion import complete_compare_preset, complete_graph, complete_model
from .estimates import print_estimates, say_optimum
from .options import (
    GRAPH_HELP,
    MODEL_HELP,
    CheckpointEvery,
    Decay,
    DryRun,
    Edges,
    InitStd,
    InOutQ,
    Json,
    Optimum,
    Overwrite,
    Rate,
    Resume,
    ReturnP,
    SelfEdges,
    Smoothing,
    Steps,
    Symmetrize,
    TimeLimit,
    Tolerance,
    Weights,
    Width,
    Window,
    setting_overrides,
    with_reading,
)

GRACE = 20.0  # seconds in which predictions in processes of their own end, once somebody asks to stop


@with_reading
def compare(
    graph: Annotated[
        str | None,
        typer.Argument(
            metavar="GRAPH", help=f"{GRAPH_HELP} None with a preset of figures.", autocompletion=complete_graph
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="A figure or table of arXiv 2510.26745 on its four tiny graphs, with its hyper-parameters: fig1, "
            "fig7, fig12 to fig15, fig21, self-edges, lookup, parts, knobs. Or, on those or on GRAPH, each run against "
            "the flow of its own linear net: ladder (from Node2Vec to GPT-2 and Mamba, part by part), depth, "
            "four-cells, bridge, retention, starts (geometry or lookup, by width and initial weights).",
            autocompletion=complete_compare_preset,
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help=f"{MODEL_HELP} Repeatable.", autocompletion=complete_model)
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds: 0, 1, ...")] = 5,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder (default runs/GRAPH).")] = None,
    steps: Steps = None,
    learning_rate: Rate = None,
    width: Width = None,
    init_std: InitStd = None,
    weight_decay: Decay = None,
    self_edges: SelfEdges = False,
    label_smoothing: Smoothing = 0.0,
    window: Window = 1,
    p: ReturnP = 1.0,
    q: InOutQ = 1.0,
    edges: Edges = "both",
    weights: Weights = "node",
    symmetrize: Symmetrize = False,
    overwrite: Overwrite = False,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="Models trained and predicted side by side, a thread each (default: all CPUs "
            "for a preset, 1 otherwise).",
        ),
    ] = None,
    optimum: Optimum = None,
    tolerance: Tolerance = None,
    time_limit: TimeLimit = TIME_LIMIT,
    dry_run: DryRun = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every score, what is behind them, and the spectral bias.")
    ] = False,
    json: Json = False,
    reading: Any = None,
) -> None:
    """Prediction against runs: train each model over seeds and draw theory and experiment in one figure.

    Settings given here apply to every model; leave them out for each model's own defaults. Everything is trained and
    saved before it is scored; where scoring is interrupted, fiedler score FOLDER goes on. --time-limit holds for every
    optimum and every predicted flow. Runs are held against the limit (the optimum) and against the flow at their own
    time, learning rate x steps; a step above the edge of stability is warned of.
    """
    from ..compare.ahead import Planned, train_ahead
    from ..compare.run import compare as run_comparison
    from ..compare.run import describe_comparison
    from ..compare.show.output import write_comparison
    from ..disk.jsonio import to_json
    from ..models.registry import get_model
    from ..runs.estimate import estimate_runs
    from ..runs.stopping import heeding, stop_on_signals
    from .progress import Stages
    from .tables import comparison_table

    restart, search = Restart(overwrite, resume, checkpoint_every), Search(optimum, tolerance, time_limit)
    overrides = setting_overrides(steps, learning_rate, width, init_std, weight_decay)
    if preset is not None:
        options = changed_options(
            self_edges=self_edges, label_smoothing=label_smoothing, window=window, p=p, q=q, edges=edges,
            weights=weights, symmetrize=symmetrize,
        )  # fmt: skip
        if model or any(value is not None for value in overrides.values()):
            raise ValueError(
                f"--preset {preset} fixes models and settings: leave out --model, --steps, --learning-rate, --width, "
                "--init-std and --weight-decay"
            )
        of_file = reading.given if reading is not None else {}
        _compare_preset(preset, graph, options, of_file, range(seeds), out, jobs, restart, search, dry_run, json)
        return
    if graph is None:
        raise ValueError("give a GRAPH, such as cycle:15, or a --preset, such as fig1")
    task = make_task(
        graph, symmetrize, self_edges, label_smoothing, window, p, q, edges=edges, weights=weights, reading=reading
    )
    folder = out or Path("runs") / folder_name(task.graph.name)
    earlier = resume and (folder / "config.json").exists()
    chosen = [get_model(name, earlier=earlier) for name in (model or ["node2vec", "transformer"])]
    settings = [(one, one.make_settings(**overrides)) for one in chosen]
    if dry_run:
        print_estimates([estimate_runs(task, *one, range(seeds), search) for one in settings], folder, json)
        return
    with Stages() as stages, stop_on_signals() as stop:
        say_optimum(stages, search, [task])
        watch = stages.watch(stop)
        restart = train_ahead([Planned(task, settings, folder)], range(seeds), folder, restart, jobs or 1, watch)
        result = run_comparison(task, settings, range(seeds), out=folder, restart=restart, search=search, watch=watch)
        stages.update("figure", 0.0)
        figure, report, scores = heeding(stop, lambda: write_comparison(result))
        stages.update("figure", 1.0)
    if json:
        print(to_json(describe_comparison(result)))
        return
    Console().print(comparison_table(result, everything=everything))
    print(f"figure: {figure}\nreport: {report}\nscores: {scores}")


def changed_options(**options: Any) -> dict[str, Any]:
    """Those of a task that are not the defaults of ``compare``."""
    usual = {name: parameter.default for name, parameter in inspect.signature(compare).parameters.items()}
    return {name: value for name, value in options.items() if value != usual[name]}


def _compare_preset(
    name: str,
    graph: str | None,
    options: Mapping[str, Any],
    of_file: Mapping[str, Any],
    seeds: range,
    out: Path | None,
    jobs: int | None,
    restart: Restart,
    search: Search,
    dry_run: bool,
    json: bool,
) -> None:
    """Run the preset into ``out`` (runs/NAME, or runs/NAME-GRAPH) and write its report, figures and scores;
    ``of_file``: how the graph's is read."""
    from ..compare.presets.definitions import get_preset
    from ..compare.presets.output import write_preset
    from ..compare.presets.run import run_preset
    from ..disk.jsonio import to_json
    from ..runs.stopping import heeding, stop_on_signals
    from .progress import Stages

    preset = get_preset(name, graph, {**options, **of_file})
    if search != Search() and not preset.ladder:
        raise ValueError(f"--preset {name} shows the optimum: leave out --no-optimum, --tolerance and --time-limit")
    given = [*(cell.name for cell in preset.cells[: graph is not None]), *(f"{k} {v}" for k, v in options.items())]
    folder = out or Path("runs") / folder_name("-".join([name, *given]))
    seconds = None if search.time_limit == TIME_LIMIT else search.time_limit
    if dry_run:
        _print_preset_estimates(preset, seeds, folder, jobs, search, seconds, json)
        return
    with Stages() as stages, stop_on_signals() as stop:
        watch = stages.watch(stop)
        result = run_preset(preset, seeds, folder, jobs=jobs, restart=restart, search=search, watch=watch)
        stages.update("figures", 0.0)
        written = lambda: write_preset(result, watch, jobs, seconds)  # noqa: E731
        answer, shown = heeding(stop, written, grace=GRACE)
        stages.update("figures", 1.0)
    if json:
        print(to_json(answer))
        return
    Console().print(shown)
    print(f"report: {folder / 'report.md'}\nfigures: {folder / 'figures'}\nscores: {folder / 'scores.json'}")


def _print_preset_estimates(
    preset: Any, seeds: range, folder: Path, jobs: int | None, search: Search, seconds: float | None, json: bool
) -> None:
    """Of every model on every graph; of a ladder, its predictions too."""
    from ..runs.estimate import estimate_runs
    from ..runs.workers import processes

    runs = [(task, one.model()) for cell in preset.cells for task, models in cell.tasks() for one in models]
    chosen = [(task, model, model.make_settings()) for task, model in runs]
    estimates = [estimate_runs(*one, seeds, search) for one in chosen]
    predictions = None
    if preset.ladder:
        from ..compare.ladder.estimate import prediction_seconds
        from ..compare.ladder.rows import SECONDS

        predictions = sum(prediction_seconds(*one, seeds, seconds or SECONDS) for one in chosen)
    print_estimates(estimates, folder, json, predictions, min(processes(jobs), len(chosen)))
