"""The GPU paths of linear cross-entropy on a card: as accurate as PyTorch's own, deterministic, never waiting.

What the interpreter cannot show is tested here: bf16, real matrix units, offsets beyond 2^31, synchronisation.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from linear_cases import Case, leaves, make_case, option_pairs, reference_rows

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA card", allow_module_level=True)

from fiedler.kernels.linear import cuda as linear_triton
from fiedler.kernels.linear.cuda import plan
from fiedler.kernels.linear.options import Options
from fiedler.kernels.linear.row_terms import ForwardResult, RowTerms, row_terms

PATHS = ("chunked", "sweep", "recompute", "exponential", "flash")
# At most this many times the error of PyTorch's eager formula in the same dtype, both against float64. Products of
# fp32 operands by six bf16 ones keep all bits but sum in another order than cuBLAS: both round about alike.
FACTOR = {torch.float32: 1.0, torch.bfloat16: 1.1, torch.float16: 1.1}
# Below these a comparison of errors is one of chance: a few roundings of the dtype that results are kept in.
FLOOR = {torch.float32: 1e-6, torch.bfloat16: 4e-3, torch.float16: 5e-4}
LOSS_FLOOR = 2e-6  # losses are fp32 whatever the input


@pytest.fixture(autouse=True)
def _full_fp32() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def terms_of(case: Case, options: Options) -> RowTerms:
    return row_terms(
        case.target, options, classes=case.weight.shape[0], dtype=torch.float32, class_weight=case.class_weight,
        token_weight=case.token_weight,
    )  # fmt: skip


def run(case: Case, path: str, chunk_rows: int | None = None) -> ForwardResult:
    options = Options(**case.options)
    return linear_triton.forward(
        case.input, case.weight, case.bias, terms_of(case, options), options, need_input=True, need_weight=True,
        need_bias=case.bias is not None, chunk_rows=chunk_rows, path=path,
    )  # fmt: skip


def by_formula(case: Case, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    """Losses, lse, entropy, correct and gradients of the reduced loss, all operations in ``dtype``."""
    x, w, b = leaves(case, dtype)
    rows, lse, entropy, correct, divisor = reference_rows(case, x, w, b)
    total = rows.sum() / divisor if case.options["reduction"] == "mean" else rows.sum()
    gradients = torch.autograd.grad(total, [t for t in (x, w, b) if t is not None])
    return rows.detach(), lse.detach(), entropy.detach(), correct, list(gradients)


def error(got: Tensor, want: Tensor) -> float:
    value = float((got.double() - want).norm() / want.norm().clamp_min(1e-300))
    return value if value == value else float("inf")


def compare(case: Case, path: str, chunk_rows: int | None = None) -> None:
    dtype = case.input.dtype
    rows, lse, entropy, correct, gradients = by_formula(case, torch.float64)
    eager_rows, *_, eager_gradients = by_formula(case, dtype)
    got = run(case, path, chunk_rows)
    factor, floor = FACTOR[dtype], FLOOR[dtype]
    assert error(got.loss_rows, rows) <= factor * error(eager_rows, rows) + LOSS_FLOOR
    given = [t for t in (got.grad_input, got.grad_weight, got.grad_bias) if t is not None]
    for one, eager, want in zip(given, eager_gradients, gradients, strict=True):
        assert one.dtype == dtype
        assert error(one, want) <= max(factor * error(eager, want), floor)
    if case.options.get("return_lse"):
        assert error(got.lse, lse) <= max(floor, LOSS_FLOOR)
    if case.options.get("return_entropy"):
        assert error(got.entropy, entropy) <= max(floor, LOSS_FLOOR)
    if case.options.get("return_accuracy"):  # near ties round either way in 16 bits
        assert float((got.correct == correct).float().mean()) >= (1.0 if dtype == torch.float32 else 0.99)


def serves(path: str, case: Case) -> bool:
    both = "logit_softcap" in case.options and case.options.get("label_smoothing", 0) > 0
    if path in ("sweep", "exponential") and case.input.dtype == torch.float16:
        return False
    return not (both and path in ("sweep", "exponential", "flash"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("path", PATHS)
def test_every_pair_of_options(path: str, dtype: torch.dtype) -> None:
    for switches in option_pairs():
        case = make_case(
            switches, rows=300, classes=1003, width=72, dtype=dtype, reduction="mean", size=2.0, device="cuda"
        )
        if serves(path, case):
            compare(case, path, chunk_rows=128)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("rows", "classes", "width"), [(1, 1, 1), (7, 3, 5), (129, 257, 33), (256, 512, 64), (515, 33000, 128)]
)
def test_shapes(path: str, dtype: torch.dtype, rows: int, classes: int, width: int) -> None:
    case = make_case(frozenset(["bias", "lse"]), rows=rows, classes=classes, width=width, dtype=dtype, device="cuda")
    if classes > 1 and serves(path, case):
        compare(case, path)
    elif serves(path, case):
        assert float(run(case, path).loss_rows.abs().max()) == 0.0


@pytest.mark.parametrize("width", [256, 1024, 1000])
@pytest.mark.parametrize("path", ["chunked", "sweep", "recompute", "exponential"])
def test_wide_bf16(path: str, width: int) -> None:
    case = make_case(
        frozenset(["lse"]), rows=1024, classes=8192, width=width, dtype=torch.bfloat16, reduction="mean", device="cuda"
    )
    compare(case, path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("gap", [4.0, 12.0])
def test_confident_rows(path: str, dtype: torch.dtype, gap: float) -> None:
    """Inputs that point at their target's weight: losses down to 1e-4."""
    case = make_case(frozenset(), rows=256, classes=500, width=64, dtype=dtype, reduction="mean", device="cuda")
    case.input.copy_((case.weight[case.target].float() * gap).to(dtype))
    compare(case, path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("path", PATHS)
def test_logits_of_ten_thousand(path: str, dtype: torch.dtype) -> None:
    """The offset has to move for most rows, and only some of the blocks of rows need it."""
    case = make_case(frozenset(), rows=600, classes=700, width=64, dtype=dtype, reduction="mean", device="cuda")
    case.input[:150] *= 3000.0
    compare(case, path)


@pytest.mark.parametrize("path", PATHS)
def test_rows_of_the_gradient_sum_to_zero(path: str) -> None:
    case = make_case(frozenset(["bias"]), rows=400, classes=900, width=64, dtype=torch.bfloat16, device="cuda")
    bias_gradient = run(case, path).grad_bias
    assert abs(float(bias_gradient.double().sum())) <= 0.01 * float(bias_gradient.double().abs().sum())


@pytest.mark.parametrize("path", PATHS)
def test_the_same_every_time(path: str) -> None:
    """Bit for bit, with targets that repeat a lot."""
    case = make_case(frozenset(["bias"]), rows=1000, classes=2000, width=128, dtype=torch.bfloat16, device="cuda")
    case.target.remainder_(5)
    first = run(case, path, chunk_rows=384)
    for _ in range(3):
        again = run(case, path, chunk_rows=384)
        for name in ("loss_rows", "lse", "grad_input", "grad_weight", "grad_bias"):
            assert torch.equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_block_size_does_not_matter(path: str, dtype: torch.dtype) -> None:
    case = make_case(frozenset(), rows=1000, classes=4000, width=64, dtype=dtype, reduction="mean", device="cuda")
    gradients = by_formula(case, torch.float64)[-1]
    errors = [error(run(case, path, chunk_rows=rows).grad_weight, gradients[1]) for rows in (64, 250, 1000)]
    assert max(errors) <= 1.05 * min(errors) + 1e-6


@pytest.mark.parametrize("path", PATHS)
def test_the_host_never_waits(path: str) -> None:
    case = make_case(
        frozenset(["bias", "ignored"]), rows=512, classes=1000, width=64, dtype=torch.bfloat16, device="cuda"
    )
    run(case, path)  # compiles, which does wait
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run(case, path)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("path", ["chunked", "sweep", "exponential"])
def test_blocks_of_more_than_two_to_the_31_logits(path: str) -> None:
    rows, classes, width = 20_000, 120_000, 64
    if torch.cuda.mem_get_info()[0] < 24 << 30:
        pytest.skip("needs 24 GiB of free memory")
    case = make_case(frozenset(["lse"]), rows=rows, classes=classes, width=width, dtype=torch.bfloat16, device="cuda")
    got = run(case, path, chunk_rows=rows)
    last = slice(rows - 64, rows)
    x, w = case.input[last].double(), case.weight.double()
    z = x @ w.T
    p = torch.softmax(z, 1)
    p[torch.arange(64), case.target[last]] -= 1.0
    assert error(got.lse[last], torch.logsumexp(z, 1)) < 1e-3
    assert error(got.grad_input[last], p @ w) < 8e-3  # bf16 operands and result


@pytest.mark.parametrize("path", PATHS)
def test_memory_is_what_the_plan_says(path: str) -> None:
    case = make_case(frozenset(), rows=4096, classes=16384, width=256, dtype=torch.bfloat16, device="cuda")
    options = Options(**case.options)
    said = plan(case.input, case.weight, options, path=path, chunk_rows=2048)
    terms = terms_of(case, options)
    held = (case.input.numel() + case.weight.numel()) * 2
    for _ in range(2):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        linear_triton.forward(
            case.input, case.weight, None, terms, options, need_input=True, need_weight=True, need_bias=False,
            chunk_rows=said.chunk_rows, path=path,
        )  # fmt: skip
        used = torch.cuda.max_memory_allocated() - before
    # 32 MiB: cuBLAS's own workspace, which PyTorch allocates once per stream.
    assert used <= 1.1 * (said.workspace_bytes + held) + (32 << 20)
