"""The command line: fiedler theory | compare | train | score | profile.

Bad input ends in one line on standard error and exit code 2, a failed computation in one line and exit code 1.
``--json`` prints one JSON object on standard output and nothing else; progress goes to standard error, and only to a
terminal.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from .cli_profile import profile
from .progress import Stages

# click's base class of bad options and arguments; newer typers carry their own copy of click, so it is asked for here.
UsageError: type[Any] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="fiedler",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="What softmax embeddings of a graph should converge to, and what real training runs do.",
)

MAX_STEPS = 10**9  # far beyond what finishes; keeps step counts inside 64-bit integers

INTERRUPTED = 130

GraphWord = Annotated[
    str,
    typer.Argument(
        metavar="GRAPH",
        help="A graph word (cycle:15, path-star:4x5, tree-star:4x5, grid:4x4, torus:6x6, hypercube:6, hamming:3,3, "
        "tree:3,4, irregular, petersen, karate, les-miserables, florentine, davis) or a file: edge list, .graphml, "
        ".gml, .mtx, .npz.",
    ),
]
Symmetrize = Annotated[bool, typer.Option("--symmetrize", help="Read a directed file as undirected: A + A'.")]
SelfEdges = Annotated[bool, typer.Option("--self-edges", help="Add each node to its own targets.")]
Smoothing = Annotated[float, typer.Option("--label-smoothing", help="Mix the target with the uniform one, in [0, 1).")]
Window = Annotated[int, typer.Option("--window", min=1, help="Predict contexts within so many steps of a random walk.")]
ReturnP = Annotated[float, typer.Option("--p", help="Return parameter of the node2vec walk.")]
InOutQ = Annotated[float, typer.Option("--q", help="In-out parameter of the node2vec walk.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the output folder.")]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, max=MAX_STEPS, help="Training steps (default: the model's).")
]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="Step size (default: the model's).")]
Width = Annotated[int | None, typer.Option("--width", help="Embedding dimension (default: the model's).")]
InitStd = Annotated[float | None, typer.Option("--init-std", help="Standard deviation of initial weights.")]
Decay = Annotated[float | None, typer.Option("--weight-decay", help="Weight decay of the training runs.")]
MODEL_HELP = "node2vec, node2vec-untied or transformer."


@app.command()
def theory(
    graph: GraphWord,
    tied: Annotated[bool, typer.Option("--tied/--untied", help="Logits V V' or V U'.")] = True,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Weight decay of the objective, >= 0.")] = 0.0,
    self_edges: SelfEdges = False,
    label_smoothing: Smoothing = 0.0,
    init_scale: Annotated[
        float, typer.Option("--init-scale", help="s of K(0) = s^2 I for the mode times, < 1.")
    ] = 0.01,
    laplacian: Annotated[
        str,
        typer.Option(
            "--laplacian", help="combinatorial, symmetric, random-walk or symmetrized-random-walk (the theory's modes)."
        ),
    ] = "symmetrized-random-walk",
    until: Annotated[
        float | None,
        typer.Option("--until", help="Also the exact flow from K(0) up to this time (learning rate x steps)."),
    ] = None,
    modes: Annotated[
        int | None,
        typer.Option("--modes", min=1, help="Only so many eigenvalues, whole eigenspaces, counted: for large graphs."),
    ] = None,
    top: Annotated[bool, typer.Option("--top", help="With --modes: the highest eigenvalues.")] = False,
    optimum: Annotated[
        bool, typer.Option("--optimum/--no-optimum", help="Optimum and early phase, which limit the size.")
    ] = True,
    width: Annotated[
        int | None, typer.Option("--width", help="With --until: how runs of this embedding dimension scatter.")
    ] = None,
    rivals: Annotated[
        bool, typer.Option("--rivals", help="How far PMI, QWEM, support SVD and Laplacian coordinates are off.")
    ] = False,
    storage: Annotated[
        bool, typer.Option("--storage", help="Bits and norms of associative and geometric memory of GRAPH.")
    ] = False,
    window: Window = 1,
    p: ReturnP = 1.0,
    q: InOutQ = 1.0,
    symmetrize: Symmetrize = False,
    json: Json = False,
) -> None:
    """Spectrum, optimum with certificate, and predicted mode times of Node2Vec on GRAPH, which may have a million nodes
    where a closed form or its symmetry helps."""
    from .jsonio import to_json
    from .predictions_json import describe_theory
    from .tables import theory_tables

    task = _task(graph, symmetrize, self_edges, label_smoothing, window, p, q, dense=False)
    answer = describe_theory(
        task,
        tied=tied,
        weight_decay=weight_decay,
        init_scale=init_scale,
        laplacian=laplacian,
        until=until,
        modes=modes,
        top=top,
        optimum=optimum,
        width=width,
        rivals=rivals,
        storage=storage,
    )
    if json:
        print(to_json(answer))
        return
    for table in theory_tables(answer):
        Console().print(table)


@app.command()
def compare(
    graph: GraphWord,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help=f"{MODEL_HELP} Repeatable.")] = None,
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
    symmetrize: Symmetrize = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Prediction against runs: train each model over seeds and draw theory and experiment in one figure.

    Settings given here apply to every model; leave them out for each model's own defaults.
    """
    from .compare import compare as run_comparison
    from .compare import describe_comparison
    from .jsonio import to_json
    from .models import get_model
    from .plots import plot_comparison, save_figure
    from .report import comparison_markdown
    from .rundir import write_text
    from .tables import comparison_table

    task = _task(graph, symmetrize, self_edges, label_smoothing, window, p, q)
    overrides = _overrides(steps, learning_rate, width, init_std, weight_decay)
    chosen = [get_model(name) for name in (model or ["node2vec", "transformer"])]
    settings = [(one, one.make_settings(**overrides)) for one in chosen]
    folder = out or Path("runs") / _folder_name(task.graph.name)
    with Stages() as stages:
        result = run_comparison(
            task, settings, range(seeds), out=folder, overwrite=overwrite, on_progress=stages.update
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


@app.command()
def train(
    graph: GraphWord,
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)] = "node2vec",
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
    symmetrize: Symmetrize = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """One training run of one model into one run folder."""
    from fiedler.theory import tied_optimum

    from .jsonio import to_json
    from .models import get_model
    from .rundir import RunDir
    from .scores import score_embedding, score_logits
    from .train import run_seeds

    task = _task(graph, symmetrize, self_edges, label_smoothing, window, p, q)
    chosen = get_model(model)
    settings = chosen.make_settings(**_overrides(steps, learning_rate, width, init_std, weight_decay))
    folder = out or Path("runs") / f"{_folder_name(task.graph.name)}-{model}-seed{seed}"
    with Stages() as stages:
        (run,) = run_seeds(
            task,
            chosen,
            settings,
            [seed],
            folder=lambda _: folder,
            overwrite=overwrite,
            on_progress=lambda fraction: stages.update(chosen.title, fraction),
        )
        stages.update("scores", 0.0)
        scores = {
            "model": model,
            "seed": seed,
            "loss_per_node": float(run.modes.loss[-1]),
            **score_embedding(run.final.embedding, task, tied_optimum(task.target)),
            **score_logits(run.final.logits, task),
        }
        stages.update("scores", 1.0)
    RunDir.open(folder).write_scores(scores)
    if json:
        print(to_json(scores))
        return
    print(
        f"{chosen.title} on {task.graph.name}, seed {seed}: loss per node {scores['loss_per_node']:.6f}, "
        f"gram_error {scores['gram_error']:.4f}, fiedler_score {scores['fiedler_score']:.4f}\nrun folder: {folder}"
    )


@app.command()
def score(
    graph: GraphWord,
    embedding_file: Annotated[
        Path, typer.Argument(metavar="EMBEDDING_FILE", help="A .npy, .npz, .safetensors or .pt file (tensors only).")
    ],
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            help="Which rows are the graph's nodes, in node order: '0:15', '3,5,7', or a file with one row number a "
            "line or lines 'NODE ROW'. Needed when the file has more rows than the graph has nodes.",
        ),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Which array of a file that holds several.")] = None,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Weight decay of the predicted optimum.")] = 0.0,
    self_edges: SelfEdges = False,
    label_smoothing: Smoothing = 0.0,
    window: Window = 1,
    p: ReturnP = 1.0,
    q: InOutQ = 1.0,
    symmetrize: Symmetrize = False,
    json: Json = False,
) -> None:
    """Alignment of any embedding, trained by anyone, with the predictions for GRAPH."""
    from fiedler.theory import tied_optimum

    from .embedding_files import read_embedding
    from .jsonio import to_json
    from .node_rows import node_rows, select_rows
    from .scores import score_embedding
    from .tables import score_table

    task = _task(graph, symmetrize, self_edges, label_smoothing, window, p, q)
    stored = read_embedding(embedding_file, key=key)
    chosen = None if rows is None else node_rows(rows, task.graph.nodes)
    embedding = select_rows(stored, chosen, task.graph.n)
    optimum = tied_optimum(task.target, weight_decay=weight_decay)
    answer = {
        **task.describe(),
        "file": str(embedding_file),
        "dimension": embedding.shape[1],
        **score_embedding(embedding, task, optimum),
    }
    if json:
        print(to_json(answer))
        return
    Console().print(score_table(answer))


app.command()(profile)


def _task(
    graph: str,
    symmetrize: bool,
    self_edges: bool,
    label_smoothing: float,
    window: int,
    p: float,
    q: float,
    *,
    dense: bool = True,
) -> Any:
    """The task of a command; with ``dense`` its target is built, which says at once whether it can be."""
    from fiedler.theory import parse
    from fiedler.theory.optimum import check_size

    from .tasks import Task

    task = Task(parse(graph, symmetrize=symmetrize), self_edges, label_smoothing, window, p, q)
    if dense:
        check_size(task.graph.n)  # these commands need the dense optimum; said before a target fills the memory
        _ = task.target  # an impossible target is bad input, to be said before anything is made
    return task


def _overrides(
    steps: int | None,
    learning_rate: float | None,
    width: int | None,
    init_std: float | None,
    weight_decay: float | None,
) -> dict[str, Any]:
    return {
        "steps": steps,
        "learning_rate": learning_rate,
        "width": width,
        "init_std": init_std,
        "weight_decay": weight_decay,
    }


def _folder_name(graph: str) -> str:
    """The graph's name (a file's name without its folder) as a folder name: cycle:15 -> cycle-15."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in graph)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 2 bad input, 1 failure, 130 interrupted."""
    command = typer.main.get_command(app)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = command.main(given or ["--help"], prog_name="fiedler", standalone_mode=False)
        if code == INTERRUPTED:  # newer typers turn Ctrl-C into this exit code without a word
            return _say("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else 0
    except typer.Exit as error:
        return int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except UsageError as error:
        return _say(f"{error.format_message().rstrip('.')}. See 'fiedler --help'.", 2)
    except (ValueError, TypeError) as error:
        return _say(str(error), 2)
    except (RuntimeError, FloatingPointError, OSError, MemoryError) as error:
        return _say(str(error) or type(error).__name__, 1)


def _say(message: str, code: int) -> int:
    print(f"fiedler: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
