"""The sharded losses with the kernels of a card, in the interpreter: in groups of two and three processes and alone,
against the loss of one process in float64 and against the plain tiles."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

import fused_processes
import sharded_processes
from fused_processes import CASES, PROCESSES
from interpreted import INTERPRETED, run_interpreted
from linear_cases import relative_error
from sharded_processes import TARGETS, Case, D
from worlds import found_by

# Norm of the error over the norm: fp32 sums of a hundred terms, p rounded to 16 bits before a product; logits of a
# hundred are rounded to 1e-5, and so is each p.
CLOSE = {torch.float32: 5e-6, torch.float16: 3e-3}
FAR = 3e-5

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from bf16_interpreter import bf16_emulated
    from fiedler.kernels import (
        csr_target,
        graph_cross_entropy,
        sharded_graph_cross_entropy,
        sharded_target,
        tied_graph_cross_entropy,
        tied_sharded_graph_cross_entropy,
    )
    from fiedler.kernels.gpu.flash_tiles import LARGEST_WIDTH
    from fiedler.kernels.gpu.launch import Launch
    from fiedler.kernels.sharded import fused as module
    from fiedler.kernels.sharded.cross_entropy import runs_fused
    from interpreted_calls import quick_interpreter

    @pytest.fixture(autouse=True)
    def _quick() -> Any:
        with quick_interpreter():
            yield

    @pytest.fixture(scope="module")
    def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
        """What each process found."""
        return found_by(fused_processes.__file__, tmp_path_factory.mktemp("processes"), PROCESSES)

    def exact(case: Case) -> dict[str, Tensor]:
        """By the loss of one process, of the same numbers in float64."""
        whole = sharded_processes.tensors(case)
        x = whole.embedding.double().requires_grad_(case.learns[0])
        c = whole.context.double().requires_grad_(case.learns[1])
        weight = None if whole.weight is None else whole.weight.double()
        options: dict[str, Any] = {"row_weight": weight, "reduction": case.reduction, "path": "reference"}
        target = csr_target(TARGETS[case.target], dtype=torch.float64)
        if case.tied:
            loss = tied_graph_cross_entropy(x, target, **options)
        else:
            loss = graph_cross_entropy(x, c, target, **options)
        if loss.requires_grad:
            loss.backward(torch.tensor(1.5, dtype=torch.float64))
        grads = {name: leaf.grad for name, leaf in (("embedding", x), ("context", c)) if leaf.grad is not None}
        return {"loss": loss.detach(), **grads}

    def assert_close(parts: list[dict[str, Tensor]], case: Case, wanted: dict[str, Tensor]) -> None:
        for one in parts:
            assert one.keys() == wanted.keys()
            assert torch.equal(one["loss"], parts[0]["loss"])
        for key, right in wanted.items():
            got = parts[0][key] if key == "loss" else torch.cat([one[key] for one in parts])
            assert got.shape == right.shape
            assert got.dtype == (torch.float32 if key == "loss" else case.dtype)
            if not right.double().norm():
                assert not got.any(), key
                continue
            allowed = FAR if case.scale > 1 else CLOSE[torch.float32 if key == "loss" else case.dtype]
            assert relative_error(got, right.double()) < allowed, key

    def whole_of(case: Case) -> Case:
        n, m = TARGETS[case.target].shape
        return replace(case, sizes=(n,), columns=(m,) if case.columns else None)

    @pytest.mark.parametrize("name", CASES)
    def test_a_group_is_one_process(found: list[dict[Any, Any]], name: str) -> None:
        parts = [one[name] for one in found if name in one]
        assert len(parts) == len(CASES[name].sizes)
        assert_close(parts, CASES[name], exact(CASES[name]))

    @pytest.mark.parametrize("name", CASES)
    def test_a_group_repeats_itself_bit_by_bit(found: list[dict[Any, Any]], name: str) -> None:
        assert all(one["again", name] for one in found if name in one)

    @pytest.mark.parametrize("name", [name for name in CASES if name != "large tied, half"])  # a quarter of the time
    def test_alone_and_by_plain_tiles(name: str) -> None:
        alone = whole_of(CASES[name])
        by_kernels = sharded_processes.run(alone, fused=True)
        assert_close([by_kernels], alone, exact(alone))
        assert_close([by_kernels], alone, sharded_processes.run(alone))

    def test_bytes_sent(found: list[dict[Any, Any]]) -> None:
        """Contexts once for the loss and the embedding's gradient, once more for their own, which passes everyone;
        tied, the second time with offset, factor, slope and pivot."""
        for one in found:
            traffic, block, n = one["traffic"], 4 * D, 9
            assert traffic["even"] == 2 * 4 * block + 6 * block
            assert traffic["tied"] == 4 * block + 4 * (block + 3 * 4 + 8)
            assert traffic["embedding alone"] == traffic["loss alone"] == 6 * block
            assert traffic["context alone"] == 2 * 6 * block + n * block

    def test_bf16_is_as_exact_as_its_operands() -> None:
        case = replace(whole_of(CASES["large tied"]), dtype=torch.bfloat16, target="ragged", sizes=(9,))
        with bf16_emulated():
            for one in (case, replace(case, tied=False)):
                got, right = sharded_processes.run(one, fused=True), exact(one)
                assert relative_error(got["loss"], right["loss"]) < CLOSE[torch.float32]
                assert relative_error(got["embedding"], right["embedding"]) < 8 * CLOSE[torch.float16]  # 3 bits fewer

    @pytest.mark.parametrize("odds", [3e-3, 1e-6])  # 1 - p
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    def test_confident_rows_keep_their_gradient(dtype: torch.dtype, odds: float) -> None:
        """One neighbour a row: the loss and the gradient are made of 1 - p."""
        n, width = 40, 64
        noise = 0.02 * torch.randn(n, width, generator=torch.Generator().manual_seed(3))
        c = (torch.eye(n, width) * math.log((n - 1) / odds) ** 0.5 + noise).to(dtype)
        names, weight = torch.arange(n).roll(1), torch.full((n,), 2.0**9)
        for tied in (False, True):
            if tied:
                names = torch.arange(n)  # each names itself, which alone can be likely
            x = c[names]
            target = replace(sharded_target(sp.csr_array(torch.eye(n)[names].numpy()), tied=tied), fused=True)
            leaves = [leaf.clone().requires_grad_() for leaf in ((x,) if tied else (x, c))]
            right = [leaf.detach().double().requires_grad_() for leaf in leaves]
            function = tied_sharded_graph_cross_entropy if tied else sharded_graph_cross_entropy
            loss = function(*leaves, target, row_weight=weight)
            loss.backward()
            z = right[0] @ right[-1].T
            rest = z.masked_fill(torch.eye(n, dtype=torch.bool)[names], -math.inf).logsumexp(1)
            wanted = (torch.nn.functional.softplus(rest - z[torch.arange(n), names]) * weight).sum()
            wanted.backward()
            # A logit of 17 is rounded to 1e-6 in fp32, and so is each 1 - p.
            assert relative_error(loss.detach(), wanted.detach()) < 4 * CLOSE[torch.float32]
            for found_here, exact_here in zip(leaves, right, strict=True):
                assert relative_error(found_here.grad, exact_here.grad) < max(CLOSE[dtype], 4 * CLOSE[torch.float32])

    def test_who_runs_where() -> None:
        plain = sharded_target(sp.eye_array(4, format="csr"), tied=True)
        assert not plain.fused  # on the CPU
        fused = replace(plain, fused=True)
        for dtype, widest in LARGEST_WIDTH.items():
            assert runs_fused(torch.zeros(4, widest, dtype=dtype), fused)
            assert not runs_fused(torch.zeros(4, widest + 1, dtype=dtype), fused)
            assert not runs_fused(torch.zeros(4, 0, dtype=dtype), fused)
            assert not runs_fused(torch.zeros(4, widest, dtype=dtype), plain)
        assert not runs_fused(torch.zeros(4, 8, dtype=torch.float64), fused)

    def test_the_kernels_run_and_no_logits_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
        from torch.utils._python_dispatch import TorchDispatchMode

        n, largest, launched = 300, 0, set()

        class Record(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                nonlocal largest
                out = func(*args, **(kwargs or {}))
                for tensor in out if isinstance(out, (tuple, list)) else (out,):
                    if isinstance(tensor, Tensor):
                        largest = max(largest, tensor.numel())
                return out

        def count(launch: Launch) -> None:
            launched.add(launch.kernel.__name__)  # nothing is computed: allocations are made all the same

        monkeypatch.setattr(Launch, "run", count)
        x = torch.zeros(n, 16, requires_grad=True)
        rows = sp.csr_array(sp.eye_array(n, k=1) + sp.eye_array(n, k=-1))
        for tied in (True, False):
            target = replace(sharded_target(rows, tied=tied), fused=True)
            with Record():
                if tied:
                    tied_sharded_graph_cross_entropy(x, target)
                else:
                    sharded_graph_cross_entropy(x, x.detach().clone().requires_grad_(), target)
        assert largest <= n * 16
        assert {"others_average_kernel", "tied_average_kernel", "transpose_average_kernel"} <= launched

    def test_pivots_in_and_out_of_a_block() -> None:
        pivot = torch.tensor([0, 6, 7, 9, 10, 2**40])
        assert module.pivot_within(pivot, 7, 3).tolist() == [-1, -1, 0, 2, -1, -1]
