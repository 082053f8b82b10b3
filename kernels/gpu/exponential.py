"""A matrix product whose epilogue takes the exponential: E_ij = e^(z_ij - m_i), z = cap(x w' + bias), and its row sums.

bf16 has the exponent range of fp32, so E needs only an offset m_i within about 60 nats of the row's log-sum-exp, and
the target's logit, known beforehand from one dot product, is one unless the row is badly wrong. With it there is no
maximum to find and no pass over the logits: E goes to memory once and two plain matrix products finish,
    dX = diag(alpha) (E W) + ...,    dW = E' (diag(alpha) X) + ...,    alpha_i = (gradient into lse_i) / S_i
E holds 0 at the target, whose gradient is added in fp32 (``gpu.target``). With a soft cap E is stored times its
slope. Each tile writes the partial sums of its rows; ``exponential_rows`` adds them and makes everything else a row
needs. Rows whose sum leaves the safe range flag their block of rows; ``exponential_retry`` finds the flagged blocks'
row maxima and repeats them with those as offsets, and returns at once when no flag is set: the host never asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch, dot_precision, padded_classes
from .mathematics import LOG2E, OFFSET_LIMIT_SUM, exp_nats, log1p, softcap, softcap_slope

BLOCK_ROWS = 128  # rows per tile, and per flag
SUMS = 4  # partial sums a tile may write: e, e (z - m), u (z_y - z), classes that beat the target


@dataclass(frozen=True)
class Tile:
    """Classes and inner width of a tile of ``BLOCK_ROWS`` rows, the warps that share it and the pipeline's stages."""

    classes: int
    inner: int
    warps: int
    stages: int


# The largest accumulator that fits the registers, plain and with options (soft cap, entropy, accuracy, smoothing, D
# ragged): 128 x 256 on Hopper, whose matrix instructions read operands from shared memory; half of it on Ampere, which
# needs registers for them, and on Blackwell, where the repeating form of the kernel spills beyond. fp32 operands are
# split into several 16-bit ones in registers, which leaves room for a quarter.
TILES_16 = {
    80: (Tile(128, 32, 8, 4), Tile(64, 32, 8, 4)),
    90: (Tile(256, 64, 8, 4), Tile(64, 64, 8, 4)),
    100: (Tile(128, 64, 8, 4), Tile(64, 64, 8, 4)),
}
TILES_32 = {
    80: (Tile(64, 32, 8, 2), Tile(32, 32, 8, 2)),
    90: (Tile(64, 32, 8, 2), Tile(64, 32, 8, 2)),
    100: (Tile(64, 32, 8, 2), Tile(64, 32, 8, 2)),
}
GROUP = 8  # row blocks that share the same classes, so that both operands of concurrent tiles stay in L2


def exponential_tile(dtype: torch.dtype, architecture: int, *, options: bool) -> Tile:
    """The tile for operands of ``dtype`` on compute capability ``architecture`` (90 for 9.0), rounded down."""
    table = TILES_32 if dtype == torch.float32 else TILES_16
    return table[max(known for known in table if known <= max(architecture, 80))][1 if options else 0]


def needs_options_tile(width: int, *, cap: float | None, entropy: bool, accuracy: bool, class_term: bool) -> bool:
    """Whether a call wants the smaller tile; ``partial`` is shaped by the tile, so both must be chosen alike."""
    return cap is not None or entropy or accuracy or class_term or width % 64 != 0


@triton.jit
def _tile(
    x, x_stride, w, w_stride, bias, e, e_stride, offset, target, target_logit, class_term, partial, partial_stride,
    sum_stride, N, V, D, padded, cap, row_block, class_block,
    ROWS: tl.constexpr, CLASSES: tl.constexpr, INNER: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr, STORE: tl.constexpr, MAXIMUM: tl.constexpr,
):  # fmt: skip
    i = row_block * ROWS + tl.arange(0, ROWS)
    j = class_block * CLASSES + tl.arange(0, CLASSES)
    d = tl.arange(0, INNER)
    # Rows and classes beyond the end read the last one, so that the inner loop needs no mask; both are dropped below.
    x_at = x + tl.minimum(i, N - 1).to(tl.int64)[:, None] * x_stride + d[None, :]
    w_at = w + tl.minimum(j, V - 1).to(tl.int64)[None, :] * w_stride + d[:, None]
    z = tl.zeros([ROWS, CLASSES], tl.float32)
    for start in range(0, D, INNER):
        if EVEN_D:
            a = tl.load(x_at)
            b = tl.load(w_at)
        else:
            a = tl.load(x_at, mask=(d < D - start)[None, :], other=0.0)
            b = tl.load(w_at, mask=(d < D - start)[:, None], other=0.0)
        z = tl.dot(a, b, z, input_precision=PRECISION)
        x_at += INNER
        w_at += INNER
    if bias is not None:
        z += tl.load(bias + j, mask=j < V, other=0.0).to(tl.float32)[None, :]
    if HAS_CAP:
        z = softcap(z, cap)
    here = i < N
    y = tl.load(target + i, mask=here, other=-1).to(tl.int32)
    others = (j < V)[None, :] & (j[None, :] != y[:, None])
    # 64 bits: with several planes, or where E is not stored, the partial sums may have more entries than 32 bits count.
    out = partial + tl.cast(class_block, tl.int64) * partial_stride + i
    plane = tl.cast(sum_stride, tl.int64)
    if MAXIMUM:
        tl.store(out, tl.max(tl.where(others, z, float("-inf")), 1), mask=here)
    else:
        m = tl.load(offset + i, mask=here, other=0.0)
        p = tl.where(others, tl.exp2((z - m[:, None]) * LOG2E), 0.0)
        tl.store(out, tl.sum(p, 1), mask=here)
        if ENTROPY:
            tl.store(out + plane, tl.sum(tl.where(p > 0.0, p * (z - m[:, None]), 0.0), 1), mask=here)
        if class_term is not None or ACCURACY:
            zy = tl.load(target_logit + i, mask=here, other=0.0)
            if class_term is not None:
                u = tl.load(class_term + j, mask=j < V, other=0.0).to(tl.float32)
                classes = tl.sum(tl.where(others, u[None, :] * (zy[:, None] - z), 0.0), 1)
                tl.store(out + 2 * plane, classes, mask=here)
            if ACCURACY:
                tl.store(out + 3 * plane, tl.max((others & (z > zy[:, None])).to(tl.float32), 1), mask=here)
        if STORE:
            if HAS_CAP:
                p *= softcap_slope(z, cap)
            at = e + i.to(tl.int64)[:, None] * e_stride + j[None, :]
            tl.store(at, p.to(e.dtype.element_ty), mask=here[:, None] & (j < padded)[None, :])


@triton.jit
def exponential_kernel(
    x, x_stride, w, w_stride, bias, e, e_stride, offset, target, target_logit, class_term, partial, partial_stride,
    sum_stride, flag, any_flag, N, V, D, padded, cap,
    ROWS: tl.constexpr, CLASSES: tl.constexpr, INNER: tl.constexpr, GROUP: tl.constexpr, EVEN_D: tl.constexpr,
    PRECISION: tl.constexpr, HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr,
    STORE: tl.constexpr, MAXIMUM: tl.constexpr, RETRY: tl.constexpr,
):  # fmt: skip
    """One tile of E and the partial sums of its rows; with RETRY every tile of the flagged blocks of rows."""
    row_blocks = tl.cdiv(N, ROWS)
    class_blocks = tl.cdiv(V, CLASSES)
    if RETRY:  # a few programs share the flagged blocks of rows
        if tl.load(any_flag) != 0:
            for row_block in range(row_blocks):
                if tl.load(flag + row_block) != 0:
                    for class_block in range(tl.program_id(0), class_blocks, tl.num_programs(0)):
                        _tile(
                            x, x_stride, w, w_stride, bias, e, e_stride, offset, target, target_logit, class_term,
                            partial, partial_stride, sum_stride, N, V, D, padded, cap, row_block, class_block,
                            ROWS, CLASSES, INNER, EVEN_D, PRECISION, HAS_CAP, ENTROPY, ACCURACY, STORE, MAXIMUM,
                        )  # fmt: skip
    else:
        tile = tl.program_id(0)
        group = tile // (GROUP * class_blocks)
        height = tl.minimum(row_blocks - group * GROUP, GROUP)
        within = tile % (GROUP * class_blocks)
        _tile(
            x, x_stride, w, w_stride, bias, e, e_stride, offset, target, target_logit, class_term,
            partial, partial_stride, sum_stride, N, V, D, padded, cap,
            group * GROUP + within % height, within // height,
            ROWS, CLASSES, INNER, EVEN_D, PRECISION, HAS_CAP, ENTROPY, ACCURACY, STORE, MAXIMUM,
        )  # fmt: skip


def exponential(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    target: Tensor,
    target_logit: Tensor,
    offset: Tensor,
    partial: Tensor,
    *,
    e: Tensor | None,
    class_term: Tensor | None,
    cap: float | None,
    entropy: bool,
    accuracy: bool,
    architecture: int,
    maximum: bool = False,
    flags: tuple[Tensor, Tensor] | None = None,
    programs: int = 0,
) -> Launch:
    """The launch over all tiles, or, given ``flags`` (per block of rows, any), over the flagged blocks of rows only.

    ``x`` (N, D), ``w`` (V, D), ``e`` (N, V) or None not to store it, column strides 1; vectors (N,) fp32, ``target``
    int64. ``partial`` (4, tiles of classes, N) fp32 receives the sums, or in its first plane the row maxima when
    ``maximum`` is set. ``programs`` is how many programs share the flagged blocks.
    """
    (rows, width), classes = x.shape, w.shape[0]
    options = needs_options_tile(width, cap=cap, entropy=entropy, accuracy=accuracy, class_term=class_term is not None)
    tile = exponential_tile(x.dtype, architecture, options=options)
    tiles = triton.cdiv(rows, BLOCK_ROWS) * triton.cdiv(classes, tile.classes)
    flag, any_flag = (None, None) if flags is None else flags
    return Launch(
        exponential_kernel,
        (tiles if flags is None else programs,),
        {
            "x": x, "x_stride": x.stride(0), "w": w, "w_stride": w.stride(0), "bias": bias,
            "e": e, "e_stride": 0 if e is None else e.stride(0), "offset": offset, "target": target,
            "target_logit": target_logit, "class_term": class_term, "partial": partial,
            "partial_stride": partial.stride(1), "sum_stride": partial.stride(0), "flag": flag, "any_flag": any_flag,
            "N": rows, "V": classes, "D": width, "padded": classes if e is None else padded_classes(e),
            "cap": 1.0 if cap is None else cap, "ROWS": BLOCK_ROWS, "CLASSES": tile.classes, "INNER": tile.inner,
            "GROUP": GROUP, "EVEN_D": width % tile.inner == 0,
            "PRECISION": dot_precision(x), "HAS_CAP": cap is not None,
            "ENTROPY": entropy, "ACCURACY": accuracy, "STORE": e is not None and not maximum, "MAXIMUM": maximum,
            "RETRY": flags is not None,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip


@triton.jit
def exponential_rows_kernel(
    partial, partial_stride, sum_stride, blocks, N, z_loss, cap,
    offset, target_logit, lse_coefficient, target_coefficient, row_weight, gradient_weight, grad_lse, class_term,
    loss, lse, entropy, correct, alpha, beta, flag, any_flag,
    ROWS: tl.constexpr, HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr, MAXIMUM: tl.constexpr,
    RETRY: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """What follows from the partial sums of ROWS rows, or with MAXIMUM their offsets from the partial maxima."""
    run = True
    if RETRY:
        run = (tl.load(any_flag) != 0) & (tl.load(flag + tl.program_id(0)) != 0)
    if run:
        i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
        here = i < N
        m = tl.load(offset + i, mask=here, other=0.0)
        plane = tl.cast(sum_stride, tl.int64)
        if MAXIMUM:
            for block in range(blocks):
                at = partial + tl.cast(block, tl.int64) * partial_stride + i
                m = tl.maximum(m, tl.load(at, mask=here, other=float("-inf")))
            tl.store(offset + i, m, mask=here)
        else:
            total = tl.zeros([ROWS], tl.float32)
            weighted = tl.zeros([ROWS], tl.float32)
            classes = tl.zeros([ROWS], tl.float32)
            beaten = tl.zeros([ROWS], tl.float32)
            for block in range(blocks):
                at = partial + tl.cast(block, tl.int64) * partial_stride + i
                total += tl.load(at, mask=here, other=0.0)
                if ENTROPY:
                    weighted += tl.load(at + plane, mask=here, other=0.0)
                if class_term is not None:
                    classes += tl.load(at + 2 * plane, mask=here, other=0.0)
                if ACCURACY:
                    beaten = tl.maximum(beaten, tl.load(at + 3 * plane, mask=here, other=0.0))
            t = tl.load(row_weight + i, mask=here, other=0.0)
            if not RETRY:
                bad = here & ((total < OFFSET_LIMIT_SUM) == 0)  # NaN too
                tl.store(flag + tl.program_id(0), tl.max(bad.to(tl.int32), 0))
            zy = tl.load(target_logit + i, mask=here, other=0.0)
            a = tl.load(lse_coefficient + i, mask=here, other=0.0)
            b = tl.load(target_coefficient + i, mask=here, other=0.0)
            at_target = exp_nats(zy - m)
            S = total + at_target
            nll = tl.where(m == zy, log1p(total), m - zy + tl.log(S))
            row_lse = tl.where(m == zy, zy + nll, m + tl.log(S))  # of a target at -inf too
            row_loss = t * (a * nll + classes + z_loss * row_lse * row_lse)
            tl.store(loss + i, tl.where(t == 0.0, 0.0, row_loss), mask=here)
            counts = here
            if SKIP:  # a row of weight 0 was not summed, for its offset is infinite
                counts = here & (t != 0.0)
            tl.store(lse + i, tl.where(counts, row_lse, 0.0), mask=here)
            if entropy is not None:
                own = tl.where(at_target > 0.0, at_target * (zy - m), 0.0)
                H = tl.where(m == zy, nll, tl.log(S)) - (weighted + own) / S
                tl.store(entropy + i, H, mask=here)
            if correct is not None:
                tl.store(correct + i, beaten == 0.0, mask=here)
            if alpha is not None:
                g = tl.zeros([ROWS], tl.float32)
                if gradient_weight is not None:
                    g = tl.load(gradient_weight + i, mask=here, other=0.0)
                outside = 2.0 * z_loss * row_lse * g
                if grad_lse is not None:
                    outside += tl.load(grad_lse + i, mask=here, other=0.0)
                inverse = 1.0 / S
                scale = g * a + outside
                dy = -g * a * (total * inverse) + g * (a - b) + at_target * inverse * outside
                if HAS_CAP:
                    dy *= softcap_slope(zy, cap)
                tl.store(alpha + i, tl.where(counts & (scale != 0.0), scale * inverse, 0.0), mask=here)
                tl.store(beta + i, tl.where(counts, dy, 0.0), mask=here)


def exponential_rows(
    partial: Tensor,
    offset: Tensor,
    target_logit: Tensor,
    lse_coefficient: Tensor,
    target_coefficient: Tensor,
    row_weight: Tensor,
    flags: tuple[Tensor, Tensor],
    *,
    loss: Tensor,
    lse: Tensor,
    entropy: Tensor | None,
    correct: Tensor | None,
    alpha: Tensor | None,
    beta: Tensor | None,
    gradient_weight: Tensor | None,
    grad_lse: Tensor | None,
    class_term: Tensor | None,
    cap: float | None,
    z_loss: float,
    maximum: bool = False,
    retry: bool = False,
    skip_weightless: bool = False,
) -> Launch:
    """The launch that adds the tiles' sums: loss, lse, entropy, correct, ``alpha`` and ``beta`` of every row.

    With g = ``gradient_weight``, v = ``grad_lse`` + 2 z_loss lse g: ``alpha`` = (g a + v) / S is the factor of the
    row of E, ``beta`` the gradient of the target's logit without the label-smoothing term -g u_y, which is rank-one
    with all the others. The first launch sets ``flags``; ``retry`` visits flagged blocks only, ``maximum`` moves their
    offsets to the row maxima. ``skip_weightless``: rows of weight 0 have the offset infinity, and get lse 0.
    """
    rows = offset.shape[0]
    return Launch(
        exponential_rows_kernel,
        (triton.cdiv(rows, BLOCK_ROWS),),
        {
            "partial": partial, "partial_stride": partial.stride(1), "sum_stride": partial.stride(0),
            "blocks": partial.shape[1], "N": rows, "z_loss": z_loss, "cap": 1.0 if cap is None else cap,
            "offset": offset, "target_logit": target_logit, "lse_coefficient": lse_coefficient,
            "target_coefficient": target_coefficient, "row_weight": row_weight, "gradient_weight": gradient_weight,
            "grad_lse": grad_lse, "class_term": class_term, "loss": loss, "lse": lse, "entropy": entropy,
            "correct": correct, "alpha": alpha, "beta": beta, "flag": flags[0], "any_flag": flags[1],
            "ROWS": BLOCK_ROWS, "HAS_CAP": cap is not None, "ENTROPY": entropy is not None,
            "ACCURACY": correct is not None, "MAXIMUM": maximum, "RETRY": retry,
            "SKIP": skip_weightless,
        },
        num_warps=4,
    )  # fmt: skip
