"""The command `fiedler score`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..extras import check_part
from ..tasks.make import make_task
from ..tasks.search import TIME_LIMIT, Search
from .completion import complete_graph
from .estimates import say_optimum
from .options import (
    Edges,
    InOutQ,
    Json,
    Optimum,
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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..tasks.task import Task


@with_reading
def score(
    graph: Annotated[
        str,
        typer.Argument(
            metavar="GRAPH_OR_FOLDER",
            help="The graph, as for fiedler theory; or, alone, the folder of a finished run of fiedler train, "
            "compare or "
            "the sharded command, whose scores are made and written into it.",
            autocompletion=complete_graph,
        ),
    ],
    embedding_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="EMBEDDING_FILE",
            help="A .npy, .npz, .safetensors or .pt file (tensors only), or word2vec text (.w2v, .vec, .txt), whose "
            "rows are matched to nodes by name.",
        ),
    ] = None,
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
    optimum: Optimum = None,
    tolerance: Tolerance = None,
    time_limit: TimeLimit = TIME_LIMIT,
    self_edges: SelfEdges = False,
    label_smoothing: Smoothing = 0.0,
    window: Window = 1,
    p: ReturnP = 1.0,
    q: InOutQ = 1.0,
    edges: Edges = "both",
    weights: Weights = "node",
    symmetrize: Symmetrize = False,
    json: Json = False,
    reading: Any = None,
) -> None:
    """Alignment of any embedding, trained by anyone, with the predictions for GRAPH; or the scores of a finished run
    that has none yet, from its folder alone."""
    from fiedler.theory import ReadOptions

    from ..disk.jsonio import to_json
    from ..runs.stopping import stop_on_signals
    from ..toplevel.embedding_scores import check_reference, scores_of
    from .progress import Stages
    from .tables import score_table

    search = Search(optimum, tolerance, time_limit)
    if embedding_file is None:
        if not Path(graph).is_dir():
            raise ValueError(
                f"what is to be scored? give an EMBEDDING_FILE after {graph}, or the folder of a finished run"
            )
        given = (rows, key, weight_decay, self_edges, label_smoothing, window, p, q, edges, weights, symmetrize)
        usual = (None, None, 0.0, False, 0.0, 1, 1.0, 1.0, "both", "node", False)
        if given != usual or reading != ReadOptions():
            raise ValueError(
                f"{graph} says itself what its run was: give only --no-optimum, --tolerance, --time-limit, --json"
            )
        _score_folder(Path(graph), search, json)
        return
    task = make_task(
        graph, symmetrize, self_edges, label_smoothing, window, p, q, edges=edges, weights=weights, reading=reading
    )
    embedding = _read(embedding_file, rows, key, task)
    check_reference(task, weight_decay, search)
    with Stages(transient=True) as stages, stop_on_signals() as stop:
        say_optimum(stages, search, [task])
        _, scores = scores_of(embedding, task, weight_decay, search, stages.watch(stop))
    answer = {**task.describe(), "file": str(embedding_file), **scores}
    if json:
        print(to_json(answer))
        return
    Console().print(score_table(answer))


def _score_folder(folder: Path, search: Search, json: bool) -> None:
    from .progress import Stages

    check_part("sims", "score FOLDER")
    from ..compare.folder import read_settings
    from ..compare.notes import run_notes
    from ..compare.score_folder import score_folder
    from ..disk.jsonio import to_json
    from ..models.registry import get_model
    from ..runs.folder import RunDir
    from ..runs.stopping import stop_on_signals
    from .tables import score_table

    with Stages(transient=True) as stages, stop_on_signals() as stop:
        scores = score_folder(folder, search, stages.watch(stop))
    if json:
        print(to_json(scores))
        return
    if "runs" not in scores:
        config = RunDir.open(folder).read_config()
        Console().print(score_table({**scores, "file": str(folder), "graph": config["graph"]}))
        for text in run_notes(read_settings(get_model(config["model"], earlier=True), config["settings"]), scores):
            print(text)
    print(f"scores: {folder / 'scores.json'}")


def _read(file: Path, rows: str | None, key: str | None, task: "Task") -> "NDArray[np.floating]":
    """The rows of the file that are the graph's nodes, in their order."""
    from ..disk.sums import read_sums, wrong_sum
    from ..interop.embedding_files import read_embedding, read_named_embedding
    from ..interop.node_rows import node_rows, select_rows
    from ..interop.word_vectors import rows_of_nodes

    if (wrong := wrong_sum(file.parent, file.name, read_sums(file.parent))) is not None:
        raise ValueError(f"{wrong}: make the run's results again with `fiedler train --resume`, or copy the file")
    names = None
    if key is None:
        names, stored = read_named_embedding(file)
    else:
        stored = read_embedding(file, key=key)
    chosen = None
    if rows is not None:
        chosen = node_rows(rows, task.graph.nodes)
    elif names is not None:
        chosen = rows_of_nodes(names, task.graph.nodes, str(file))
    return select_rows(stored, chosen, task.graph.n)
