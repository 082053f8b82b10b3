"""The command `fiedler score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..tasks.make import make_task
from .options import (
    Edges,
    GraphWord,
    InOutQ,
    Json,
    ReturnP,
    SelfEdges,
    Smoothing,
    Symmetrize,
    Weights,
    Window,
)
from .progress import Stages


def score(
    graph: GraphWord,
    embedding_file: Annotated[
        Path,
        typer.Argument(
            metavar="EMBEDDING_FILE",
            help="A .npy, .npz, .safetensors or .pt file (tensors only), or word2vec text (.w2v, .vec, .txt), whose "
            "rows are matched to nodes by name.",
        ),
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
    edges: Edges = "both",
    weights: Weights = "node",
    symmetrize: Symmetrize = False,
    json: Json = False,
) -> None:
    """Alignment of any embedding, trained by anyone, with the predictions for GRAPH."""
    from fiedler.theory import tied_optimum

    from ..disk.jsonio import to_json
    from ..disk.sums import read_sums, wrong_sum
    from ..interop.embedding_files import read_embedding, read_named_embedding
    from ..interop.node_rows import node_rows, select_rows
    from ..interop.word_vectors import rows_of_nodes
    from ..scores.embedding import score_embedding
    from .tables import score_table

    task = make_task(graph, symmetrize, self_edges, label_smoothing, window, p, q, edges=edges, weights=weights)
    if (wrong := wrong_sum(embedding_file.parent, embedding_file.name, read_sums(embedding_file.parent))) is not None:
        raise ValueError(f"{wrong}: make the run's results again with `fiedler train --resume`, or copy the file")
    names = None
    if key is None:
        names, stored = read_named_embedding(embedding_file)
    else:
        stored = read_embedding(embedding_file, key=key)
    chosen = None
    if rows is not None:
        chosen = node_rows(rows, task.graph.nodes)
    elif names is not None:
        chosen = rows_of_nodes(names, task.graph.nodes, str(embedding_file))
    embedding = select_rows(stored, chosen, task.graph.n)
    with Stages(transient=True) as stages:
        stages.update("optimum", 0.0)
        optimum = tied_optimum(task.target, weight_decay=weight_decay, row_weight=task.row_weight)
        stages.update("optimum", 1.0)
        stages.update("scores", 0.0)
        scores = score_embedding(embedding, task, optimum)
        stages.update("scores", 1.0)
    answer = {**task.describe(), "file": str(embedding_file), "dimension": embedding.shape[1], **scores}
    if json:
        print(to_json(answer))
        return
    Console().print(score_table(answer))
