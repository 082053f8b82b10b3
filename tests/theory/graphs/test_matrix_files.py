"""Sizes that a file's header says are checked against the file before anything is allocated."""

import io
import resource
import sys
import time
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory.graphs import matrix_files
from fiedler.theory.graphs.readers import read_graph
from fiedler.theory.graphs.reading import ReadOptions

ROOM = 2**29  # bytes that reading may map: the files are small, their promises are gigabytes
SECONDS = 5.0  # of processor time


@pytest.fixture(autouse=True)
def limited_memory():
    if sys.platform != "linux":
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as sizes:
        mapped = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM, before[1]))
    began = time.process_time()
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - began < SECONDS


def archive(file, arrays, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(file, "w", compression) as written:
        for key, value in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, value)
            written.writestr(f"{key}.npy", buffer.getvalue())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("%%MatrixMarket matrix coordinate real general\n2000000000 2000000000 1\n1 1 1.0\n", "2,000,000,000 nodes"),
        ("%%MatrixMarket matrix coordinate pattern symmetric\n9 9 2000000000\n1 1\n", "more than the file holds"),
        ("%%MatrixMarket matrix array real general\n60000 60000\n1\n", "more than the file holds"),
        ("%%MatrixMarket matrix array real symmetric\n60000 60000\n1\n", "more than the file holds"),
    ],
)
@pytest.mark.parametrize("name", ["g.mtx", "g.txt"])
def test_matrix_market_headers_are_not_believed(tmp_path, text, problem, name):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ValueError, match=problem) as error:
        read_graph(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.dimacs", "p edge 2000000000 1\ne 1 2\n"),
        ("g.net", "*vertices 2000000000\n1 \"a\"\n*edges\n"),
        ("g.s6", ">>sparse6<<:~~?A~~~~~\n"),
        ("g.g6", ">>graph6<<~~?A~~~~~\n"),
    ],
)  # fmt: skip
def test_other_headers_are_not_believed(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ValueError, match=r"g\.\w+'"):
        read_graph(file)


def test_npz_headers_are_not_believed(tmp_path):
    file = tmp_path / "g.npz"
    huge = {"format": np.array(b"coo"), "shape": np.array([2 * 10**9] * 2), "data": np.ones(1), "row": np.zeros(1, int),
            "col": np.zeros(1, int)}  # fmt: skip
    archive(file, huge)
    with pytest.raises(ValueError, match="2,000,000,000 nodes"):
        read_graph(file)
    archive(file, {**huge, "shape": np.array([3, 3])})
    with zipfile.ZipFile(file, "a") as written, written.open("more.npy", "w") as stream:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2 * 10**9,)})
        stream.write(head.getvalue())
    with pytest.raises(ValueError, match="more than the file holds"):
        read_graph(file)


def test_an_archive_of_zeros_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix_files, "_SMALL_ARCHIVE", 2**20)
    file = tmp_path / "g.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written, written.open("data.npy", "w") as stream:
        for _ in range(8):
            stream.write(bytes(2**20))
    with pytest.raises(ValueError, match="unpack to 8,388,608"):
        read_graph(file)


def test_large_sparse_files_that_are_honest_are_read(tmp_path):
    n = 50_000
    ring = sp.coo_array((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    sp.save_npz(tmp_path / "g.npz", sp.csr_array(ring + ring.T))
    graph = read_graph(tmp_path / "g.npz")
    assert (graph.n, graph.edge_count) == (n, n)
    (tmp_path / "g.mtx").write_text("%%MatrixMarket matrix coordinate pattern symmetric\n9 9 2\n2 1\n9 8\n")
    assert read_graph(tmp_path / "g.mtx").component_count == 7


def test_weights_may_be_left_out(tmp_path):
    (tmp_path / "g.mtx").write_text("%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n2 1 4\n3 2 0.5\n")
    graph = read_graph(tmp_path / "g.mtx", options=ReadOptions(weight=""))
    assert graph.adjacency.toarray().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert graph.reading.weights == "all 1"
    with pytest.raises(ValueError, match="is Matrix Market, which has no weight called 'cost'"):
        read_graph(tmp_path / "g.mtx", options=ReadOptions(weight="cost"))
