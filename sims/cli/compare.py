"""`fiedler compare`: prediction against runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..disk.files import folder_name
from ..tasks.make import make_task
from .completion import complete_compare_preset, complete_graph, complete_model
from .estimates import print_estimates
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
    Overwrite,
    Rate,
    Resume,
    ReturnP,
    SelfEdges,
    Smoothing,
    Steps,
    Symmetrize,
    Weights,
    Width,
    Window,
    check_restart,
    setting_overrides,
)
from .progress import Stages


def compare(
    graph: Annotated[
        str | None,
        typer.Argument(metavar="[GRAPH]", help=f"{GRAPH_HELP} None with --preset.", autocompletion=complete_graph),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="A figure or table of arXiv 2510.26745 on its four tiny graphs, with its hyper-parameters: fig1, "
            "fig7, fig12 to fig15, fig21, self-edges, lookup, parts, knobs.",
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
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Prediction against runs: train each model over seeds and draw theory and experiment in one figure.

    Settings given here apply to every model; leave them out for each model's own defaults.
    """
    from ..compare.run import compare as run_comparison
    from ..compare.run import describe_comparison
    from ..compare.show.figure import plot_comparison
    from ..compare.show.report import comparison_markdown
    from ..disk.files import write_text
    from ..disk.jsonio import to_json
    from ..draw.style import save_figure
    from ..models.registry import get_model
    from ..runs.estimate import estimate_runs
    from ..runs.stopping import stop_on_signals
    from .tables import comparison_table

    check_restart(overwrite, resume)
    overrides = setting_overrides(steps, learning_rate, width, init_std, weight_decay)
    if preset is not None:
        from .preset import compare_preset

        task_options = (self_edges, label_smoothing, window, p, q, edges, weights, symmetrize)
        fixed = task_options != (False, 0.0, 1, 1.0, 1.0, "both", "node", False)
        if graph is not None or model or fixed or any(value is not None for value in overrides.values()):
            raise ValueError(
                f"--preset {preset} fixes graphs, models and settings: give only --seeds and folder options"
            )
        compare_preset(preset, seeds, out, overwrite, resume, checkpoint_every, dry_run, json)
        return
    if graph is None:
        raise ValueError("give a GRAPH, such as cycle:15, or a --preset, such as fig1")
    task = make_task(graph, symmetrize, self_edges, label_smoothing, window, p, q, edges=edges, weights=weights)
    chosen = [get_model(name) for name in (model or ["node2vec", "transformer"])]
    settings = [(one, one.make_settings(**overrides)) for one in chosen]
    folder = out or Path("runs") / folder_name(task.graph.name)
    if dry_run:
        print_estimates([estimate_runs(task, *one, range(seeds)) for one in settings], folder, json)
        return
    with Stages() as stages, stop_on_signals() as stop:
        result = run_comparison(
            task,
            settings,
            range(seeds),
            out=folder,
            overwrite=overwrite,
            resume=resume,
            checkpoint_every=checkpoint_every,
            on_progress=stages.update,
            stop=stop,
        )
        stages.update("figure", 0.0)
        assert result.folder is not None
        figures = save_figure(plot_comparison(result), result.folder.figures, "compare")
        stages.update("figure", 1.0)
    environment = result.folder.read_environment()
    relative = figures[0].relative_to(folder).as_posix()
    write_text(folder / "report.md", comparison_markdown(result, environment, relative))
    if json:
        print(to_json(describe_comparison(result)))
        return
    Console().print(comparison_table(result))
    print(f"figure: {figures[0]}\nreport: {folder / 'report.md'}\nscores: {folder / 'scores.json'}")
