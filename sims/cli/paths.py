"""The command `fiedler paths`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .completion import choices, complete_paths_condition, complete_paths_preset
from .options import MAX_STEPS, CheckpointEvery, DryRun, Json, Overwrite, Resume, check_restart
from .progress import Stages

FILE_WIDTH = 190  # columns of the table where standard output is no terminal
PRESET_HELP = (
    "cpu: in the weights, frozen, in the context (5 minutes on two idle cores). fig4, fig5, fig6, fig8, fig9, fig11, "
    "fig20, fig22, fig23: the paper's figures at a size for the CPU (3 to 10 minutes); fig19: 11 minutes. "
    "full: G(5000, 5), 12 layers, one GPU."
)


def paths(
    graph: Annotated[
        str | None,
        typer.Argument(
            metavar="[GRAPH]",
            help="path-star:ARMSxLENGTH or tree-star:ARMSxLENGTH (default: the preset's).",
            autocompletion=choices("path-star:100x5", "tree-star:32x4"),
        ),
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help=PRESET_HELP, autocompletion=complete_paths_preset)] = "cpu",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Run this condition of the preset alone. Repeatable.",
            autocompletion=complete_paths_condition,
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Seeds 0, 1, ... (default: the preset's).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder (default runs/paths-PRESET-GRAPH).")] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="gpt2, gpt-neox, llama, mamba, ... or a config file of transformers.",
            autocompletion=choices("gpt2", "gpt-neox", "llama", "mamba"),
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option("--layers", min=1, help="Blocks.")] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Embedding dimension.")] = None,
    heads: Annotated[int | None, typer.Option("--heads", min=1, help="Attention heads.")] = None,
    pause: Annotated[
        int | None, typer.Option("--pause", min=0, help="[PAUSE] tokens between the leaf and its path.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="mixed (edges and paths), staged (edges first) or edges.",
            autocompletion=choices("mixed", "staged", "edges"),
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            help="full path, or hardest: the first node after the root alone.",
            autocompletion=choices("full", "hardest"),
        ),
    ] = None,
    edges: Annotated[
        str | None,
        typer.Option(
            "--edges",
            help="both, forward (away from the root) or backward.",
            autocompletion=choices("both", "forward", "backward"),
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="forward (root to leaf) or reverse.", autocompletion=choices("forward", "reverse")),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Hold out by leaf, or whole arms: first-token (tree-stars).",
            autocompletion=choices("leaf", "first-token"),
        ),
    ] = None,
    teacherless: Annotated[
        bool, typer.Option("--teacherless", help="Hide the targets from the model: '$' in their place.")
    ] = False,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Keep token embeddings as drawn (associative memory) in every condition.")
    ] = False,
    steps: Annotated[int | None, typer.Option("--steps", min=1, max=MAX_STEPS, help="Training steps.")] = None,
    edge_batch: Annotated[int | None, typer.Option("--edge-batch", min=1, help="Edges a step.")] = None,
    path_batch: Annotated[int | None, typer.Option("--path-batch", min=1, help="Paths a step.")] = None,
    context_arms: Annotated[
        int | None, typer.Option("--context-arms", min=2, help="Arms of the graphs in prompts (in-context conditions).")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Peak step size.")] = None,
    weight_decay: Annotated[float | None, typer.Option("--weight-decay", help="Weight decay of AdamW.")] = None,
    init_std: Annotated[float | None, typer.Option("--init-std", help="Standard deviation of initial weights.")] = None,
    records: Annotated[int | None, typer.Option("--records", min=1, help="How often a run is measured.")] = None,
    projection: Annotated[
        str,
        typer.Option("--projection", help="Of the paths' figure: pca or umap.", autocompletion=choices("pca", "umap")),
    ] = "pca",
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu or cuda (default: the preset's).", autocompletion=choices("cpu", "cuda")),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side, a thread each (default: all CPUs).")
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Path finding from memory: a model memorises a star's edges and some root-to-leaf paths, and is asked for others.

    Held-out: the path of a leaf whose path was never shown (its edges were). The hard token is the first after the
    root; guessing it is right once in as many times as there are arms. Controls: frozen embeddings, and a fresh graph
    in each prompt. Options apply to every condition of the preset; left out, each has its own.
    """
    from fiedler.theory import parse

    from ..disk.jsonio import to_json
    from ..paths.geometry import check_projection
    from ..paths.presets import choose_conditions, get_preset

    check_restart(overwrite, resume)
    chosen = get_preset(preset)
    check_projection(projection)
    given: dict[str, Any] = {
        "arch": arch, "layers": layers, "width": width, "heads": heads, "pause": pause, "recipe": recipe,
        "objective": objective, "edges": edges, "task": task, "split": split, "teacherless": teacherless or None,
        "steps": steps, "edge_batch": edge_batch, "path_batch": path_batch, "context_arms": context_arms,
        "learning_rate": learning_rate, "weight_decay": weight_decay, "init_std": init_std, "records": records,
    }  # fmt: skip
    conditions = choose_conditions(chosen.conditions, given, only=only, frozen=frozen)
    word = graph or chosen.graph
    found = parse(word)
    place = device or chosen.device
    folder = out or Path("runs") / f"paths-{preset}-{_folder(found.name)}"
    numbers = range(seeds or chosen.seeds)
    if dry_run:
        _print_estimate(found, conditions, numbers, folder, place, jobs, json)
        return
    restart = {"overwrite": overwrite, "resume": resume, "checkpoint_every": checkpoint_every}
    title = f"{preset}: {chosen.about}"
    answer, written = _run(found, conditions, numbers, folder, place, jobs, projection, title, restart)
    if json:
        print(to_json(answer))
        return
    _print_table(answer)
    for path in written:
        print(f"written: {path}")


def _folder(name: str) -> str:
    from ..disk.files import folder_name

    return folder_name(name)


def _run(
    graph: Any, conditions: Any, seeds: range, folder: Path, device: str, jobs: int | None, projection: str, title: str,
    options: dict[str, Any],
) -> tuple[dict[str, Any], list[Path]]:  # fmt: skip
    from ..paths.run import run_paths
    from ..paths.show.output import write_paths
    from ..runs.stopping import stop_on_signals

    with Stages() as stages, stop_on_signals() as stop:
        result = run_paths(
            graph, conditions, seeds, folder, device=device, jobs=jobs, stop=stop,
            on_progress=lambda fraction: stages.update("training", fraction), **options,
        )  # fmt: skip
        stages.update("figures", 0.0)
        answer, written = write_paths(result, title, projection)
        stages.update("figures", 1.0)
    return answer, written


def _print_estimate(
    graph: Any, conditions: Any, seeds: range, folder: Path, device: str, jobs: int | None, json: bool
) -> None:
    from ..disk.jsonio import to_json
    from ..paths.estimate import estimate_paths

    estimates = estimate_paths(graph, conditions, seeds, folder, device=device, jobs=jobs)
    if json:
        print(to_json({"estimates": [dataclasses.asdict(one) for one in estimates]}))
        return
    for one in estimates:
        print(one.text)


def _print_table(answer: dict[str, Any]) -> None:
    from ..draw.over_seeds import legend
    from ..paths.show.report import path_rows

    header, rows = path_rows(answer)
    table = Table(title=f"{answer['graph']}, chance {answer['chance']:.3g}", title_justify="left")
    for title in header:
        table.add_column(title)
    for row in rows:
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=FILE_WIDTH)).print(table, *legend(rows), sep="\n", markup=False)
