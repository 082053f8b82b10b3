"""The command `fiedler paths`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..foreign import visible
from ..models.options import chosen_settings
from ..paths.settings import OPTIONS, PathSettings
from ..runs.control import Restart, Watch
from .completion import choices, complete_paths_condition, complete_paths_preset
from .console import wide_console
from .estimates import print_path_estimates
from .options import CheckpointEvery, DryRun, Json, Overwrite, Resume, SideBySide, with_reading, with_settings

PRESET_HELP = (
    "cpu: in the weights, frozen, in the context (5 minutes on two idle cores). fig4, fig5, fig6, fig8, fig9, fig11, "
    "fig20, fig22, fig23: the paper's figures at a size for the CPU (3 to 10 minutes); fig19: 11 minutes. "
    "edge-targets: one neighbour drawn, or all of a node's. large: G(1000, 5), ten minutes. full-cpu: G(5000, 5), two "
    "small blocks, half an hour on one core. full: the same graph, 12 layers, one GPU."
)


@with_reading
@with_settings(PathSettings, OPTIONS, before="projection")
def paths(
    graph: Annotated[
        str | None,
        typer.Argument(
            metavar="GRAPH",
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
    projection: Annotated[
        str,
        typer.Option("--projection", help="Of the paths' figure: pca or umap.", autocompletion=choices("pca", "umap")),
    ] = "pca",
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu or cuda (default: the preset's).", autocompletion=choices("cpu", "cuda")),
    ] = None,
    jobs: SideBySide = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    dry_run: DryRun = False,
    json: Json = False,
    reading: Any = None,
    **settings: Any,
) -> None:
    """Path finding from memory: a model memorises a star's edges and some root-to-leaf paths, and is asked for others.

    Held-out: the path of a leaf whose path was never shown (its edges were). The hard token is the first after the
    root; guessing it is right once in as many times as there are arms. Controls: frozen embeddings, and a fresh graph
    in each prompt. Options apply to every condition of the preset; left out, each has its own.
    """
    from fiedler.theory import parse

    from ..disk.jsonio import to_json
    from ..paths.geometry import check_projection
    from ..paths.presets import get_preset
    from ..runs.conditions import choose_conditions

    restart = Restart(overwrite, resume, checkpoint_every)
    chosen = get_preset(preset)
    check_projection(projection)
    changes = chosen_settings(PathSettings, OPTIONS, settings)
    frozen = changes.get("frozen", False)
    conditions = choose_conditions(
        chosen.conditions, changes, only=only, leave_out=lambda settings: frozen and settings.in_context
    )
    if not conditions:
        raise ValueError("no condition is left: frozen embeddings are a control of in-weights runs; leave --frozen out")
    word = graph or chosen.graph
    found = parse(word, options=reading)
    place = device or chosen.device
    folder = out or Path("runs") / f"paths-{preset}-{_folder(found.name)}"
    numbers = range(seeds or chosen.seeds)
    if dry_run:
        print_path_estimates(found, conditions, numbers, folder, place, jobs, json)
        return
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
    restart: Restart,
) -> tuple[dict[str, Any], list[Path]]:  # fmt: skip
    from ..paths.run import run_paths
    from ..paths.show.output import write_paths
    from ..runs.stopping import stop_on_signals
    from .progress import Stages

    with Stages() as stages, stop_on_signals() as stop:
        result = run_paths(
            graph, conditions, seeds, folder, device=device, jobs=jobs, restart=restart,
            watch=Watch(stages.update, stop),
        )  # fmt: skip
        stages.update("figures", 0.0)
        answer, written = write_paths(result, title, projection)
        stages.update("figures", 1.0)
    return answer, written


def _print_table(answer: dict[str, Any]) -> None:
    from ..draw.fitted import fitted_tables
    from ..draw.over_seeds import legend
    from ..paths.show.report import loss_lines, path_rows

    header, rows = path_rows(answer)
    console = wide_console()
    title = visible(f"{answer['graph']}, chance {answer['chance']:.3g}")
    tables = fitted_tables(title, header, rows, console.width)
    console.print(*tables, *loss_lines(answer), *legend(rows), sep="\n", markup=False)
