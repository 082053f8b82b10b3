"""The graph losses in bfloat16 in the interpreter, context of its own and tied: each entry of every gradient within
what rounding to bf16 explains."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gate import WHOLE, run_short, run_whole
from interpreted import INTERPRETED

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_short(__file__)

    @pytest.mark.triton
    @pytest.mark.long
    @pytest.mark.timeout(3600)
    def test_all_in_the_interpreter() -> None:
        run_whole(__file__)

else:
    from bf16_errors import SINGLE, SQUARED, U
    from bf16_interpreter import bf16_emulated
    from fiedler.kernels import csr_target
    from fiedler.kernels.gpu.flash_tiles import LARGEST_WIDTH
    from fiedler.kernels.graph import cuda as graph_cuda
    from interpreted_calls import Outcome, card_paths, graph_target, quick_interpreter, run_graph

    WIDE = LARGEST_WIDTH[torch.bfloat16] + 24  # beyond it the logits are stored

    @pytest.fixture(autouse=True)
    def _as_on_a_card(monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(graph_cuda, "BLOCK_BYTES", 2 * 37 * 5)  # five rows of 37 classes
        with card_paths(), quick_interpreter(), bf16_emulated():
            yield

    def normal(*shape: int, seed: int, size: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * size).bfloat16()

    def check(
        got: Outcome, x: Tensor, c: Tensor | None, bias: Tensor | None, target: Tensor, weight: Tensor | None,
        reduction: str,
    ) -> None:  # fmt: skip
        """Against dz = w (r p - T) in float64, of logits rounded as the path rounds them (but for the pivots)."""
        tied, context = c is None, (x if c is None else c)
        pivot = csr_target(target).pivot
        rows = torch.arange(len(x))
        z = x.double() @ context.double().T
        if x.shape[1] > LARGEST_WIDTH[x.dtype]:
            exact = z[rows, pivot]
            z = torch.mm(x, context.T).double()
            z[rows, pivot] = exact
        if bias is not None:
            z = z + bias.double()
        full, w = target.double(), torch.ones(len(x)) if weight is None else weight
        upstream = {
            "sum": torch.ones(()), "mean": 1.0 / w.sum(), "none": torch.linspace(0.5, 1.5, len(x)),
        }[reduction].double()  # fmt: skip
        scale = w.double() * upstream
        loss = full.sum(1) * torch.logsumexp(z, 1) - (full * (x.double() @ context.double().T)).sum(1)
        if bias is not None:
            loss = loss - full @ bias.double()
        loss = loss * w if reduction == "none" else (loss * w).sum() / (w.sum() if reduction == "mean" else 1.0)
        p = torch.softmax(z, 1)
        dz = scale[:, None] * (full.sum(1, keepdim=True) * p - full)
        rounded = (scale * full.sum(1))[:, None] * p
        whole = rounded + scale[:, None] * full
        rounded[rows, pivot] = 0.0
        assert float(((got.loss.detach() - loss).abs() / loss.abs().clamp_min(1e-3)).max()) < 3 * SINGLE
        left, right = x.double(), context.double()
        if tied:
            parts = [("embedding", dz @ right + dz.T @ left, *((m + m.T) @ right.abs() for m in (rounded, whole)))]
        else:
            parts = [("embedding", dz @ right, *(m @ right.abs() for m in (rounded, whole))),
                     ("context", dz.T @ left, *(m.T @ left.abs() for m in (rounded, whole)))]  # fmt: skip
            if bias is not None:  # sums of fp32 probabilities, but for the wide form's, which are stored
                stored = rounded if x.shape[1] > LARGEST_WIDTH[x.dtype] else 0.0 * rounded
                parts.append(("bias", dz.sum(0), stored.sum(0), whole.sum(0)))
        for (name, want, noise, size), one in zip(parts, [g for g in got.gradients if g is not None], strict=True):
            # One rounding of the result, one of its product with the upstream number where that is not 1.
            bound = SQUARED * (U * noise + SINGLE * size + 2 * U * want.abs()) + 2.0**-133
            excess = float(((one.double() - want).abs() / bound).nan_to_num(nan=torch.inf).max())
            assert one.dtype == torch.bfloat16
            assert excess <= 1.0, f"gradient of {name}: {excess:.2f} times what rounding explains"

    SHAPES = [(11, 37, 20), (70, 37, 64), (1, 1, 1), (20, 37, WIDE)] if WHOLE else [(11, 37, 20), (7, 37, WIDE)]

    @pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_own_context(shape: tuple[int, int, int], reduction: str) -> None:
        n, m, width = shape
        size = 1.0 if width < 100 else 0.25
        for kind, biased, weighted in [("walk", True, True), ("named", False, False)][: 2 if WHOLE else 1]:
            x, c = normal(n, width, seed=0, size=size), normal(m, width, seed=1)
            bias = normal(m, seed=2) if biased else None
            weight = torch.linspace(0.5, 2.0, n) if weighted else None
            target = graph_target(n, m, kind=kind)
            got = run_graph(x, c, bias, target, reduction=reduction, row_weight=weight)
            check(got, x, c, bias, target, weight, reduction)

    @pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
    @pytest.mark.parametrize("shape", [(37, 20), (70, 64), (1, 1), (37, WIDE)] if WHOLE else [(19, 20)], ids=str)
    def test_tied(shape: tuple[int, int], reduction: str) -> None:
        n, width = shape
        for kind, weighted in [("walk", True), ("named", False)][: 2 if WHOLE else 1]:
            x = normal(n, width, seed=0, size=0.6 if width < 100 else 0.25)
            weight = torch.linspace(0.5, 2.0, n) if weighted else None
            target = graph_target(n, n, kind=kind)
            got = run_graph(x, None, None, target, reduction=reduction, row_weight=weight)
            check(got, x, None, None, target, weight, reduction)

    @pytest.mark.parametrize("width", [64, WIDE])
    @pytest.mark.parametrize("odds", [1e-2, 1e-4, 1e-6] if WHOLE else [1e-4])
    @pytest.mark.parametrize("tied", [False, True])
    def test_confident_rows(tied: bool, odds: float, width: int) -> None:
        """One neighbour a row, which it predicts with 1 - p near ``odds``; tied, each row names itself."""
        n = 24
        c = (torch.eye(n, width) * math.log((n - 1) / odds) ** 0.5 + 0.02 * normal(n, width, seed=0)).bfloat16()
        names = torch.arange(n) if tied else torch.arange(n).roll(1)
        target, x = torch.eye(n)[names], c[names].clone()
        got = run_graph(x, None if tied else c, None, target)
        check(got, x, None if tied else c, None, target, None, "sum")

    def test_a_pivot_left_in_the_product_is_seen() -> None:
        """A planted fault: p at the pivot rounded to bf16 before the target is taken off."""
        n, width = 24, 64
        c = (torch.eye(n, width) * math.log((n - 1) / 1e-4) ** 0.5 + 0.02 * normal(n, width, seed=0)).bfloat16()
        names = torch.arange(n).roll(1)
        target, x = torch.eye(n)[names], c[names].clone()
        got = run_graph(x, c, None, target)
        p = torch.softmax(x.double() @ c.double().T, 1).bfloat16().double()
        wrong = (((p - target) @ c.double()).bfloat16(), ((p - target).T @ x.double()).bfloat16(), None)
        with pytest.raises(AssertionError, match="times what rounding explains"):
            check(Outcome(got.loss, None, None, None, wrong), x, c, None, target, None, "sum")
