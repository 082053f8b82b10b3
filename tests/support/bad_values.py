"""Bad values for any argument: constants, and an argument's own valid value spoilt in one way."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
import torch

from fiedler.theory import Graph, from_sparse, parse

SKIP = object()  # this value cannot be spoilt in this way


def generator() -> Iterator[float]:
    yield 1.0


def a_graph(n: int, *pairs: tuple[int, int]) -> Graph:
    rows, columns = [i for i, _ in pairs], [j for _, j in pairs]
    matrix = sp.coo_array((np.ones(2 * len(pairs)), (rows + columns, columns + rows)), shape=(n, n))
    return from_sparse(matrix, "bad")


# The same for every argument.
CONSTANTS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "empty text": lambda: "",
    "text": lambda: "bad",
    "digits": lambda: "3",
    "long text": lambda: "x" * 5000,
    "null character": lambda: "a\0b",
    "lines": lambda: "a\nb",
    "bytes": lambda: b"bad",
    "True": lambda: True,
    "False": lambda: False,
    "NaN": lambda: math.nan,
    "infinity": lambda: math.inf,
    "minus infinity": lambda: -math.inf,
    "-1": lambda: -1,
    "0": lambda: 0,
    "1": lambda: 1,
    "1.5": lambda: 1.5,
    "0.5": lambda: 0.5,
    "-0.5": lambda: -0.5,
    "1e300": lambda: 1e300,
    "1e-300": lambda: 1e-300,
    "denormal": lambda: 5e-324,
    "10^9": lambda: 10**9,
    "10^12": lambda: 10**12,
    "2^63": lambda: 2**63,
    "10^400": lambda: 10**400,
    "10^5000": lambda: 10**5000,
    "-10^12": lambda: -(10**12),
    "complex": lambda: 1 + 1j,
    "fraction": lambda: Fraction(1, 3),
    "decimal": lambda: Decimal("0.5"),
    "numpy NaN": lambda: np.float64("nan"),
    "0-d NaN": lambda: np.array(np.nan),
    "numpy flag": lambda: np.bool_(True),
    "empty list": list,
    "ragged list": lambda: [1.0, [2.0, 3.0]],
    "ragged rows": lambda: [[1.0], [2.0, 3.0]],
    "list of None": lambda: [None, None],
    "list of text": lambda: ["1", "2"],
    "list of huge": lambda: [10**400],
    "set": lambda: {1, 2},
    "dict": lambda: {"a": 1},
    "generator": generator,
    "object": object,
    "type": lambda: int,
    "function": lambda: len,
    "module": lambda: math,
    "empty vector": lambda: np.empty(0),
    "empty matrix": lambda: np.empty((0, 0)),
    "cube": lambda: np.full((2, 3, 4), 0.5),
    "NaN matrix": lambda: np.full((4, 4), np.nan),
    "sparse NaN": lambda: sp.csr_array(np.array([[np.nan, 1.0], [1.0, 0.0]])),
    "dates": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "records": lambda: np.zeros(3, dtype=[("a", float), ("b", int)]),
    "learning tensor": lambda: torch.ones(4, 2, requires_grad=True),
    "half tensor": lambda: torch.ones(4, 2, dtype=torch.float16),
    "integer tensor": lambda: torch.ones(4, 2, dtype=torch.int32),
    "complex tensor": lambda: torch.ones(4, 2, dtype=torch.complex64),
    "sparse tensor": lambda: torch.ones(4, 2).to_sparse(),
    "meta tensor": lambda: torch.ones(4, 2, device="meta"),
    "empty tensor": lambda: torch.ones(0, 2),
    "0-d tensor": lambda: torch.tensor(1.0),
    "graph of 5": lambda: a_graph(5, (0, 1), (1, 2), (2, 3), (3, 4)),
    "graph of 1": lambda: a_graph(1),
    "isolated nodes": lambda: a_graph(4, (0, 1)),
    "loop": lambda: a_graph(4, (0, 1), (1, 2), (2, 3), (3, 3)),
    "two pieces": lambda: a_graph(4, (0, 1), (2, 3)),
    "huge graph": lambda: HUGE,
    "cycle": lambda: parse("cycle:5"),
    "torus": lambda: parse("torus:3x3"),
    "hypercube": lambda: parse("hypercube:2"),
    "path-star": lambda: parse("path-star:3x2"),
    "grid": lambda: parse("grid:2x3"),
    "networkx": lambda: nx.path_graph(4),
}
HUGE = a_graph(200_000, *((i, i + 1) for i in range(0, 200_000 - 1, 2)))

# The valid value with one thing wrong. Labels that begin with "shape" change the shape.
Spoil = Callable[[np.ndarray], Any]


def _with(value: np.ndarray, entry: float) -> Any:
    if not value.size or value.dtype.kind not in "f":
        return SKIP
    out = value.copy()
    out.flat[out.size // 2] = entry
    return out


ARRAYS: dict[str, Spoil] = {
    "a NaN": lambda v: _with(v, np.nan),
    "an infinity": lambda v: _with(v, np.inf),
    "minus an infinity": lambda v: _with(v, -np.inf),
    "a negative entry": lambda v: _with(v, -3.0),
    "an entry of 1e300": lambda v: _with(v, 1e300),
    "an entry of 1e60": lambda v: _with(v, 1e60),
    "an entry of 1e-300": lambda v: _with(v, 1e-300),
    "times 1e200": lambda v: v * 1e200 if v.dtype.kind == "f" else SKIP,
    "times 1e30": lambda v: v * 1e30 if v.dtype.kind == "f" else SKIP,
    "times 1e-200": lambda v: v * 1e-200 if v.dtype.kind == "f" else SKIP,
    "zeros": np.zeros_like,
    "negated": lambda v: -v,
    "as complex": lambda v: v + 1j,
    "as objects": lambda v: v.astype(object),
    "as flags": lambda v: v != 0,
    "as text": lambda v: v.astype(str),
    "as integers": lambda v: v.astype(np.int64),
    "as float32": lambda v: v.astype(np.float32),
    "as float16": lambda v: v.astype(np.float16),
    "as long double": lambda v: v.astype(np.longdouble),
    "as a list": lambda v: v.tolist(),
    "as a set": lambda v: set(v.ravel().tolist()),
    "as a generator": lambda v: iter(v),
    "as a tensor": lambda v: torch.tensor(v),
    "masked": lambda v: np.ma.masked_array(v, mask=np.arange(v.size).reshape(v.shape) == 0),
    "sparse": lambda v: sp.csr_array(v) if v.ndim == 2 else SKIP,
    "strided": lambda v: np.repeat(v, 2, axis=0)[::2] if v.ndim else SKIP,
    "Fortran order": np.asfortranarray,
    "shape: one row less": lambda v: v[:-1] if v.ndim and len(v) > 1 else SKIP,
    "shape: one row more": lambda v: np.concatenate([v, v[:1]]) if v.ndim else SKIP,
    "shape: one column less": lambda v: v[..., :-1] if v.ndim > 1 else SKIP,
    "shape: first row": lambda v: v[:1] if v.ndim and len(v) > 1 else SKIP,
    "shape: first column": lambda v: v[..., :1] if v.ndim > 1 and v.shape[-1] > 1 else SKIP,
    "shape: first entry": lambda v: v.flat[0] if v.ndim else SKIP,
    "shape: flat": lambda v: v.ravel() if v.ndim > 1 else SKIP,
    "shape: deeper": lambda v: v[None],
    "shape: column": lambda v: v[:, None] if v.ndim == 1 else SKIP,
    "shape: transposed": lambda v: v.T if v.ndim > 1 and v.shape[-1] != v.shape[-2] else SKIP,
    "shape: no rows": lambda v: v[:0] if v.ndim else SKIP,
    "shape: no columns": lambda v: v[..., :0] if v.ndim > 1 else SKIP,
}
TENSORS: dict[str, Callable[[torch.Tensor], Any]] = {
    "a NaN": lambda v: _tensor_with(v, math.nan),
    "an infinity": lambda v: _tensor_with(v, math.inf),
    "as float16": lambda v: v.to(torch.float16),
    "as bfloat16": lambda v: v.to(torch.bfloat16),
    "as float64": lambda v: v.to(torch.float64),
    "as int32": lambda v: v.to(torch.int32),
    "as int64": lambda v: v.to(torch.int64),
    "as uint8": lambda v: v.to(torch.uint8),
    "as flags": lambda v: v != 0,
    "as complex": lambda v: v.to(torch.complex64),
    "as an array": lambda v: v.detach().numpy(),
    "as a list": lambda v: v.tolist(),
    "sparse": lambda v: v.detach().to_sparse() if v.dim() else SKIP,
    "sparse rows": lambda v: v.detach().to_sparse_csr() if v.dim() == 2 else SKIP,
    "on no device": lambda v: v.to("meta"),
    "quantised": lambda v: torch.quantize_per_tensor(v.float().detach(), 0.1, 0, torch.qint8),
    "a parameter": lambda v: torch.nn.Parameter(v.detach()) if v.is_floating_point() else SKIP,
    "strided": lambda v: v.repeat_interleave(2, dim=0)[::2] if v.dim() else SKIP,
    "negative entries": lambda v: v - 1000,
    "large entries": lambda v: v + 1000,
    "shape: one row less": lambda v: v[:-1] if v.dim() and len(v) > 1 else SKIP,
    "shape: one row more": lambda v: torch.cat([v, v[:1]]) if v.dim() else SKIP,
    "shape: one column less": lambda v: v[..., :-1] if v.dim() > 1 else SKIP,
    "shape: first row": lambda v: v[:1] if v.dim() and len(v) > 1 else SKIP,
    "shape: first column": lambda v: v[..., :1] if v.dim() > 1 and v.shape[-1] > 1 else SKIP,
    "shape: first entry": lambda v: v.reshape(-1)[0] if v.dim() else SKIP,
    "shape: flat": lambda v: v.reshape(-1) if v.dim() > 1 else SKIP,
    "shape: deeper": lambda v: v[None],
    "shape: transposed": lambda v: v.T if v.dim() == 2 and v.shape[0] != v.shape[1] else SKIP,
    "shape: no rows": lambda v: v[:0] if v.dim() else SKIP,
    "shape: no columns": lambda v: v[..., :0] if v.dim() > 1 else SKIP,
}
SPARSE: dict[str, Callable[[Any], Any]] = {
    "dense": lambda v: v.toarray(),
    "as a matrix": lambda v: sp.csr_matrix(v),
    "as complex": lambda v: v.astype(complex),
    "as integers": lambda v: v.astype(np.int64),
    "as float32": lambda v: v.astype(np.float32),
    "a NaN": lambda v: sp.csr_array((np.full(v.nnz, np.nan), v.tocsr().indices, v.tocsr().indptr), shape=v.shape),
    "negated": lambda v: -v,
    "times 1e200": lambda v: v * 1e200,
    "times 1e-200": lambda v: v * 1e-200,
    "shape: one row less": lambda v: v.tocsr()[:-1],
    "shape: no rows": lambda v: v.tocsr()[:0],
    "shape: 1-d": lambda v: sp.coo_array(v.toarray()[0]),
}
LABELS = tuple(dict.fromkeys([*CONSTANTS, *ARRAYS, *TENSORS, *SPARSE]))


def _tensor_with(value: torch.Tensor, entry: float) -> Any:
    if not value.numel() or not value.is_floating_point():
        return SKIP
    out = value.detach().clone()
    out.view(-1)[0] = entry
    return out


def spoil(label: str, value: Any) -> Any:
    """The bad value of this label in the place of ``value``, or SKIP."""
    if label in CONSTANTS:
        return CONSTANTS[label]()
    if isinstance(value, torch.Tensor):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of features in beta
            return TENSORS[label](value) if label in TENSORS else SKIP
    if sp.issparse(value):
        return SPARSE[label](value) if label in SPARSE else SKIP
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, (int, float)) for v in value):
        value = np.asarray(value, dtype=np.float64)
    if isinstance(value, np.ndarray) and label in ARRAYS:
        return ARRAYS[label](value)
    return SKIP
