"""Embeddings of run folders as files of other programs."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Graph

from ..disk.files import atomic_write
from ..runs.folder import RunDir
from ..runs.graph_arrays import graph_arrays, graph_of_arrays
from ..suggest import choose
from .run_logs import runs_in
from .word_vectors import write_word_vectors

RESULT = "embeddings.safetensors"


def export_run(folder: Path, form: str, out: Path, *, key: str = "embedding", overwrite: bool = False) -> list[Path]:
    """Write the array ``key`` of every finished run in ``folder``, with its graph, as ``form`` (FORMS): into the file
    ``out`` where there is one run and ``out`` has a suffix, else into files of the folder ``out`` named after
    ``folder`` and the run in it. Files that are there are left, unless ``overwrite``.

    word2vec: text, nodes by name, "_" for blanks in names. npy: the array alone, rows in node order. npz: embedding,
    nodes and the adjacency in CSR parts. graphml: columns as attributes v0, v1, ... of the nodes. pyg: tensors
    edge_index, edge_weight, x and num_nodes for ``Data(**torch.load(FILE))``, no pickled objects. Raises ValueError for
    an unknown ``form``, a folder without a finished run, runs without that array or without a graph, and before
    anything is written for a file that is there.
    """
    if form not in FORMS:
        raise ValueError(f"unknown format {form!r}; {choose(form, tuple(FORMS))}")
    runs = [run for run in runs_in(folder) if (run / RESULT).is_file()]
    if not runs:
        raise ValueError(f"{folder} holds no finished run: give the --out of fiedler train or fiedler compare")
    suffix, write = FORMS[form]
    if len(runs) > 1 and out.suffix:
        raise ValueError(f"{folder} holds {len(runs)} runs: give --out a folder, not the file {out}")
    files = [out] if out.suffix else [out / f"{name}{suffix}" for name in _names(folder, runs)]
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise ValueError(f"{there[0]} is there: pass --overwrite or another --out")
    for run, path in zip(runs, files, strict=True):
        embedding, graph = _read(run, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, graph, embedding)
    return files


def _names(folder: Path, runs: list[Path]) -> list[str]:
    """Of each run the names of ``folder`` and of the folders down to it, without those that hold nothing but runs."""
    first = folder.resolve().name
    for left_out in ({"runs"}, set()):
        paths = [[part for part in run.relative_to(folder).parts if part not in left_out] for run in runs]
        names = ["-".join([first, *parts]) for parts in paths]
        if len(set(names)) == len(names):
            break
    return names


def _read(path: Path, key: str) -> tuple[NDArray[Any], Graph]:
    run = RunDir.open(path)
    arrays = run.read_embeddings()
    if key not in arrays:
        raise ValueError(f"{path} has no array {key!r}; {choose(key, tuple(arrays), 'it has')}: choose one with --key")
    graph = graph_of_arrays(run.read_modes(), str(run.read_config().get("graph", path.name)))
    if graph is None:
        raise ValueError(
            f"{path} holds no graph beside its embedding (a run of fiedler paths or recall, or of an earlier version): "
            f"read {path / RESULT} with safetensors"
        )
    if len(arrays[key]) != graph.n:
        raise ValueError(
            f"array {key!r} of {path} has {len(arrays[key])} rows for {graph.n} nodes: choose another --key"
        )
    return arrays[key], graph


def _word2vec(path: Path, graph: Graph, embedding: NDArray[Any]) -> None:
    write_word_vectors(path, graph.nodes, embedding, blanks="_")


def _npy(path: Path, graph: Graph, embedding: NDArray[Any]) -> None:
    atomic_write(path, lambda stream: np.save(stream, embedding, allow_pickle=False))


def _npz(path: Path, graph: Graph, embedding: NDArray[Any]) -> None:
    arrays: dict[str, Any] = {name.replace("/", "_"): array for name, array in graph_arrays(graph).items()}
    atomic_write(path, lambda stream: np.savez(stream, embedding=embedding, **arrays))


def _graphml(path: Path, graph: Graph, embedding: NDArray[Any]) -> None:
    found = nx.from_scipy_sparse_array(graph.adjacency)
    found = nx.relabel_nodes(found, dict(enumerate(map(str, graph.nodes))))
    for name, row in zip(found.nodes, embedding.tolist(), strict=True):
        found.nodes[name].update({f"v{k}": float(value) for k, value in enumerate(row)})

    def write(stream: BinaryIO) -> None:
        text = io.BytesIO()
        nx.write_graphml(found, text)
        stream.write(text.getvalue())

    atomic_write(path, write)


def _pyg(path: Path, graph: Graph, embedding: NDArray[Any]) -> None:
    import torch

    arcs = graph.adjacency.tocoo()
    tensors = {
        "edge_index": torch.from_numpy(np.stack([arcs.row, arcs.col]).astype(np.int64)),
        "edge_weight": torch.from_numpy(arcs.data.copy()),
        "x": torch.from_numpy(np.ascontiguousarray(embedding, dtype=np.float32)),
        "num_nodes": graph.n,
    }
    atomic_write(path, lambda stream: torch.save(tensors, stream))


FORMS: dict[str, tuple[str, Callable[[Path, Graph, NDArray[Any]], None]]] = {
    "word2vec": (".w2v", _word2vec),
    "npy": (".npy", _npy),
    "npz": (".npz", _npz),
    "graphml": (".graphml", _graphml),
    "pyg": (".pt", _pyg),
}
