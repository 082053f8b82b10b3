"""The public losses with the code of a CUDA card on CPU tensors, for Triton's interpreter; and what they give back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from fiedler.kernels import csr_target, graph_cross_entropy, linear_cross_entropy, tied_graph_cross_entropy
from fiedler.kernels.graph import cross_entropy as graph_module
from fiedler.kernels.graph import tied_cross_entropy as tied_module
from fiedler.kernels.linear import autograd as autograd_module
from fiedler.kernels.linear import cross_entropy as linear_module
from linear_cases import Case

PATHS = ("chunked", "sweep", "recompute", "exponential", "flash")


@contextmanager
def card_paths() -> Iterator[None]:
    """Every public loss runs what it would run on a card: Triton's kernels, whatever the tensors' device."""
    from fiedler.kernels.linear import cuda

    with pytest.MonkeyPatch.context() as patch:
        for module in (autograd_module, linear_module):
            patch.setattr(module, "implementation", lambda device: cuda)
        patch.setattr(linear_module, "_check_cpu_path", lambda path: None)
        for module in (graph_module, tied_module):
            patch.setattr(module, "resolve", lambda path, _: "flash" if path == "auto" else path)
        yield


@contextmanager
def quick_interpreter() -> Iterator[None]:
    """Triton's interpreter without its checks of overflow, and without patching Triton's language anew at every call of
    a device function, where the launch has patched it: the same results in half the time."""
    import triton.language as tl
    from triton.runtime import interpreter

    seen: set[int] = set()

    def call(self: Any, *arguments: Any, **names: Any) -> Any:
        scope = self.fn.__globals__
        if id(scope) not in seen:
            # Triton's own device functions know triton.language.core, which launches do not patch.
            seen.add(id(scope))
            if any(value is tl.core for value in scope.values()):
                interpreter._patch_lang(self.fn)
        return self.rewrite()(*arguments, **names)

    with pytest.MonkeyPatch.context() as patch:
        options = interpreter.InterpreterOptions(sanitize_overflow=False)
        patch.setattr(interpreter.interpreter_builder, "options", options)
        patch.setattr(interpreter.InterpretedFunction, "__call__", call)
        yield


def serves(path: str, switches: frozenset[str]) -> bool:
    """Whether a path takes these options of ``linear_cases`` together."""
    return not (path in ("sweep", "exponential", "flash") and {"softcap", "smoothing"} <= switches)


@dataclass(frozen=True)
class Outcome:
    """The loss and the per-row results of a call, and the gradients of what ``upstream`` makes of them."""

    loss: Tensor
    lse: Tensor | None
    entropy: Tensor | None
    accuracy: Tensor | None
    gradients: tuple[Tensor | None, ...]

    def tensors(self) -> list[Tensor]:
        parts = (self.loss, self.lse, self.entropy, self.accuracy, *self.gradients)
        return [part.detach() for part in parts if part is not None]


def upstream(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients into the loss (one number, or one a row), lse and entropy; zeros for what is not returned."""
    generator = torch.Generator().manual_seed(1)
    rows = case.target.shape[0]
    loss, lse, entropy = (torch.rand(rows, generator=generator) + 0.5 for _ in range(3))
    if case.options["reduction"] != "none":
        loss = torch.ones(())
    return (
        loss,
        lse if case.options.get("return_lse") else torch.zeros(rows),
        entropy if case.options.get("return_entropy") else torch.zeros(rows),
    )


def run_linear(case: Case, path: str, chunk_rows: int | None = None, **options: Any) -> Outcome:
    """``linear_cross_entropy`` and its backward pass, with upstream gradients into all that is returned."""
    leaves = [
        None if t is None else t.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        for t in (case.input, case.weight, case.bias)
    ]
    out = linear_cross_entropy(
        leaves[0], leaves[1], case.target, bias=leaves[2], class_weight=case.class_weight,
        token_weight=case.token_weight, path=path, chunk_rows=chunk_rows, **{**case.options, **options},
    )  # fmt: skip
    loss, lse, entropy, accuracy = (out, None, None, None) if isinstance(out, Tensor) else out
    into = [(part, up) for part, up in zip((loss, lse, entropy), upstream(case), strict=True) if part is not None]
    torch.autograd.backward([part for part, _ in into], [up for _, up in into])
    return Outcome(loss, lse, entropy, accuracy, tuple(None if t is None else t.grad for t in leaves))


def graph_target(n: int, m: int, *, kind: str = "walk") -> Tensor:
    """A dense target: two neighbours of unlike weight, and one row of none; or one neighbour a row ("named")."""
    target = torch.zeros(n, m)
    rows = torch.arange(n)
    if kind == "named":
        target[rows, (rows + 1) % m] = 1.0
        return target
    target[rows, (rows + 1) % m] += 0.625
    target[rows, (3 * rows + 2) % m] += 0.375
    if n > 2:
        target[n // 2] = 0.0
    return target


def run_graph(
    x: Tensor, c: Tensor | None, bias: Tensor | None, target: Tensor, *, reduction: str = "sum",
    row_weight: Tensor | None = None, path: str = "flash",
) -> Outcome:  # fmt: skip
    """A graph loss and its gradients, of a tied embedding where there is no context ``c``."""
    leaves = [None if t is None else t.detach().clone().requires_grad_() for t in (x, c, bias)]
    sparse = csr_target(target)
    options: Any = {"row_weight": row_weight, "reduction": reduction, "path": path}
    if c is None:
        loss = tied_graph_cross_entropy(leaves[0], sparse, **options)
    else:
        loss = graph_cross_entropy(leaves[0], leaves[1], sparse, bias=leaves[2], **options)
    loss.backward(torch.linspace(0.5, 1.5, loss.numel()).reshape(loss.shape) if loss.dim() else None)
    return Outcome(loss, None, None, None, tuple(None if t is None else t.grad for t in leaves))
