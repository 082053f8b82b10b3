"""No kernel depends on the order of its programs, or on what else runs: shuffled, and in turns with the same launch on
other numbers, every launch of every path leaves the same bits; and no two programs of one share a byte that is written.
"""

from __future__ import annotations

import random

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
    import torch
    import triton
    import triton.language as tl

    from bf16_interpreter import bf16_emulated
    from fiedler.kernels.gpu.launch import Launch
    from gate_calls import CALLS, KERNELS
    from gate_programs import Recorded, programs, recording, run_in_turns, run_shuffled
    from interpreted_calls import card_paths, quick_interpreter

    @pytest.fixture(autouse=True)
    def _as_on_a_card():
        with card_paths(), quick_interpreter(), bf16_emulated():
            yield

    def recorded(call: str, seed: int) -> list[Recorded]:
        with recording() as found:
            CALLS[call](seed)
        return found

    SEEN: set[str] = set()

    SHORT = (
        "chunked, bf16, plain",
        "exponential, bf16, plain",
        "flash, fp32, plain",
        "graph, bf16",
        "tied, fp32",
    )

    @pytest.mark.parametrize("call", CALLS if WHOLE else SHORT)
    def test_the_order_of_programs_does_not_matter(call: str) -> None:
        draw = random.Random(0)
        once, other = recorded(call, 0), recorded(call, 1)
        assert [one.name for one in once] == [one.name for one in other]
        for one, two in zip(once, other, strict=True):
            SEEN.add(one.name)
            twice, foreign = run_shuffled(one, draw)
            assert not one.changed(), f"{one.name} over {one.launch.grid}: the order of programs changes its bits"
            run_in_turns(one, two, draw)
            for either in (one, two):
                assert not either.changed(), f"{one.name}: another launch in between changes its bits"
            assert (twice, foreign) == (0, 0), (
                f"{one.name} over {one.launch.grid}: {twice} bytes are written by two programs, {foreign} are written "
                "by one and read by another"
            )

    def test_every_kernel_was_seen() -> None:
        if WHOLE:
            assert KERNELS == SEEN

    # Planted faults.

    @triton.jit
    def neighbour_kernel(matrix, out, SIZE: tl.constexpr):
        """Reads what the program before it has written."""
        i = tl.program_id(0)
        d = tl.arange(0, SIZE)
        before = tl.load(out + tl.maximum(i - 1, 0) * SIZE + d)
        tl.store(out + i * SIZE + d, before + tl.load(matrix + i * SIZE + d))

    @triton.jit
    def overlapping_kernel(matrix, out, SIZE: tl.constexpr):
        """Writes one number too many."""
        i = tl.program_id(0)
        d = tl.arange(0, 2 * SIZE)
        tl.store(out + i * SIZE + d, tl.load(matrix + i * SIZE + d, mask=d < SIZE, other=0.0), mask=d < SIZE + 1)

    @pytest.mark.parametrize("kernel", [neighbour_kernel, overlapping_kernel])
    def test_a_race_is_seen(kernel: object) -> None:
        matrix = torch.randn(9, 8)
        out = torch.zeros(10, 8)
        with recording() as found:
            Launch(kernel, (9,), {"matrix": matrix, "out": out, "SIZE": 8}, num_warps=1).run()
        assert run_shuffled(found[0], random.Random(0)) != (0, 0)
        assert found[0].changed()

    def test_state_outside_the_tensors_is_seen() -> None:
        """Two passes that share a scratch tensor: each is right by itself, and wrong in turns with the other."""
        scratch = torch.zeros(8)

        @triton.jit
        def scratch_kernel(matrix, out, scratch, SIZE: tl.constexpr):
            i = tl.program_id(0)
            d = tl.arange(0, SIZE)
            if i == 0:
                tl.store(scratch + d, tl.load(matrix + d))
            tl.store(out + i * SIZE + d, tl.load(scratch + d))

        passes = []
        for seed in range(2):
            matrix, out = torch.full((4, 8), float(seed)), torch.zeros(4, 8)
            arguments = {"matrix": matrix, "out": out, "scratch": scratch, "SIZE": 8}
            passes.append(Launch(scratch_kernel, (4,), arguments, num_warps=1))
        for launch in passes:
            with programs(launch) as run:
                for index in range(4):
                    run((index, 0, 0))
        with programs(passes[0]) as first, programs(passes[1]) as second:
            for index in range(4):
                first((index, 0, 0)), second((index, 0, 0))
        assert not bool((passes[0].arguments["out"] == 0.0).all())
