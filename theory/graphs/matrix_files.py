"""Matrix Market and SciPy's sparse .npz. Sizes are checked against what the file holds before anything is allocated.

Nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse as sp

from .graph import Graph, from_dense, from_sparse
from .pairs import check_node_count
from .reading import Reading, ReadOptions, check_options, named, one_line, quoted

# An archive that unpacks to more than this, bytes, may do so by at most that factor: real adjacencies by less than 20.
_SMALL_ARCHIVE, _MOST_UNPACKED = 2**28, 100


def read_matrix_market(file: Path, symmetrize: bool, options: ReadOptions) -> Graph:
    """The graph of a .mtx file, coordinate or array; nodes 0 .. n-1."""
    check_options(file, "Matrix Market", options)
    try:
        rows, _, entries, form, field, _ = scipy.io.mminfo(file)
        bytes_an_entry = 2 if form == "array" else 4  # "1\n", "1 1\n"
        stored = entries // 2 if form == "array" else entries  # of a symmetric array half is written
        if stored * bytes_an_entry > file.stat().st_size + 4:
            raise ValueError(f"its header says {entries:,} entries, more than the file holds")
        check_node_count(rows, entries)
        matrix = scipy.io.mmread(file, spmatrix=False)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"{quoted(file)} is not a readable Matrix Market file: {one_line(error)}; export it again"
        ) from None
    weighted = field != "pattern" and bool(options.weight)
    reading = Reading("Matrix Market", "entries" if weighted else "all 1")
    return named(file, lambda: _graph(matrix, file.name, symmetrize, options, reading))


def read_npz(file: Path, symmetrize: bool, options: ReadOptions) -> Graph:
    """The graph of a file of ``scipy.sparse.save_npz``; nodes 0 .. n-1."""
    check_options(file, "a SciPy sparse matrix", options)
    try:
        _check_archive(file)
        matrix: Any = sp.load_npz(file)  # never unpickles: it loads with allow_pickle=False
        if matrix.format in ("csr", "csc", "bsr"):
            matrix.check_format(full_check=True)  # indices beyond the shape would be read out of bounds later
        check_node_count(max(matrix.shape), int(matrix.nnz))
    except OSError:
        raise
    except Exception as error:
        detail = one_line(error)
        if "pickle" in detail.lower():
            detail = "it holds pickled objects, which are never loaded"
        raise ValueError(
            f"{quoted(file)} is not a SciPy sparse .npz: {detail}; write it with scipy.sparse.save_npz"
        ) from None
    reading = Reading("SciPy sparse .npz", "entries" if options.weight else "all 1")
    return named(file, lambda: _graph(matrix, file.name, symmetrize, options, reading))


def _check_archive(file: Path) -> None:
    """ValueError for an archive that unpacks to far more than it is, or whose arrays say they are larger than that."""
    if not zipfile.is_zipfile(file):
        return  # SciPy says what it is
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        unpacked, packed = sum(one.file_size for one in members), file.stat().st_size
        if unpacked > max(_SMALL_ARCHIVE, _MOST_UNPACKED * packed):
            raise ValueError(f"its {packed:,} bytes unpack to {unpacked:,}, more than an adjacency does")
        for one in members:
            with archive.open(one) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else (
                    np.lib.format.read_array_header_2_0
                )  # fmt: skip
                shape, _, kind = read(stream)
            if not kind.hasobject and prod(shape) * kind.itemsize > one.file_size:
                raise ValueError(f"its array {one.filename} says it is {shape}, more than the file holds")
            if one.filename == "shape.npy" and one.file_size < 2**16 and not kind.hasobject:
                with archive.open(one) as stream:
                    size = int(np.max(np.lib.format.read_array(stream, allow_pickle=False), initial=0))
                check_node_count(size, unpacked // 8)


def _graph(matrix: Any, name: str, symmetrize: bool, options: ReadOptions, reading: Reading) -> Graph:
    if not options.weight:
        matrix = (sp.coo_array(matrix) != 0).astype(np.float64)
    if sp.issparse(matrix):
        return from_sparse(matrix, name, symmetrize=symmetrize, reading=reading)
    return from_dense(np.asarray(matrix), name, symmetrize=symmetrize, reading=reading)
