"""Inputs, workspaces, results and whatever PyTorch makes in between flush against pages that may not be touched, before
and behind; what is not written holds NaN. A read or write too far ends the process, named by the test it was in."""

from __future__ import annotations

import pytest

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
    import faulthandler
    import os
    import signal

    import torch
    import triton
    import triton.language as tl
    from torch import Tensor

    from bf16_interpreter import bf16_emulated
    from fiedler.kernels.gpu.launch import Launch
    from gate_calls import CALLS
    from gate_memory import Guarded, guarded_like
    from interpreted_calls import Outcome, card_paths, quick_interpreter
    from linear_cases import relative_error

    SHORT = ("chunked, bf16, all options", "recompute, fp32, plain", "exponential, bf16, all options",
             "flash, fp32, softcap", "graph, bf16", "graph, fp32, wide", "tied, bf16", "tied, bf16, half of the tiles",
             "tied block, fp32")  # fmt: skip

    @pytest.fixture(autouse=True)
    def _as_on_a_card():
        with card_paths(), quick_interpreter(), bf16_emulated():
            yield

    @pytest.mark.parametrize("front", [False, True], ids=["behind", "before"])
    @pytest.mark.parametrize("call", CALLS if WHOLE else SHORT)
    def test_nothing_beyond_a_tensor_is_touched(call: str, front: bool) -> None:
        if not WHOLE and front:
            pytest.skip("in the whole set")
        with Guarded(front=front) as guard:
            found = CALLS[call](0)
            assert guard.made > 0
        if isinstance(found, Outcome):
            for one, plain in zip(found.tensors(), CALLS[call](0).tensors(), strict=True):  # type: ignore[attr-defined]
                assert bool(torch.isfinite(one).all()), f"{call}: not all of a result was written, or NaN was read"
                assert relative_error(one, plain) < (1e-5 if "fp32" in call else 2.0**-7)

    # Planted faults, each in a process of its own.

    @triton.jit
    def beyond_kernel(matrix, out, SIZE: tl.constexpr, SHIFT: tl.constexpr):
        """Reads one number before or behind the tensor."""
        i = tl.arange(0, SIZE)
        tl.store(out + i, tl.load(matrix + i + SHIFT))

    @triton.jit
    def lazy_kernel(matrix, out, SIZE: tl.constexpr, SHIFT: tl.constexpr):
        """Leaves the last number of its result as it was."""
        i = tl.arange(0, SIZE)
        tl.store(out + i, tl.load(matrix + i), mask=i < SIZE - 1)

    def launch(kernel: object, matrix: Tensor, out: Tensor, shift: int) -> None:
        arguments = {"matrix": matrix, "out": out, "SIZE": 64, "SHIFT": shift}
        Launch(kernel, (1,), arguments, num_warps=1).run()

    def dies(front: bool, shift: int) -> bool:
        """Whether a process dies of reading ``shift`` numbers beyond a guarded tensor."""
        matrix = guarded_like(torch.empty(64), front=front).fill_(1.0)
        child = os.fork()
        if child == 0:
            faulthandler.disable()
            launch(beyond_kernel, matrix, torch.empty(64), shift)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV

    def test_one_number_too_far_is_seen() -> None:
        assert dies(front=False, shift=1)
        assert dies(front=True, shift=-1)
        assert not dies(front=False, shift=0)
        assert not dies(front=True, shift=0)

    def test_a_number_that_is_not_written_is_seen() -> None:
        with Guarded(front=False):
            matrix, out = torch.ones(64), torch.empty(64)
            launch(lazy_kernel, matrix, out, 0)
        assert torch.isnan(out).tolist() == [False] * 63 + [True]
