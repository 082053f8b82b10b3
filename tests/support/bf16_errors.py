"""What bfloat16 may cost each path of linear cross-entropy, entry by entry, to first order in its unit roundoff.

Inputs are bf16 numbers, taken as exact. The paths round differently:
    chunked, recompute    logits to bf16 before bias and cap (but not the target's), and their gradients dz
    exponential, flash    logits stay in fp32; the softmax part of dz is rounded, smoothing's is not, nor the target's
                          but for exponential's weight and bias gradients
    sweep                 logits as chunked (unless a block of rows is repeated), dz as exponential
so ``wanted`` takes the first pair's and sweep's logits as a bf16 product gives them, and all else in float64;
``bounds`` has what
rounding dz may do to the products after it, u |dz| |W| and u |dz|' |X|, and to the results, u |result|.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from interpreted_calls import Outcome, upstream
from linear_cases import IGNORE, Case, reference_rows

STORED = ("sweep", "exponential")  # which store exponentials, the target's part among them
U = 2.0**-8  # unit roundoff of bf16: half the distance of neighbours, relative
SINGLE = 2e-5  # sums of fp32: some tens of terms, exponentials of logits of size ten
SQUARED = 1 + 4 * U  # what the first order leaves out


class Wanted(NamedTuple):
    """In float64: the loss and what each row gives, the gradients, and the most that rounding may do to those."""

    loss: Tensor
    lse: Tensor
    entropy: Tensor
    accuracy: Tensor
    gradients: tuple[Tensor, Tensor, Tensor]
    bounds: tuple[Tensor, Tensor, Tensor]
    spread: float  # by how much fp32 rounds more than for logits of size ten


def logits(case: Case, path: str) -> Tensor:
    """x w' in float64, as the path sees it."""
    exact = case.input.double() @ case.weight.double().T
    if path in ("exponential", "flash"):
        return exact
    rounded = torch.mm(case.input, case.weight.T).double()
    rows = torch.arange(len(exact))
    target = case.target.where(case.target != IGNORE, 0)
    rounded[rows, target] = exact[rows, target]
    return rounded


def gradient_path(case: Case, path: str) -> str:
    """The path of the backward pass: a gradient into the entropy needs the logits."""
    return "chunked" if case.options.get("return_entropy") and path in (*STORED, "flash") else path


def formula(case: Case, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The loss as it is returned, lse, entropy, accuracy and the mean's divisor, of logits before bias and cap."""
    bias = None if case.bias is None else case.bias.double()
    rows, lse, entropy, correct, divisor = reference_rows(case, z, torch.eye(z.shape[1], dtype=torch.float64), bias)
    loss = {"none": rows, "sum": rows.sum(), "mean": rows.sum() / divisor}[case.options["reduction"]]
    counted = case.target != IGNORE
    return loss, lse, entropy, (correct & counted).sum().double() / counted.sum(), divisor


def wanted(case: Case, path: str, *, rounding: bool = True) -> Wanted:
    """What the path is to give; with ``rounding`` off the formula itself, nothing rounded but the inputs."""
    values = formula(case, logits(case, path if rounding else "flash"))
    back = gradient_path(case, path)
    z = logits(case, back if rounding else "flash").requires_grad_()
    *outputs, _, divisor = formula(case, z)
    (dz,) = torch.autograd.grad(outputs, z, [up.double() for up in upstream(case)])
    x, w = case.input.double(), case.weight.double()
    made = dz @ w, dz.T @ x, dz.sum(0)
    spread = max(1.0, float(z.detach().abs().max()) / 10.0)
    limits = bounds(case, back, dz.abs(), divisor, made, spread * SINGLE)
    return Wanted(*values[:4], made, limits, spread)


def bounds(
    case: Case,
    path: str,
    size: Tensor,
    divisor: Tensor,
    made: tuple[Tensor, Tensor, Tensor],
    single: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The most that the gradients ``made`` may be off: ``size`` is |dz|, ``single`` the roundoff of fp32 sums."""
    x, w = case.input.double().abs(), case.weight.double().abs()
    rows = torch.arange(len(size))
    own = case.target.where(case.target != IGNORE, 0)
    slope, class_weight = slopes(case, divisor)
    rounded, exact = size.clone(), size.clone()
    if path in (*STORED, "flash"):
        smoothing = case.options.get("label_smoothing", 0.0)  # the softmax part alone may be larger than the whole
        rounded += torch.outer(slope, smoothing / w.shape[0] * class_weight)
        exact = rounded.clone()
        rounded[rows, own] = 0.0
    if case.options.get("label_smoothing"):  # a - b and u_y, of numbers of the size of a, may cancel
        exact[rows, own] += slope * class_weight[own] * 2.0**-22 / single
    input_u, weight_u, bias_u = (U, U, 0.0) if path == "flash" else (U, 2 * U, U) if path in STORED else (U, U, U)
    stored = exact if path in STORED else rounded
    parts = (
        (input_u, rounded @ w, exact @ w), (weight_u, stored.T @ x, exact.T @ x),
        (bias_u, stored.sum(0), exact.sum(0)),
    )  # fmt: skip
    return tuple(  # type: ignore[return-value]
        SQUARED * (u * part + single * whole + U * result.abs()) + 2.0**-133
        for (u, part, whole), result in zip(parts, made, strict=True)
    )


def slopes(case: Case, divisor: Tensor) -> tuple[Tensor, Tensor]:
    """|dl_i / d bracket of the row| (N,), and the class weights (V,)."""
    classes = case.weight.shape[0]
    weight = torch.ones(classes) if case.class_weight is None else case.class_weight
    token = torch.ones(len(case.target)) if case.token_weight is None else case.token_weight
    g = token.double() * (case.target != IGNORE) * upstream(case)[0].double()
    if case.options["reduction"] == "mean":
        g = g / divisor.detach()
    return g.abs(), weight.double()


def check(got: Outcome, want: Wanted) -> None:
    """Every entry within its bound."""
    values = (("loss", got.loss, want.loss), ("lse", got.lse, want.lse), ("entropy", got.entropy, want.entropy))
    for name, one, right in values:
        if one is not None:
            scale = right.detach().abs().clamp_min(1e-3)  # an entropy near 0 is a difference of numbers near 1
            worst = float(((one.detach().double() - right.detach()).abs() / scale).max())
            assert worst <= 3 * SINGLE * want.spread, f"{name}: relative error {worst:.2e}"
    if got.accuracy is not None:
        assert abs(float(got.accuracy) - float(want.accuracy)) < 1e-6
    for name, one, right, bound in zip(("input", "weight", "bias"), got.gradients, want.gradients, want.bounds,
                                       strict=True):  # fmt: skip
        if one is None:
            continue
        assert one.dtype == torch.bfloat16, f"gradient of {name}: {one.dtype}"
        excess = float(((one.double() - right).abs() / bound).nan_to_num(nan=torch.inf).max())
        assert excess <= 1.0, f"gradient of {name}: {excess:.2f} times what rounding explains"
