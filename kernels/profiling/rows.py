"""How fast and how lean the kernels are on this machine, beside the matrix products they cannot do without.

A row is one shape: loss and both gradients of ``linear_cross_entropy`` (mean, hard targets) or of the graph operations,
timed in turns with its floor and with every peer. The floor is the plain matrix products of the shape, three of N x D x
V (logits and the gradients of both factors; the tied graph operation too), timed in the same rounds on the operands of
the real thing: softmax probabilities for the gradients, for the speed of a matrix product depends on its data. They are
whole products wherever memory allows: a block of few rows wastes part of its last tile and reads the weight once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ..checks import did_you_mean
from ..graph.cross_entropy import graph_cross_entropy, resolve
from ..graph.csr import CsrTarget, csr_target
from ..graph.tied_cross_entropy import tied_graph_cross_entropy, tied_path
from ..linear.cross_entropy import linear_cross_entropy, linear_cross_entropy_plan
from .peers import Peer, find_peers
from .timing import Timing, peak_bytes, time_interleaved

OPERATIONS = ("linear", "graph", "tied-graph")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
DEGREE = 8  # targets of each row of the graph operations' random graph
REFERENCE_WORK = 4e11  # N D V above which the float64 reference is left out, on the CPU: a minute there
REFERENCE_ROWS = 512  # of the float64 reference at a time
FLOOR_BYTES = 2**31  # of logits and probabilities of the floor on the CPU; on a card a quarter of what is free
TILE_ROWS = 128  # of matrix products on cards
MIB = 2**20
OURS = "fiedler"


@dataclass(frozen=True)
class Shape:
    """N rows, D columns, V classes; V = N for the graph operations."""

    rows: int
    width: int
    classes: int


def profile(
    shapes: Sequence[Shape],
    *,
    operation: str = "linear",
    dtype: str = "float32",
    device: str = "cpu",
    rounds: int = 5,
    with_peers: bool = True,
    path: str = "auto",
    on_row: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """One row a shape: "op", "N", "D", "V", "dtype", "device", "path", "ms_median", "ms_spread", "floor_ms",
    "ratio_to_floor" (median, least, largest over the rounds), "tflops", "gbps", "matmul_tflops", "peak_mib", "error"
    and "peers": the same figures of each, with "ratio_to_ours".

    ``tflops``: 6 N D V over the time, the work of three products whatever was really done. ``gbps``: the least traffic,
    inputs read and gradients written once. ``error``: the largest of the relative errors of loss and gradients against
    float64, Frobenius norm, None above REFERENCE_WORK on the CPU. Peers exist for "linear" only. ``on_row(k)`` is
    called after row k. Raises ValueError for unknown names and sizes below one.
    """
    _check(shapes, operation, dtype, device, rounds)
    place = torch.device(device)
    found = find_peers(place) if with_peers and operation == "linear" else []
    rows = []
    for k, shape in enumerate(shapes):
        rows.append(_profile_one(shape, operation, DTYPES[dtype], place, rounds, found, path))
        if on_row is not None:
            on_row(k)
    return rows


def _profile_one(
    shape: Shape,
    operation: str,
    dtype: torch.dtype,
    device: torch.device,
    rounds: int,
    peers: Sequence[Peer],
    path: str,
) -> dict[str, Any]:
    tensors, target = _inputs(shape, operation, dtype, device)
    ours = _ours(operation, tensors, target, path)
    ways: dict[str, Callable[[], object]] = {OURS: ours, "floor": floor_products(shape, tensors)}
    notes = {peer.name: {"absent": peer.absent, "version": peer.version} for peer in peers if peer.loss is None}
    for peer in peers:
        if peer.loss is None or not isinstance(target, Tensor):
            continue
        way = _step(peer.loss, tensors, target)
        try:
            way()
        except Exception as error:  # a peer's failure is a result, not ours
            reason = f"fails here: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
            notes[peer.name] = {"absent": reason, "version": peer.version}
            continue
        ways[peer.name] = way
    reference = _reference(shape, operation, tensors, target, device)
    errors = {name: _error(way, reference) for name, way in ways.items() if name != "floor"}
    peaks = {name: peak_bytes(way, device) / MIB for name, way in ways.items() if name != "floor"}
    timings = time_interleaved(ways, device, rounds=rounds)
    work = 6.0 * shape.rows * shape.width * shape.classes
    floor = timings["floor"]
    versions = {peer.name: peer.version for peer in peers}
    row: dict[str, Any] = {
        "op": operation,
        "N": shape.rows,
        "D": shape.width,
        "V": shape.classes,
        "dtype": str(dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "path": _path(operation, tensors, path),
        **_figures(timings[OURS], floor, work, _traffic(tensors)),
        "floor_ms": floor.median,
        "matmul_tflops": work / floor.median / 1e9,
        "peak_mib": peaks[OURS],
        "error": errors[OURS],
        "peers": {},
    }
    for name in ways:
        if name in (OURS, "floor"):
            continue
        row["peers"][name] = {
            "version": versions[name],
            **_figures(timings[name], floor, work, _traffic(tensors)),
            "ratio_to_ours": timings[name].ratio_to(timings[OURS]),
            "peak_mib": peaks[name],
            "error": errors[name],
        }
    row["peers"] |= notes
    return row


def _figures(timing: Timing, floor: Timing, work: float, traffic: float) -> dict[str, Any]:
    return {
        "ms_median": timing.median,
        "ms_spread": timing.spread,
        "ratio_to_floor": timing.ratio_to(floor),
        "tflops": work / timing.median / 1e9,
        "gbps": traffic / timing.median / 1e6,
    }


def _inputs(
    shape: Shape, operation: str, dtype: torch.dtype, device: torch.device
) -> tuple[list[Tensor], Tensor | CsrTarget]:
    """Leaf tensors with gradients and the target; logits of standard deviation one, as at the start of training."""
    generator = torch.Generator().manual_seed(0)

    def leaf(rows: int) -> Tensor:
        values = torch.randn(rows, shape.width, generator=generator) / shape.width**0.25
        return values.to(device, dtype).requires_grad_()

    if operation == "linear":
        target = torch.randint(shape.classes, (shape.rows,), generator=generator).to(device)
        return [leaf(shape.rows), leaf(shape.classes)], target
    degree = min(DEGREE, shape.rows)
    columns = torch.randint(shape.rows, (shape.rows, degree), generator=generator)
    pointer = np.arange(0, shape.rows * degree + 1, degree)
    values = np.full(shape.rows * degree, 1.0 / degree)
    matrix = sp.csr_array((values, columns.reshape(-1).numpy(), pointer), shape=(shape.rows, shape.rows))
    csr = csr_target(matrix, dtype=torch.float64 if dtype == torch.float64 else torch.float32, device=device)
    return [leaf(shape.rows) for _ in range(1 if operation == "tied-graph" else 2)], csr


def _ours(operation: str, tensors: list[Tensor], target: Any, path: str) -> Callable[[], object]:
    if operation == "linear":
        return _step(lambda x, w, t: linear_cross_entropy(x, w, t, path=path), tensors, target)
    if operation == "graph":
        return _step(lambda x, c, t: graph_cross_entropy(x, c, t, reduction="mean", path=path), tensors, target)
    return _step(lambda x, t: tied_graph_cross_entropy(x, t, reduction="mean", path=path), tensors, target)


def _step(loss: Callable[..., Any], tensors: list[Tensor], target: Any) -> Callable[[], list[Tensor]]:
    """Loss and gradients, as a list."""

    def step() -> list[Tensor]:
        value = loss(*tensors, target)
        return [value.detach(), *torch.autograd.grad(value, tensors)]

    return step


def floor_products(shape: Shape, tensors: list[Tensor]) -> Callable[[], object]:
    """Logits X W', then P W and P' X."""
    x, w = tensors[0].detach(), tensors[-1].detach()
    memory = torch.cuda.mem_get_info(x.device)[0] // 4 if x.is_cuda else FLOOR_BYTES
    block = floor_rows(shape, x.element_size(), memory)
    logits = x[:block] @ w.T
    p, grad_w, grad_x = torch.softmax(logits, dim=1), torch.empty_like(w), torch.empty_like(x)

    def products() -> None:
        for start in range(0, shape.rows, block):
            rows = x[start : start + block]
            m = len(rows)
            torch.mm(rows, w.T, out=logits[:m])
            torch.mm(p[:m], w, out=grad_x[start : start + block])
            torch.mm(p[:m].T, rows, out=grad_w)

    return products


def floor_rows(shape: Shape, itemsize: int, memory: int) -> int:
    """Rows of the floor's products at a time: all, if their logits and probabilities fit ``memory`` bytes, else the
    fewest equal blocks of whole tiles that do."""
    most = max(1, memory // (2 * shape.classes * itemsize))
    if most >= shape.rows:
        return shape.rows
    unit = TILE_ROWS if most >= TILE_ROWS else 1
    most = most // unit * unit
    each = -(-shape.rows // -(-shape.rows // most))
    return -(-each // unit) * unit


def _path(operation: str, tensors: list[Tensor], path: str) -> str:
    if operation == "linear":
        return linear_cross_entropy_plan(tensors[0], tensors[1], path=path).path
    return resolve(path, tensors[0]) if operation == "graph" else tied_path(path, tensors[0])


def _traffic(tensors: list[Tensor]) -> float:
    return float(sum(2 * t.numel() * t.element_size() for t in tensors))


def _reference(
    shape: Shape, operation: str, tensors: list[Tensor], target: Any, device: torch.device
) -> list[Tensor] | None:
    """Loss and gradients in float64, by blocks of rows, or None where that takes too long."""
    work = float(shape.rows) * shape.width * shape.classes
    if device.type == "cpu" and work > REFERENCE_WORK:
        return None
    leaves = [t.detach().double().requires_grad_() for t in tensors]
    total = torch.zeros((), dtype=torch.float64, device=device)
    grads = [torch.zeros_like(t) for t in leaves]
    dense = isinstance(target, Tensor)
    for start in range(0, shape.rows, REFERENCE_ROWS):
        stop = min(start + REFERENCE_ROWS, shape.rows)
        z = leaves[0][start:stop] @ leaves[-1].T
        if dense:
            value = torch.nn.functional.cross_entropy(z, target[start:stop], reduction="sum") / shape.rows
        else:
            block = _dense_rows(target, start, stop)
            value = (block.sum(dim=1) * torch.logsumexp(z, dim=1) - (block * z).sum(dim=1)).sum() / shape.rows
        for grad, new in zip(grads, torch.autograd.grad(value, leaves), strict=True):
            grad += new
        total += value.detach()
    return [total, *grads]


def _dense_rows(target: CsrTarget, start: int, stop: int) -> Tensor:
    pointer = target.row_pointer[start : stop + 1]
    entries = slice(int(pointer[0]), int(pointer[-1]))
    rows = torch.repeat_interleave(torch.arange(stop - start, device=target.device), pointer.diff())
    block = torch.zeros(stop - start, target.shape[1], dtype=torch.float64, device=target.device)
    return block.index_put((rows, target.column[entries]), target.value[entries].double())


def _error(way: Callable[[], object], reference: list[Tensor] | None) -> float | None:
    if reference is None:
        return None
    found: Any = way()
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(found, reference, strict=True))


def _check(shapes: Sequence[Shape], operation: str, dtype: str, device: str, rounds: int) -> None:
    if operation not in OPERATIONS:
        hint = did_you_mean(operation, tuple(OPERATIONS))
        raise ValueError(f"unknown operation {operation!r}; choose one of {', '.join(OPERATIONS)}{hint}")
    if dtype not in DTYPES:
        raise ValueError(
            f"unknown dtype {dtype!r}; choose one of {', '.join(DTYPES)}{did_you_mean(dtype, tuple(DTYPES))}"
        )
    if device not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {device!r}; choose cpu or cuda{did_you_mean(device, ('cpu', 'cuda'))}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device is available; use the device cpu")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1; got {rounds}")
    for shape in shapes:
        if min(shape.rows, shape.width, shape.classes) < 1:
            raise ValueError(f"N, D and V must be at least 1; got {shape.rows}, {shape.width}, {shape.classes}")
        if operation != "linear" and shape.rows != shape.classes:
            raise ValueError(f"{operation} has as many classes as rows; got N = {shape.rows}, V = {shape.classes}")
