"""Small cases of linear cross-entropy and the plain float64 formula that every path is compared with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fiedler.kernels.profiling.switches import SWITCHES, option_values

IGNORE = -100


@dataclass(frozen=True)
class Case:
    """Inputs and switched-on options of one call; tensors in the dtype under test, constants in float32."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    target: Tensor
    class_weight: Tensor | None
    token_weight: Tensor | None
    options: dict[str, Any] = field(default_factory=dict)


def option_pairs() -> Iterator[frozenset[str]]:
    """No option, every pair of options, and all at once."""
    yield frozenset()
    for pair in itertools.combinations(SWITCHES, 2):
        yield frozenset(pair)
    yield frozenset(SWITCHES)


def make_case(
    switches: frozenset[str], *, rows: int, classes: int, width: int, dtype: torch.dtype, reduction: str = "sum",
    seed: int = 0, size: float = 1.0, device: str = "cpu",
) -> Case:  # fmt: skip
    """Random tensors; ``size`` scales the logits' spread. The first target repeats, so that a class is summed."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    x = (normal(rows, width) * size).to(dtype)
    w = (normal(classes, width) / width**0.5).to(dtype)
    target = torch.randint(classes, (rows,), generator=generator)
    target[-1] = target[0]
    if "ignored" in switches:
        target[1::3] = IGNORE
    uniform = torch.rand((classes,), generator=generator) + 0.5, torch.rand((rows,), generator=generator) + 0.5
    options: dict[str, Any] = {"reduction": reduction, "ignore_index": IGNORE, **option_values(switches)}
    parts = (
        x, w, (normal(classes) * size).to(dtype) if "bias" in switches else None, target,
        uniform[0] if "class_weight" in switches else None, uniform[1] if "token_weight" in switches else None,
    )  # fmt: skip
    return Case(*(None if part is None else part.to(device) for part in parts), options)


def reference_rows(case: Case, x: Tensor, w: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """l_i, lse_i, entropy_i, correct_i and the divisor of the mean, by definition, in the dtype of ``x``."""
    z = x @ w.T
    if b is not None:
        z = z + b
    cap = case.options.get("logit_softcap")
    if cap is not None:
        z = cap * torch.tanh(z / cap)
    lse = torch.logsumexp(z, 1)
    logp = z - lse[:, None]
    p = logp.exp()
    entropy = -torch.where(p > 0, p * logp, torch.zeros_like(p)).sum(1)
    kept = case.target != IGNORE
    y = case.target.where(kept, 0)
    classes = w.shape[0]
    weight = torch.ones(classes, dtype=z.dtype, device=z.device)
    if case.class_weight is not None:
        weight = case.class_weight.to(z.dtype)
    smoothing = case.options.get("label_smoothing", 0.0)
    own = -weight[y] * logp.gather(1, y[:, None])[:, 0]
    loss = (1 - smoothing) * own
    if smoothing:
        loss = loss - smoothing / classes * (logp @ weight)
    loss = loss + case.options.get("z_loss", 0.0) * lse**2
    token = kept.to(z.dtype) if case.token_weight is None else case.token_weight.to(z.dtype) * kept
    correct = (z.argmax(1) == y) & kept
    return torch.where(token == 0, 0.0, token * loss), lse, entropy, correct, (token * weight[y]).sum()


def leaves(case: Case, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input, weight and bias as fresh leaves of the reference."""
    made = (None if t is None else t.to(dtype).requires_grad_() for t in (case.input, case.weight, case.bias))
    return tuple(made)  # type: ignore[return-value]


def relative_error(got: Tensor, want: Tensor) -> float:
    """Largest error over the largest entry wanted; NaN counts as infinite."""
    if want.numel() == 0:
        return 0.0
    scale = max(float(want.abs().max()), 1e-30)
    error = float((got.double() - want.double()).abs().max()) / scale
    return error if error == error else float("inf")
