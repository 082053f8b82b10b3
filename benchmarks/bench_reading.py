"""From an edge list on disk to an adjacency matrix: read_graph, beside NetworkX's reader (of a tenth of the lines) and
pandas' and SciPy's calls for a file that is known to be clean, which is the floor: no names checked, no graph made.
Seconds of processor time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import scipy.sparse as sp

from fiedler.theory import read_graph
from interleave import interleave, row, write_results

OURS, NETWORKX, FLOOR = "fiedler", "networkx", "pandas and scipy, unchecked"
LINES, NODES, PART, ROUNDS = 1_000_000, 500_000, 0.1, 3


def _write(file: Path, kind: str, count: int) -> Path:
    random = np.random.default_rng(0)
    ends = random.integers(0, NODES, (count, 2)).tolist()
    if kind == "integers":
        text = "".join(f"{u} {v}\n" for u, v in ends)
    else:
        weights = random.random(count).tolist()
        text = "source,target,weight\n" + "".join(
            f"user{u},user{v},{w!r}\n" for (u, v), w in zip(ends, weights, strict=True)
        )
    file.write_text(text)
    return file


def _ways(kind: str, file: Path, part: Path) -> dict[str, Callable[[], object]]:
    words = kind != "integers"
    mark = "," if words else " "

    def floor() -> object:
        frame = pd.read_csv(file, sep=mark, header=0 if words else None)
        columns = list(frame.columns)
        codes, names = pd.factorize(pd.concat([frame[columns[0]], frame[columns[1]]], ignore_index=True))
        weights = frame[columns[2]].to_numpy() if words else np.ones(len(frame))
        found = sp.coo_array((weights, (codes[: len(frame)], codes[len(frame) :])), shape=(len(names), len(names)))
        return sp.csr_array(found + found.T)

    def networkx() -> object:
        with part.open() as lines:
            if words:
                next(lines)
            typed = {"data": (("weight", float),)} if words else {"nodetype": int}
            return nx.to_scipy_sparse_array(nx.parse_edgelist(lines, delimiter=mark, **typed))

    return {OURS: lambda: read_graph(file), NETWORKX: networkx, FLOOR: floor}


def test_reading(tmp_path: Path) -> None:
    rows = []
    for kind in ("integers", "words and weights"):
        file = _write(tmp_path / "edges.csv", kind, LINES)
        part = _write(tmp_path / "part.csv", kind, int(PART * LINES))
        ways = _ways(kind, file, part)
        timings = interleave(ways, rounds=ROUNDS, share={NETWORKX: PART}, clock=time.process_time)
        size = file.stat().st_size
        rate = size / 1e6 / (timings[OURS].median_ms / 1e3)
        rows.append(row(f"edge list of {kind}", OURS, timings, lines=LINES, bytes=size, megabytes_a_second=rate))
    write_results("reading", rows)
