"""Softmax cross-entropy of a block of logits, and its gradient written over them: one Triton program per row.

For row i with logits z_ij (bias and soft cap applied on the way), target y, exact target logit z_iy, and the row terms
a, b, t, u of ``linear.row_terms``:
    S = sum_{j != y} e^(z_ij - m) + e^(z_iy - m),   lse = m + log S,   entropy = lse - sum_j p_ij z_ij
    loss = t [ a (lse - z_iy) + sum_j u_j (z_iy - z_ij) + z_loss lse^2 ]          (since a - b = sum_j u_j)
    dz_ij = { g [ (a + 2 z_loss lse) p_ij - b [j = y] - u_j ] + v p_ij - h p_ij (log p_ij + entropy) } slope of the cap
with g the gradient into t's bracket, v the one into lse and h the one into entropy. The target is left out of the sum:
its own gradient is -a (1 - p_y) = -a (sum of the others) / S, right to the last bit on confident rows.

The offset m is the target logit, so one sweep needs no running maximum; only when the others exceed it by more than
60 nats is m moved to the row's maximum and the row swept again. All sums are fp32. One sweep reads the logits; a second
reads them (from L2) and writes the gradient. A row may also be swept piece by piece: the ``state`` tensors carry its
sums from one block of classes to the next.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch, padded_classes, power_of_two
from .mathematics import LOG2E, OFFSET_LIMIT_SUM, exp_nats, log1p, softcap, softcap_slope

LARGEST_BLOCK = 16384  # classes per step: two 16-byte loads in flight for each of 1,024 threads
ELEMENTS_PER_THREAD = 16


@triton.jit
def logits_of(row, columns, inside, padded, bias, cap, HAS_CAP: tl.constexpr):
    """The logits of the columns, -inf beyond the last; the padding of a row is read so that vectors stay whole."""
    z = tl.load(row + columns, mask=columns < padded, other=0.0).to(tl.float32)
    if bias is not None:
        z += tl.load(bias + columns, mask=inside, other=0.0).to(tl.float32)
    if HAS_CAP:
        z = softcap(z, cap)
    return tl.where(inside, z, float("-inf"))


@triton.jit
def _sums(
    row, bias, class_term, y, target_logit, offset, V, padded, cap,
    BLOCK: tl.constexpr, HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr,
):  # fmt: skip
    """Over j != y: sum e_j, sum e_j (z_j - offset), with e_j = e^(z_j - offset); sum_j u_j (z_y - z_j); is y beaten."""
    lanes = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    weighted = tl.zeros([BLOCK], tl.float32)
    classes = tl.zeros([BLOCK], tl.float32)
    beaten = tl.zeros([BLOCK], tl.int32)
    for start in range(0, V, BLOCK):
        columns = start + lanes
        inside = columns < V
        others = inside & (columns != y)
        z = logits_of(row, columns, inside, padded, bias, cap, HAS_CAP)
        e = tl.where(others, tl.exp2((z - offset) * LOG2E), 0.0)
        total += e
        if ENTROPY:
            weighted += tl.where(e > 0.0, e * (z - offset), 0.0)
        if class_term is not None:
            u = tl.load(class_term + columns, mask=inside, other=0.0).to(tl.float32)
            classes += tl.where(others, u * (target_logit - z), 0.0)
        if ACCURACY:
            beaten |= (others & (z > target_logit)).to(tl.int32)
    return tl.sum(total, 0), tl.sum(weighted, 0), tl.sum(classes, 0), tl.max(beaten, 0)


@triton.jit
def _maximum(row, bias, y, V, padded, cap, BLOCK: tl.constexpr, HAS_CAP: tl.constexpr):
    lanes = tl.arange(0, BLOCK)
    largest = tl.full([BLOCK], float("-inf"), tl.float32)
    for start in range(0, V, BLOCK):
        columns = start + lanes
        inside = columns < V
        z = logits_of(row, columns, inside, padded, bias, cap, HAS_CAP)
        largest = tl.maximum(largest, tl.where(columns != y, z, float("-inf")))
    return tl.max(largest, 0)


@triton.jit
def row_cross_entropy_kernel(
    logits, row_stride, V, padded, first, cap, z_loss,
    target, target_logit, lse_coefficient, target_coefficient, row_weight, bias, class_term,
    state, state_stride,
    loss, lse, entropy, correct,
    gradient_weight, grad_lse, grad_entropy,
    BLOCK: tl.constexpr, HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr,
    SUMS: tl.constexpr, RESULTS: tl.constexpr, GRADIENT: tl.constexpr, SKIP: tl.constexpr,
):  # fmt: skip
    """One row: its sums, then as asked its results and the gradient over its logits."""
    i = tl.program_id(0).to(tl.int64)
    row = logits + i * row_stride
    plane = tl.cast(state_stride, tl.int64)  # four planes of many rows are more numbers than 32 bits count
    y = tl.load(target + i).to(tl.int32) - first
    zy = tl.load(target_logit + i)
    t = tl.load(row_weight + i)
    active = True
    if SKIP:
        active = t != 0.0
    if active:
        m = zy
        total = 0.0
        weighted = 0.0
        classes = 0.0
        beaten = 0
        if state is not None:
            m = tl.load(state + i)
            total = tl.load(state + plane + i)
            weighted = tl.load(state + 2 * plane + i)
            classes = tl.load(state + 3 * plane + i)
            beaten = tl.load(state + 4 * plane + i).to(tl.int32)
        if SUMS:
            s, w, q, k = _sums(row, bias, class_term, y, zy, m, V, padded, cap, BLOCK, HAS_CAP, ENTROPY, ACCURACY)
            if not (total + s < OFFSET_LIMIT_SUM):  # so that NaN comes here too, and stays NaN
                highest = tl.maximum(_maximum(row, bias, y, V, padded, cap, BLOCK, HAS_CAP), m)
                shrink = exp_nats(m - highest)
                weighted = tl.where(total > 0.0, (weighted + (m - highest) * total) * shrink, 0.0)
                total = total * shrink
                m = highest
                s, w, q, k = _sums(row, bias, class_term, y, zy, m, V, padded, cap, BLOCK, HAS_CAP, ENTROPY, ACCURACY)
            total += s
            weighted += w
            classes += q
            beaten = tl.maximum(beaten, k)
            if state is not None:
                tl.store(state + i, m)
                tl.store(state + plane + i, total)
                tl.store(state + 2 * plane + i, weighted)
                tl.store(state + 3 * plane + i, classes)
                tl.store(state + 4 * plane + i, beaten.to(tl.float32))
        if RESULTS or GRADIENT:
            a = tl.load(lse_coefficient + i)
            b = tl.load(target_coefficient + i)
            at_target = exp_nats(zy - m)
            S = total + at_target
            nll = tl.where(m == zy, log1p(total), m - zy + tl.log(S))
            row_lse = tl.where(m == zy, zy + nll, m + tl.log(S))  # of a target at -inf too
            own = tl.where(at_target > 0.0, at_target * (zy - m), 0.0)
            H = tl.where(m == zy, nll, tl.log(S)) - (weighted + own) / S
            if RESULTS:
                row_loss = a * nll + classes + z_loss * row_lse * row_lse
                tl.store(loss + i, tl.where(t == 0.0, 0.0, t * row_loss))
                tl.store(lse + i, row_lse)
                if entropy is not None:
                    tl.store(entropy + i, H)
                if correct is not None:
                    tl.store(correct + i, beaten == 0)
            if GRADIENT:
                g = 0.0
                if gradient_weight is not None:
                    g = tl.load(gradient_weight + i)
                outside = 2.0 * z_loss * row_lse * g  # gradient into lse that does not come from the cross-entropy
                if grad_lse is not None:
                    outside += tl.load(grad_lse + i)
                h = 0.0
                if grad_entropy is not None:
                    h = tl.load(grad_entropy + i)
                inverse = 1.0 / S
                scale = g * a + outside
                p_target = at_target * inverse
                dy = -g * a * (total * inverse) + g * (a - b)
                dy += tl.where(p_target > 0.0, p_target * (outside - h * (zy - row_lse + H)), 0.0)
                if class_term is not None:
                    dy -= g * tl.load(class_term + y, mask=(y >= 0) & (y < V), other=0.0).to(tl.float32)
                lanes = tl.arange(0, BLOCK)
                for start in range(0, V, BLOCK):
                    columns = start + lanes
                    inside = columns < V
                    z = tl.where(columns == y, zy, logits_of(row, columns, inside, padded, bias, cap, HAS_CAP))
                    p = tl.exp2((z - m) * LOG2E) * inverse
                    d = p * scale
                    if grad_entropy is not None:
                        d -= tl.where(p > 0.0, h * p * (z - row_lse + H), 0.0)
                    if class_term is not None:
                        d -= g * tl.load(class_term + columns, mask=inside, other=0.0).to(tl.float32)
                    d = tl.where(columns == y, dy, d)
                    if HAS_CAP:
                        d *= softcap_slope(z, cap)
                    tl.store(row + columns, d.to(logits.dtype.element_ty), mask=columns < padded)
    else:
        if RESULTS:
            tl.store(loss + i, 0.0)
            tl.store(lse + i, 0.0)
            if correct is not None:
                tl.store(correct + i, False)
        if GRADIENT:
            lanes = tl.arange(0, BLOCK)
            zeros = tl.zeros([BLOCK], logits.dtype.element_ty)
            for start in range(0, V, BLOCK):
                tl.store(row + start + lanes, zeros, mask=start + lanes < padded)


def row_state(target_logit: Tensor) -> Tensor:
    """The (5, N) state before any class was swept: offset z_y, then zero sums; see ``row_cross_entropy``."""
    state = torch.zeros((5, target_logit.shape[0]), dtype=torch.float32, device=target_logit.device)
    state[0] = target_logit
    return state


def row_cross_entropy(
    logits: Tensor,
    target: Tensor,
    target_logit: Tensor,
    lse_coefficient: Tensor,
    target_coefficient: Tensor,
    row_weight: Tensor,
    *,
    bias: Tensor | None = None,
    class_term: Tensor | None = None,
    cap: float | None = None,
    z_loss: float = 0.0,
    first: int = 0,
    state: Tensor | None = None,
    sums: bool = True,
    loss: Tensor | None = None,
    lse: Tensor | None = None,
    entropy: Tensor | None = None,
    correct: Tensor | None = None,
    gradient: bool = False,
    gradient_weight: Tensor | None = None,
    grad_lse: Tensor | None = None,
    grad_entropy: Tensor | None = None,
    track_entropy: bool = False,
    track_accuracy: bool = False,
    skip_weightless: bool = False,
) -> Launch:
    """The launch of the kernel on ``logits`` (N, C), classes ``first`` to ``first`` + C; column stride must be 1.

    Rows that are padded to a multiple of 16 columns (``padded_classes``) are read and written with their padding.

    All vectors are (N,) and fp32 except ``target`` (int64) and ``correct`` (bool), contiguous; ``bias`` and
    ``class_term`` (C,) are those of these classes. ``state`` (5, N) as ``row_state`` makes it: pass it when the rows
    come in several pieces, with ``sums`` for a sweep that adds a piece. ``loss`` and ``lse`` (both or none) ask for
    results, ``gradient`` overwrites the logits with dz; entropy results or
    gradients need ``track_entropy`` in every sweep. ``skip_weightless`` leaves rows of weight 0 unread: loss, lse and
    gradient 0, their entropy unset.
    """
    rows, classes = logits.shape
    block = power_of_two(classes, least=128, most=LARGEST_BLOCK)
    if track_entropy or class_term is not None or cap is not None:
        block = min(block, LARGEST_BLOCK // 4)  # fewer threads: more registers for the further sums of each lane
    return Launch(
        row_cross_entropy_kernel,
        (rows,),
        {
            "logits": logits, "row_stride": logits.stride(0), "V": classes, "padded": padded_classes(logits),
            "first": first, "cap": 1.0 if cap is None else cap, "z_loss": z_loss,
            "target": target, "target_logit": target_logit, "lse_coefficient": lse_coefficient,
            "target_coefficient": target_coefficient, "row_weight": row_weight, "bias": bias, "class_term": class_term,
            "state": state, "state_stride": rows if state is None else state.stride(0),
            "loss": loss, "lse": lse, "entropy": entropy, "correct": correct,
            "gradient_weight": gradient_weight, "grad_lse": grad_lse, "grad_entropy": grad_entropy,
            "BLOCK": block, "HAS_CAP": cap is not None, "ENTROPY": track_entropy, "ACCURACY": track_accuracy,
            "SUMS": sums, "RESULTS": loss is not None, "GRADIENT": gradient, "SKIP": skip_weightless,
        },
        num_warps=min(32, max(4, block // (32 * ELEMENTS_PER_THREAD))),
    )  # fmt: skip
