"""Linear cross-entropy in bfloat16, every path with every pair of options, in the interpreter: each entry of every
result within what rounding to bf16 explains, and the whole no further from float64 than PyTorch's own bf16."""

from __future__ import annotations

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
    import bf16_interpreter
    from bf16_errors import check, wanted
    from bf16_interpreter import bf16_emulated
    from gate_cases import RAGGED, REDUCTIONS, SHAPES, confident_case, covering
    from interpreted_calls import PATHS, card_paths, quick_interpreter, run_linear, serves
    from linear_cases import Case, leaves, make_case, option_pairs, reference_rows

    FACTOR = 1.1  # at most so many times the error of PyTorch's formula in bf16, as the tests on a card have it
    FLOOR = 4e-3  # one rounding: below it a comparison of errors is one of chance

    @pytest.fixture(autouse=True)
    def _as_on_a_card():
        with card_paths(), quick_interpreter(), bf16_emulated():
            yield

    def bf16_case(switches: frozenset[str], shape: tuple[int, int, int], seed: int, size: float = 2.0) -> Case:
        rows, classes, width = shape
        return make_case(
            switches, rows=rows, classes=classes, width=width, dtype=torch.bfloat16, seed=seed, size=size,
            reduction=REDUCTIONS[seed % 3],
        )  # fmt: skip

    def check_case(case: Case, path: str, chunk_rows: int | None, of: str) -> None:
        try:
            check(run_linear(case, path, chunk_rows), wanted(case, path))
        except AssertionError as error:
            raise AssertionError(f"{path}, {of}: {error}") from error

    @pytest.mark.parametrize("path", PATHS)
    def test_pairs_of_options(path: str) -> None:
        every = covering(path)
        sets = [*option_pairs(), *every] if WHOLE else every[PATHS.index(path) % 2 :: 2]
        for seed, switches in enumerate(sets):
            if serves(path, switches):
                check_case(bf16_case(switches, RAGGED, seed), path, 3, f"{sorted(switches)}")

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("shape", SHAPES[1:] if WHOLE else SHAPES[3:4], ids=str)
    def test_shapes(path: str, shape: tuple[int, int, int]) -> None:
        for seed, switches in enumerate(covering(path) if WHOLE else [frozenset(["bias", "lse"])]):
            # Blocks of 48 rows, which do not divide the rows.
            check_case(bf16_case(switches, shape, seed, size=1.0), path, 48, f"{shape}, {sorted(switches)}")

    @pytest.mark.parametrize("path", PATHS)
    def test_rows_far_off(path: str) -> None:
        """Losses of hundreds of nats: offsets move to the row's maximum, blocks are repeated."""
        for seed, switches in enumerate([frozenset(), frozenset(["bias", "ignored", "z_loss", "lse"])][: 1 + WHOLE]):
            case = bf16_case(switches, RAGGED, 3 * seed)
            case.input[-1] *= 64.0
            far = case.input[-1].double() @ case.weight.double().T
            case.target[-1] = far.argmin()
            assert float(far.max() - far.min()) > 60
            if path == "sweep":  # one block, all of whose rows are made anew by the product of "exponential"
                check(run_linear(case, path), wanted(case, "exponential"))
            else:
                check_case(case, path, 3, f"far off, {sorted(switches)}")

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("odds", [1e-2, 1e-4] if WHOLE else [1e-4])
    def test_confident_rows(path: str, odds: float) -> None:
        """1 - p small: gradients made of what p lacks to 1."""
        sets = [s for s in covering(path) if "smoothing" not in s] if WHOLE else [frozenset(["bias", "ignored"])]
        for seed, switches in enumerate([frozenset(), *sets]):
            case = confident_case(odds, switches, dtype=torch.bfloat16, reduction=REDUCTIONS[seed % 3])
            check_case(case, path, 4, f"1 - p = {odds}, {sorted(switches)}")

    @pytest.mark.parametrize("path", PATHS)
    def test_very_confident_rows(path: str) -> None:
        case = confident_case(1e-6, dtype=torch.bfloat16)
        got, want = run_linear(case, path, 4), wanted(case, path, rounding=False)
        for one, right in zip(got.gradients[:2], want.gradients, strict=False):
            assert one is not None
            assert float((one.double() - right).norm() / right.norm()) < 2 * FLOOR

    def error(got: Tensor, want: Tensor) -> float:
        return float((got.double() - want.double()).norm() / want.double().norm().clamp_min(1e-300))

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("size", [1.0, 4.0] if WHOLE else [2.0])
    def test_no_worse_than_pytorch_in_bf16(path: str, size: float) -> None:
        """The same formula in bf16 by autograd, as a model without the kernels has it, against float64."""
        for seed, switches in enumerate([frozenset(), frozenset(["bias", "ignored", "class_weight"])][: 1 + WHOLE]):
            case = bf16_case(switches, (12, 130, 48), 3 * seed + 1, size)  # means
            results = []
            for dtype in (torch.float64, torch.bfloat16):
                x, w, b = leaves(case, dtype)
                rows, *_, divisor = reference_rows(case, x, w, b)
                results.append(torch.autograd.grad(rows.sum() / divisor, [t for t in (x, w, b) if t is not None]))
            got = [one for one in run_linear(case, path, 16).gradients if one is not None]
            for one, right, eager in zip(got, *results, strict=True):
                assert error(one, right) <= max(FACTOR * error(eager, right), FLOOR)

    def test_one_bit_less_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
        """A planted fault: casts that cut the digits off, which the interpreter itself has."""
        monkeypatch.setattr(
            bf16_interpreter, "rounded", lambda x: (x.astype("float32").view("uint32") >> 16).astype("uint16")
        )
        for path in ("exponential", "flash"):
            with pytest.raises(AssertionError, match="times what rounding explains"):
                check_case(bf16_case(frozenset(["bias"]), (12, 130, 48), 0), path, None, "cut off")

    def test_a_target_left_in_the_product_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
        """A planted fault: 1 - p at the target from a p that was rounded to bf16."""
        case = confident_case(1e-4, dtype=torch.bfloat16)
        want = wanted(case, "flash")
        got = run_linear(case, "flash", None)
        rows = torch.arange(len(case.target))
        p = torch.softmax(case.input.double() @ case.weight.double().T, 1)
        p[rows, case.target] = p[rows, case.target].bfloat16().double()
        p[rows, case.target] -= 1.0
        wrong = got.gradients[0], (p.T @ case.input.double()).bfloat16(), None
        with pytest.raises(AssertionError, match="gradient of weight"):
            check(type(got)(got.loss, None, None, None, wrong), want)
