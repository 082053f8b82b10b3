"""The commands that train: `fiedler compare` and `fiedler train`."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from ..disk.files import folder_name
from ..foreign import visible
from ..runs.control import Restart
from ..tasks.make import make_task
from ..tasks.search import TIME_LIMIT, Search
from .completion import choices, complete_model
from .estimates import print_estimates, say_optimum
from .options import (
    MODEL_HELP,
    CheckpointEvery,
    Decay,
    DryRun,
    Edges,
    GraphWord,
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


@with_reading
def train(
    graph: GraphWord,
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP, autocompletion=complete_model)] = "node2vec",
    steps: Steps = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the initial weights.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder (default runs/GRAPH-MODEL-seedS).")] = None,
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
    optimum: Optimum = None,
    tolerance: Tolerance = None,
    time_limit: TimeLimit = TIME_LIMIT,
    dry_run: DryRun = False,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            help="Also log the run while it goes on, into --log-dir: tensorboard or wandb.",
            autocompletion=choices("tensorboard", "wandb"),
        ),
    ] = None,
    log_dir: Annotated[Path, typer.Option("--log-dir", help="Where --log writes.")] = Path("runs/logs"),
    json: Json = False,
    reading: Any = None,
) -> None:
    """One training run of one model into one run folder.

    Ctrl-C saves a checkpoint and stops; the same command with --resume goes on from it, as after any other end, and
    ends in the same numbers as a run that was never stopped. A run is saved before it is scored against the optimum
    with its own weight decay, the limit, and against the flow at its own time, learning rate x steps; where that is
    interrupted, fiedler score FOLDER makes the scores.
    """
    from ..compare.at_time import one_at_time
    from ..compare.notes import run_notes
    from ..disk.jsonio import to_json
    from ..models.registry import get_model
    from ..runs.estimate import estimate_runs
    from ..runs.scored import run_and_score
    from ..runs.stopping import stop_on_signals
    from .progress import Stages
    from .tables import against_optimum

    restart, search = Restart(overwrite, resume, checkpoint_every), Search(optimum, tolerance, time_limit)
    task = make_task(
        graph, symmetrize, self_edges, label_smoothing, window, p, q, edges=edges, weights=weights, reading=reading
    )
    folder = out or Path("runs") / f"{folder_name(task.graph.name)}-{folder_name(model)}-seed{seed}"
    chosen = get_model(model, earlier=resume and (folder / "config.json").exists())
    settings = chosen.make_settings(**setting_overrides(steps, learning_rate, width, init_std, weight_decay))
    if dry_run:
        print_estimates([estimate_runs(task, chosen, settings, [seed], search)], folder, json)
        return
    with _logged(folder, log, log_dir), Stages() as stages, stop_on_signals() as stop:
        say_optimum(stages, search, [task])
        watch = stages.watch(stop)
        (scores,) = run_and_score(
            task,
            chosen,
            settings,
            [seed],
            folder=lambda _: folder,
            restart=restart,
            search=search,
            watch=watch,
            also=one_at_time(task, search, watch),
        )
    if json:
        print(to_json(scores))
        return
    notes = "".join(f"\n{text}" for text in run_notes(settings, scores))
    loss = f"{_number(scores['loss_per_node'])}{_floor(scores)}"
    print(
        f"{chosen.title} on {visible(task.graph.name)}, seed {seed}: loss per node {loss}, "
        f"{against_optimum(scores)}{notes}\nrun folder: {folder}"
    )


def _logged(folder: Path, kind: str | None, out: Path) -> AbstractContextManager[None]:
    if kind is None:
        return nullcontext()
    from ..interop.run_logs import check_kind, follow_logs

    try:
        check_kind(kind)  # at once, before anything is trained
    except ImportError as error:
        raise ValueError(str(error)) from error
    return follow_logs(folder, kind, out)


def _floor(scores: Mapping[str, Any]) -> str:
    floor = scores.get("entropy_floor")  # None: in folders of earlier versions
    return "" if floor is None else f" (entropy floor {floor:.6g})"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.6g}"
