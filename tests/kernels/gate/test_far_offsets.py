"""Every launch of every path again with the rows of its matrices so far apart that offsets pass 2^31: the same bits."""

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
    import mmap
    from collections import defaultdict
    from dataclasses import replace

    import torch
    import triton
    import triton.language as tl
    from torch import Tensor

    from bf16_interpreter import bf16_emulated
    from fiedler.kernels.gpu.launch import Launch
    from fiedler.kernels.gpu.scale import BLOCK, scale
    from gate_calls import CALLS, KERNELS
    from gate_memory import FAR, NO_RESERVE, far_arguments, resident_bytes
    from gate_programs import name_of, program_ids, programs
    from interpreted_calls import card_paths, quick_interpreter

    # Between them every kernel but scale.
    SHORT = ("chunked, bf16, plain", "recompute, fp32, plain", "exponential, bf16, all options",
             "sweep, bf16, plain", "flash, bf16, all options", "tied, bf16",
             "tied, bf16, half of the tiles")  # fmt: skip
    VECTORS = {"row_terms_kernel", "row_gradients_kernel"}  # whose offsets are numbers of rows
    MOVED: dict[str, set[str]] = defaultdict(set)

    @pytest.fixture(autouse=True)
    def _as_on_a_card():
        with card_paths(), quick_interpreter(), bf16_emulated():
            yield

    def run_far(launch: Launch) -> dict[str, Tensor]:
        """The launch on copies far apart; returns its tensors."""
        arguments, names = far_arguments(name_of(launch), dict(launch.arguments))
        MOVED[name_of(launch)].update(names)
        far = replace(launch, arguments=arguments)
        with programs(far) as run:
            for index in program_ids(far):
                run(index)
        return {name: value for name, value in arguments.items() if isinstance(value, Tensor)}

    def check_far(launch: Launch, run: object) -> None:
        far = run_far(launch)
        run(launch)  # type: ignore[operator]
        for name, value in far.items():
            compact = launch.arguments[name]
            same = torch.equal(compact.nan_to_num(), value.nan_to_num())
            assert same, f"{name_of(launch)}: {name} differs where offsets pass 2^31"

    # The kernel scale takes contiguous numbers: it has a test of its own below.
    @pytest.mark.parametrize("call", [call for call in CALLS if "scale" not in call] if WHOLE else SHORT)
    def test_far_rows(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
        run = Launch.run
        monkeypatch.setattr(Launch, "run", lambda self: check_far(self, run))
        CALLS[call](0)
        assert resident_bytes() < 2**30

    def test_a_tensor_of_more_than_32_bits_count_is_scaled() -> None:
        """The last program of billions of numbers, which reads and writes beyond 2^31."""
        numbers = FAR + 5000
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
        matrix = torch.frombuffer(mmap.mmap(-1, 4 * numbers, flags=kind), dtype=torch.float32)
        matrix[-5000:] = 3.0
        launch = scale(matrix, torch.tensor(0.5))
        assert launch.grid == (-(-numbers // BLOCK),)
        with programs(launch) as run:
            run((launch.grid[0] - 1, 0, 0))
        assert bool((matrix[-5000:] == 1.5).all())
        MOVED["scale_kernel"].add("matrix")

    def test_every_kernel_was_far() -> None:
        missing = KERNELS - VECTORS - {name for name, names in MOVED.items() if names}
        assert not missing, f"no matrix of {sorted(missing)} was far: add a call to gate_calls.CALLS or SHORT"

    # A planted fault.

    @triton.jit
    def narrow_kernel(matrix, matrix_stride, out, SIZE: tl.constexpr):
        """Row times stride in 32 bits."""
        i = tl.program_id(0)
        d = tl.arange(0, SIZE)
        tl.store(out + i * SIZE + d, tl.load(matrix + i * matrix_stride + d, mask=i * matrix_stride >= 0, other=0.0))

    def test_offsets_of_32_bits_are_seen() -> None:
        matrix, out = torch.randn(5, 16), torch.empty(5 * 16)
        arguments = {"matrix": matrix, "matrix_stride": matrix.stride(0), "out": out, "SIZE": 16}
        launch = Launch(narrow_kernel, (5,), arguments, num_warps=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(__import__("gate_memory").STRIDES, "matrix", ("matrix_stride",))
            with pytest.raises(AssertionError, match="out differs where offsets pass"):
                check_far(launch, Launch.run)
