"""Softmax averages without the softmax: matrices of probabilities that exist only tile by tile, for narrow D.

With z_ij = cap(x_i . c_j + bias_j), e_ij = e^(z_ij - m_i), s_ij the slope of the cap (1 without one) and a target y_i
of every row, whose column is left out:
    others_average:     sum_j e_ij s_ij c_j and the row's sums  a program keeps a block of x, streams c   (2 products)
    transpose_average:  sum_i f_i e_ij s_ij x_i, sum_i f_i e_ij s_ij        keeps a block of c, streams x (2 products)
    tied_average:       sum_j (f_i e_ij + f_j e_ji) x_j  for c = x: z is symmetric, so one product serves both terms
No atomics, no locks, nothing of size N V: O((N + V) D) memory, and the same result every time.

What passes through 16-bit products is rounded, and a row that predicts its target well has a gradient made of the
small rest: so the target is no part of it, and the caller adds its term, in which nothing cancels, in fp32.

The offset m_i is any near the log-sum-exp, and f_i holds the rest of the normalisation, so that a large lse costs no
digits. For fp16 operands e is scaled by 2^14 before it is rounded, for fp16 has no range.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch, dot_precision, power_of_two
from .mathematics import LOG2E, softcap, softcap_slope

# Wider accumulators, or for fp32 the pieces its operands are split into, do not fit the registers of one program.
LARGEST_WIDTH = {torch.bfloat16: 256, torch.float16: 256, torch.float32: 128}
FP16_SHIFT = 14  # 2^14 times a probability is at most half of fp16's largest number


@dataclass(frozen=True)
class Tile:
    """Rows held and rows streamed per program step, the warps that share them and the pipeline's stages."""

    held: int
    streamed: int
    warps: int
    stages: int


# What bounds a tile: the accumulator (held x width fp32) and the tile of logits (held x streamed) live in registers
# together, the streamed operand in shared memory once per stage; fp32 operands are split into bf16 pieces in registers.
# Per kind of kernel, 16-bit or fp32, compute capability and padded width: the largest tile that does not spill, plain
# and with options (soft cap, bias, entropy, accuracy, smoothing, ragged width). ``compile_report`` checks them all.
_WIDE, _TALL, _SMALL = Tile(128, 128, 8, 2), Tile(128, 64, 8, 2), Tile(64, 64, 8, 2)
_FLAT, _SPLIT, _THIN = Tile(64, 32, 8, 2), Tile(32, 64, 8, 2), Tile(16, 64, 8, 2)
PLAIN, OPTIONS = 0, 1
TILES: dict[tuple[str, int, int], dict[int, tuple[Tile, Tile]]] = {
    ("average", 16, 80): {64: (Tile(128, 64, 8, 3), _TALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("average", 16, 90): {64: (Tile(128, 128, 8, 3), _TALL), 128: (_WIDE, _TALL), 256: (_TALL, _SMALL)},
    ("average", 16, 100): {64: (Tile(128, 128, 8, 3), _SMALL), 128: (_WIDE, _SMALL), 256: (_TALL, _FLAT)},
    ("gradient", 16, 80): {64: (Tile(128, 64, 8, 3), _SMALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("gradient", 16, 90): {64: (Tile(128, 128, 8, 3), _TALL), 128: (_WIDE, _TALL), 256: (_TALL, _SMALL)},
    ("gradient", 16, 100): {64: (_TALL, _TALL), 128: (_TALL, _TALL), 256: (_SMALL, _SMALL)},
    # Each streamed row's mask at its target takes registers that 128 streamed rows do not leave on Hopper.
    ("tied", 16, 80): {64: (Tile(128, 64, 8, 3), _SMALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("tied", 16, 90): {64: (_TALL, _TALL), 128: (_TALL, _TALL), 256: (_TALL, _SMALL)},
    ("tied", 16, 100): {64: (_TALL, _TALL), 128: (_TALL, _TALL), 256: (_SMALL, _SMALL)},
    ("average", 32, 80): {64: (_SPLIT, _THIN), 128: (_THIN, _THIN)},
    ("average", 32, 90): {64: (_FLAT, _FLAT), 128: (Tile(64, 16, 8, 2), _THIN)},
    ("average", 32, 100): {64: (_FLAT, _FLAT), 128: (_SPLIT, _THIN)},
    ("gradient", 32, 80): {64: (_SPLIT, _THIN), 128: (_SPLIT, _THIN)},
    ("gradient", 32, 90): {64: (_FLAT, _FLAT), 128: (Tile(64, 16, 8, 2), _THIN)},
    ("gradient", 32, 100): {64: (_FLAT, _FLAT), 128: (_SPLIT, _THIN)},
    ("tied", 32, 80): {64: (_SPLIT, _THIN), 128: (_THIN, _THIN)},
    ("tied", 32, 90): {64: (_FLAT, _FLAT), 128: (Tile(64, 16, 8, 2), _THIN)},
    ("tied", 32, 100): {64: (_FLAT, _FLAT), 128: (_THIN, _THIN)},
}


def flash_tile(kind: str, dtype: torch.dtype, width: int, architecture: int, *, options: bool) -> Tile:
    """The tile for operands of ``dtype`` and ``width`` columns on compute capability ``architecture``, rounded down.

    Raises ValueError for a width above ``LARGEST_WIDTH`` of the dtype.
    """
    if width > LARGEST_WIDTH[dtype]:
        raise ValueError(
            f"the flash form takes at most {LARGEST_WIDTH[dtype]} columns of {dtype}, got {width}; use a chunked path"
        )
    bits = 32 if dtype == torch.float32 else 16
    known = max(card for _, _, card in TILES if card <= max(architecture, 80))
    return TILES[kind, bits, known][power_of_two(width, least=64)][OPTIONS if options else PLAIN]


@triton.jit
def _rows(matrix, stride, i, d, N, D, EVEN_D: tl.constexpr):
    """Rows i of a matrix padded to the block's width; rows beyond the end read the last one, to be dropped later."""
    at = matrix + tl.minimum(i, N - 1).to(tl.int64)[:, None] * stride + d[None, :]
    if EVEN_D:
        return tl.load(at)
    return tl.load(at, mask=(d < D)[None, :], other=0.0)


@triton.jit
def others_average_kernel(
    x, x_stride, c, c_stride, bias, target, target_logit, class_term,
    offset, sums, sum_stride, average, average_stride, N, V, D, cap,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr, SHIFT: tl.constexpr,
):  # fmt: skip
    """One block of rows of x, held, against all of c, streamed, with a running maximum."""
    i = tl.program_id(0) * HELD + tl.arange(0, HELD)
    d = tl.arange(0, BLOCK_D)
    here = i < N
    rows = _rows(x, x_stride, i, d, N, D, EVEN_D)
    total = tl.zeros([HELD], tl.float32)
    weighted = tl.zeros([HELD], tl.float32)
    classes = tl.zeros([HELD], tl.float32)
    beaten = tl.zeros([HELD], tl.int32)
    acc = tl.zeros([HELD, BLOCK_D], tl.float32)
    y = tl.load(target + i, mask=here, other=-1).to(tl.int32)
    zy = tl.load(target_logit + i, mask=here, other=0.0)
    m = zy
    for start in range(0, V, STREAMED):
        j = start + tl.arange(0, STREAMED)
        block = _rows(c, c_stride, j, d, V, D, EVEN_D)
        z = tl.dot(rows, tl.trans(block), input_precision=PRECISION)
        if bias is not None:
            z += tl.load(bias + j, mask=j < V, other=0.0).to(tl.float32)[None, :]
        if HAS_CAP:
            z = softcap(z, cap)
        others = (j < V)[None, :] & (j[None, :] != y[:, None])
        z = tl.where(others, z, float("-inf"))
        highest = tl.maximum(m, tl.max(z, 1))
        safe = tl.where(highest == float("-inf"), 0.0, highest)
        shrink = tl.exp2((m - safe) * LOG2E)
        p = tl.exp2((z - safe[:, None]) * LOG2E + SHIFT)
        if ENTROPY:
            moved = tl.where(total > 0.0, weighted + (m - safe) * total, 0.0)
            weighted = moved * shrink + tl.sum(tl.where(p > 0.0, p * (z - safe[:, None]), 0.0), 1)
        if class_term is not None:
            u = tl.load(class_term + j, mask=j < V, other=0.0).to(tl.float32)
            classes += tl.sum(tl.where(others, u[None, :] * (zy[:, None] - z), 0.0), 1)
        if ACCURACY:
            wins = (z > zy[:, None]) | ((z == zy[:, None]) & (j[None, :] < y[:, None]))
            beaten = tl.maximum(beaten, tl.max((others & wins).to(tl.int32), 1))
        total = total * shrink + tl.sum(p, 1)
        m = highest
        if average is not None:
            if HAS_CAP:
                p *= tl.where(others, softcap_slope(z, cap), 0.0)
            acc = acc * shrink[:, None]
            acc = tl.dot(p.to(block.dtype), block, acc, input_precision=PRECISION)
    undo = tl.exp2(-1.0 * SHIFT)
    sum_stride = tl.cast(sum_stride, tl.int64)  # three planes of many rows: more numbers than 32 bits count
    tl.store(offset + i, m, mask=here)
    tl.store(sums + i, total * undo, mask=here)
    if ENTROPY:
        tl.store(sums + sum_stride + i, weighted * undo, mask=here)
    if class_term is not None:
        tl.store(sums + 2 * sum_stride + i, classes, mask=here)
    if ACCURACY:
        tl.store(sums + 3 * sum_stride + i, beaten.to(tl.float32), mask=here)
    if average is not None:
        at = average + i.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * undo, mask=here[:, None] & (d < D)[None, :])


def others_average(
    x: Tensor,
    c: Tensor,
    bias: Tensor | None,
    target: Tensor,
    target_logit: Tensor,
    *,
    offset: Tensor,
    sums: Tensor,
    average: Tensor | None,
    class_term: Tensor | None = None,
    cap: float | None = None,
    entropy: bool = False,
    accuracy: bool = False,
    architecture: int,
) -> Launch:
    """The launch for x (N, D), c (V, D), bias (V,) and ``target`` y (N,) int64 whose exact logits are known: sums over
    the classes j != y_i only. D at most ``LARGEST_WIDTH`` of the dtype, column strides 1, outputs fp32 and contiguous.

    It fills ``offset`` m (N,), ``average`` (N, D) = sum_j e_ij s_ij c_j with e_ij = e^(z_ij - m_i), and the planes of
    ``sums`` (4, N) that are asked for: sum e_ij; sum e_ij (z_ij - m_i); sum u_j (z_iy - z_ij); does a class beat y_i.
    These are what ``exponential_rows`` reads, as the sums of one tile.
    """
    (rows, width), number = x.shape, c.shape[0]
    options = cap is not None or entropy or accuracy or class_term is not None
    tile = flash_tile("average", x.dtype, width, architecture, options=options)
    block = power_of_two(width, least=16)
    return Launch(
        others_average_kernel,
        (triton.cdiv(rows, tile.held),),
        {
            "x": x, "x_stride": x.stride(0), "c": c, "c_stride": c.stride(0), "bias": bias, "target": target,
            "target_logit": target_logit, "class_term": class_term, "offset": offset, "sums": sums,
            "sum_stride": sums.stride(0), "average": average,
            "average_stride": 0 if average is None else average.stride(0), "N": rows, "V": number, "D": width,
            "cap": 1.0 if cap is None else cap, "HELD": tile.held, "STREAMED": tile.streamed, "BLOCK_D": block,
            "EVEN_D": width == block, "PRECISION": dot_precision(x), "HAS_CAP": cap is not None, "ENTROPY": entropy,
            "ACCURACY": accuracy, "SHIFT": FP16_SHIFT if x.dtype == torch.float16 else 0,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip


@triton.jit
def transpose_average_kernel(
    x, x_stride, c, c_stride, bias, target, offset, factor, average, average_stride, columns, N, V, D, cap,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    HAS_CAP: tl.constexpr, SHIFT: tl.constexpr,
):  # fmt: skip
    """One block of rows of c, held, against all of x, streamed."""
    j = tl.program_id(0) * HELD + tl.arange(0, HELD)
    d = tl.arange(0, BLOCK_D)
    held = _rows(c, c_stride, j, d, V, D, EVEN_D)
    b = tl.zeros([HELD], tl.float32)
    if bias is not None:
        b = tl.load(bias + j, mask=j < V, other=0.0).to(tl.float32)
    sums = tl.zeros([HELD], tl.float32)
    acc = tl.zeros([HELD, BLOCK_D], tl.float32)
    for start in range(0, N, STREAMED):
        i = start + tl.arange(0, STREAMED)
        rows = _rows(x, x_stride, i, d, N, D, EVEN_D)
        m = tl.load(offset + i, mask=i < N, other=0.0)
        f = tl.load(factor + i, mask=i < N, other=0.0)
        z = tl.dot(held, tl.trans(rows), input_precision=PRECISION)
        if bias is not None:
            z += b[:, None]
        if HAS_CAP:
            z = softcap(z, cap)
        # A row of factor 0 counts for nothing whatever its logits, so it must not bring 0 times infinity.
        p = tl.where((f != 0.0)[None, :], tl.exp2((z - m[None, :]) * LOG2E + SHIFT) * f[None, :], 0.0)
        y = tl.load(target + i, mask=i < N, other=-1).to(tl.int32)
        p = tl.where(j[:, None] != y[None, :], p, 0.0)
        if HAS_CAP:
            p *= softcap_slope(z, cap)
        if columns is not None:
            sums += tl.sum(p, 1)
        if average is not None:
            acc = tl.dot(p.to(rows.dtype), rows, acc, input_precision=PRECISION)
    undo = tl.exp2(-1.0 * SHIFT)
    if columns is not None:
        tl.store(columns + j, sums * undo, mask=j < V)
    if average is not None:
        at = average + j.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * undo, mask=(j < V)[:, None] & (d < D)[None, :])


def transpose_average(
    x: Tensor,
    c: Tensor,
    bias: Tensor | None,
    target: Tensor,
    offset: Tensor,
    factor: Tensor,
    *,
    average: Tensor | None,
    columns: Tensor | None,
    cap: float | None = None,
    architecture: int,
) -> Launch:
    """The launch that fills ``average`` (V, D) = sum_i f_i e^(z_ij - m_i) s_ij x_i and ``columns`` (V,), the same of 1.

    ``target`` y (N,) int64, ``offset`` m and ``factor`` f (N,) fp32; j = y_i is left out; outputs fp32, None where not
    wanted.
    fp16 operands want |f_i e^(z_ij - m_i)| <= 3.
    """
    (rows, width), number = x.shape, c.shape[0]
    options = cap is not None or bias is not None or width & (width - 1) != 0
    tile = flash_tile("gradient", x.dtype, width, architecture, options=options)
    block = power_of_two(width, least=16)
    return Launch(
        transpose_average_kernel,
        (triton.cdiv(number, tile.held),),
        {
            "x": x, "x_stride": x.stride(0), "c": c, "c_stride": c.stride(0), "bias": bias, "target": target,
            "offset": offset, "factor": factor, "average": average,
            "average_stride": 0 if average is None else average.stride(0), "columns": columns, "N": rows,
            "V": number, "D": width, "cap": 1.0 if cap is None else cap, "HELD": tile.held,
            "STREAMED": tile.streamed, "BLOCK_D": block, "EVEN_D": width == block, "PRECISION": dot_precision(x),
            "HAS_CAP": cap is not None, "SHIFT": FP16_SHIFT if x.dtype == torch.float16 else 0,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip


@triton.jit
def tied_average_kernel(
    x, x_stride, target, offset, factor, average, average_stride, N, D,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    SHIFT: tl.constexpr,
):  # fmt: skip
    """One block of rows of x, held, against all of x, streamed: p_ij and p_ji from one product."""
    i = tl.program_id(0) * HELD + tl.arange(0, HELD)
    d = tl.arange(0, BLOCK_D)
    here = i < N
    held = _rows(x, x_stride, i, d, N, D, EVEN_D)
    own_offset = tl.load(offset + i, mask=here, other=0.0)
    own_factor = tl.load(factor + i, mask=here, other=0.0)
    own_offset = tl.where(own_factor != 0.0, own_offset, float("inf"))  # a row of factor 0: e^-inf, counts for nothing
    own_target = tl.load(target + i, mask=here, other=-1).to(tl.int32)
    acc = tl.zeros([HELD, BLOCK_D], tl.float32)
    for start in range(0, N, STREAMED):
        j = start + tl.arange(0, STREAMED)
        rows = _rows(x, x_stride, j, d, N, D, EVEN_D)
        out = tl.load(offset + j, mask=j < N, other=0.0)
        f = tl.load(factor + j, mask=j < N, other=0.0)
        out = tl.where(f != 0.0, out, float("inf"))
        z = tl.dot(held, tl.trans(rows), input_precision=PRECISION)
        y = tl.load(target + j, mask=j < N, other=-1).to(tl.int32)
        forward = tl.exp2((z - own_offset[:, None]) * LOG2E + SHIFT) * own_factor[:, None]
        backward = tl.exp2((z - out[None, :]) * LOG2E + SHIFT) * f[None, :]
        backward = tl.where(i[:, None] != y[None, :], backward, 0.0)
        forward = tl.where((j < N)[None, :] & (j[None, :] != own_target[:, None]), forward, 0.0)
        acc = tl.dot((forward + backward).to(rows.dtype), rows, acc, input_precision=PRECISION)
    undo = tl.exp2(-1.0 * SHIFT)
    at = average + i.to(tl.int64)[:, None] * average_stride + d[None, :]
    tl.store(at, acc * undo, mask=here[:, None] & (d < D)[None, :])


def tied_average(
    x: Tensor, target: Tensor, offset: Tensor, factor: Tensor, *, average: Tensor, architecture: int
) -> Launch:
    """The launch that fills ``average`` (N, D) fp32 with sum_j (f_i e_ij [j != y_i] + f_j e_ji [i != y_j]) x_j.

    Here e_ij = e^(x_i . x_j - m_i) with ``target`` y (N,) int64, ``offset`` m and ``factor`` f (N,) fp32. fp16 operands
    want |f_i e_ij| <= 1.
    """
    rows, width = x.shape
    options = width & (width - 1) != 0
    tile = flash_tile("tied", x.dtype, width, architecture, options=options)
    block = power_of_two(width, least=16)
    return Launch(
        tied_average_kernel,
        (triton.cdiv(rows, tile.held),),
        {
            "x": x, "x_stride": x.stride(0), "target": target, "offset": offset, "factor": factor, "average": average,
            "average_stride": average.stride(0), "N": rows, "D": width, "HELD": tile.held,
            "STREAMED": tile.streamed, "BLOCK_D": block, "EVEN_D": width == block, "PRECISION": dot_precision(x),
            "SHIFT": FP16_SHIFT if x.dtype == torch.float16 else 0,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip
