"""Options that several commands share, and what they mean."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from ..models.options import MAX_STEPS, Option, setting_types
from ..tasks.search import OPTIMUM_NODES
from .completion import choices, complete_graph

GRAPH_HELP = (
    "A graph word (cycle:15, path-star:4x5, tree-star:4x5, grid:4x4, torus:6x6, hypercube:6, hamming:3,3, tree:3,4, "
    "random:50,75,0, irregular, petersen, karate, les-miserables, florentine, davis) or a file: edge list, .graphml, "
    ".gml, .mtx, .npz, .adjlist, .metis, Pajek, DIMACS."
)
GraphWord = Annotated[str, typer.Argument(metavar="GRAPH", help=GRAPH_HELP, autocompletion=complete_graph)]
Symmetrize = Annotated[bool, typer.Option("--symmetrize", help="Read a directed file as undirected: A + A'.")]
SelfEdges = Annotated[bool, typer.Option("--self-edges", help="Add each node to its own targets.")]
Smoothing = Annotated[float, typer.Option("--label-smoothing", help="Mix the target with the uniform one, in [0, 1).")]
Window = Annotated[int, typer.Option("--window", min=1, help="Predict contexts within so many steps of a random walk.")]
ReturnP = Annotated[float, typer.Option("--p", help="Return parameter of the node2vec walk.")]
InOutQ = Annotated[float, typer.Option("--q", help="In-out parameter of the node2vec walk.")]
Edges = Annotated[
    str,
    typer.Option(
        "--edges",
        help="Training lines: both directions, only forward (away from the root), or backward.",
        autocompletion=choices("both", "forward", "backward"),
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        help="What counts the same in the loss: every node, or every training line.",
        autocompletion=choices("node", "line"),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the output folder.")]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, max=MAX_STEPS, help="Training steps (default: the model's).")
]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="Step size (default: the model's).")]
Width = Annotated[int | None, typer.Option("--width", help="Embedding dimension (default: the model's).")]
InitStd = Annotated[float | None, typer.Option("--init-std", help="Standard deviation of initial weights.")]
Decay = Annotated[float | None, typer.Option("--weight-decay", help="Weight decay of the training runs.")]
MODEL_HELP = (
    "node2vec, node2vec-untied, one-layer, linear, mlp, transformer, mamba, associative, associative-fast, or "
    "hf:ARCHITECTURE or hf:CONFIG_FILE of transformers; a colon before its own settings: "
    "transformer:layer_norm=false,heads=2."
)
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder, or start where none is.")
]
SideBySide = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side, a thread each (default: all CPUs).")
]
Workers = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Processes, or workers (default: one for each CPU).")
]
BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        help="local (this machine), or the workers of dask or ray.",
        autocompletion=choices("local", "dask", "ray"),
    ),
]
Address = Annotated[
    str | None, typer.Option("--address", help="Of a running Dask scheduler or Ray cluster (default: a local one).")
]
CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-every",
        help="Seconds between checkpoints, 0 for every few steps (default: 30, more where writing takes long).",
    ),
]
Optimum = Annotated[
    bool | None,
    typer.Option(
        "--optimum/--no-optimum",
        help=f"Score against the certified optimum (default: up to {OPTIMUM_NODES} nodes).",
        show_default=False,
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option("--tolerance", help="Relative duality gap at which the optimum is good enough (default: by size)."),
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", help="Seconds for the optimum; it then comes with the gap that is left.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate time, memory and disk; train and write nothing.")]


Command = TypeVar("Command", bound=Callable[..., None])

# How the file of a graph is read, as the fields of ``theory.ReadOptions``.
READING: Mapping[str, Any] = {
    "delimiter": Annotated[
        str | None,
        typer.Option("--delimiter", help="What separates the fields of an edge list: one character, tab or space."),
    ],
    "header": Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header", help="Whether the first line of an edge list names columns.", show_default=False
        ),
    ],
    "comments": Annotated[
        str | None,
        typer.Option(
            "--comments", help="Characters that start a comment, at the start of a line or after a blank (default: #%)."
        ),
    ],
    "weight": Annotated[
        str | None,
        typer.Option("--weight", help="Column or attribute of the edges' weights (default: weight); '' for none."),
    ],
}


def with_reading(command: Command) -> Command:
    """Give a command the options of READING, listed before --json; it receives them as the keyword ``reading``."""
    from_hints = typing.get_type_hints(command, include_extras=True)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        from fiedler.theory import ReadOptions

        said = {name: value for name in READING if (value := given.pop(name)) is not None}
        command(**given, reading=ReadOptions(**said))

    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name == "json":
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            parameters += [inspect.Parameter(name, kind, default=None, annotation=READING[name]) for name in READING]
        if parameter.name != "reading" and parameter.kind is not parameter.VAR_KEYWORD:
            parameters.append(parameter.replace(annotation=from_hints[parameter.name]))
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return typing.cast(Command, run)


def with_settings(settings: type, options: Mapping[str, Option], before: str) -> Callable[[Command], Command]:
    """Give a command the ``options`` of ``settings``, in the order of the table and listed before the parameter
    ``before``; it receives them as keyword arguments."""

    def decorate(command: Command) -> Command:
        hints = typing.get_type_hints(command, include_extras=True)
        types = setting_types(settings)
        parameters = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == before:
                parameters += [_parameter(setting, option, types) for setting, option in options.items()]
            if parameter.kind is not parameter.VAR_KEYWORD:
                parameters.append(parameter.replace(annotation=hints[parameter.name]))
        # typer reads a command's signature and annotations, and calls it with keywords alone.
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def _parameter(setting: str, option: Option, types: Mapping[str, type]) -> inspect.Parameter:
    name, kind = option.name or setting, option.kind or types[setting]
    flags = [f"--{name.replace('_', '-')}", *([option.short] if option.short else [])]
    offered = choices(*option.choices) if option.choices else None
    declared = typer.Option(*flags, help=option.help, min=option.least, max=option.most, autocompletion=offered)
    flag = kind is bool
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=False if flag else None,
        annotation=Annotated[kind if flag else kind | None, declared],
    )


def setting_overrides(
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
