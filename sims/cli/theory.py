"""The command `fiedler theory`."""

from typing import Annotated, Any

import typer
from rich.console import Console

from ..tasks.make import make_task
from ..tasks.search import TIME_LIMIT, Search
from .completion import choices
from .options import (
    Edges,
    GraphWord,
    InOutQ,
    Json,
    ReturnP,
    SelfEdges,
    Smoothing,
    Symmetrize,
    TimeLimit,
    Tolerance,
    Weights,
    Window,
    with_reading,
)


@with_reading
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
            "--laplacian",
            help="combinatorial, symmetric, random-walk or symmetrized-random-walk (the theory's modes).",
            autocompletion=choices("combinatorial", "symmetric", "random-walk", "symmetrized-random-walk"),
        ),
    ] = "symmetrized-random-walk",
    until: Annotated[
        float | None,
        typer.Option("--until", help="Also the exact flow from K(0) up to this time (learning rate x steps)."),
    ] = None,
    modes: Annotated[
        int | None,
        typer.Option(
            "--modes",
            min=1,
            help="Only so many eigenvalues, whole eigenspaces, counted; 64 above 6,000 nodes without a closed form.",
        ),
    ] = None,
    top: Annotated[bool, typer.Option("--top", help="With --modes: the highest eigenvalues.")] = False,
    optimum: Annotated[
        bool, typer.Option("--optimum/--no-optimum", help="Optimum and early phase, which take longest.")
    ] = True,
    tolerance: Tolerance = None,
    time_limit: TimeLimit = TIME_LIMIT,
    width: Annotated[
        int | None, typer.Option("--width", help="With --until: how runs of this embedding dimension scatter.")
    ] = None,
    rivals: Annotated[
        bool, typer.Option("--rivals", help="How far PMI, QWEM, support SVD and Laplacian coordinates are off.")
    ] = False,
    storage: Annotated[
        bool, typer.Option("--storage", help="Bits and norms of associative and geometric memory of GRAPH.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also what was understood of GRAPH's file.")] = False,
    window: Window = 1,
    p: ReturnP = 1.0,
    q: InOutQ = 1.0,
    edges: Edges = "both",
    weights: Weights = "node",
    symmetrize: Symmetrize = False,
    json: Json = False,
    reading: Any = None,
) -> None:
    """Spectrum, optimum with certificate, and predicted mode times of Node2Vec on GRAPH, which may have a million nodes
    where a closed form or its symmetry helps. Ctrl-C prints what is found by then."""
    from ..disk.jsonio import to_json
    from ..predict.describe import describe_theory
    from ..runs.stopping import Interrupted, stop_on_signals
    from .progress import Stages
    from .tables import theory_tables

    search, answer, interrupt = Search(True, tolerance, time_limit), dict[str, Any](), None

    task = make_task(
        graph,
        symmetrize,
        self_edges,
        label_smoothing,
        window,
        p,
        q,
        edges=edges,
        weights=weights,
        dense=False,
        reading=reading,
    )
    with Stages(transient=True) as stages, stop_on_signals() as stop:
        try:
            describe_theory(
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
                search=search,
                watch=stages.watch(stop),
                answer=answer,
            )
        except Interrupted as error:
            interrupt = Interrupted(f"{error}: what was found by then is printed")
    if json:
        print(to_json({**answer, "interrupted": True} if interrupt else answer))
    elif "spectrum" in answer:
        for table in theory_tables(answer, verbose=verbose):
            Console().print(table)
    if interrupt is not None:
        raise interrupt
