"""Public calls that between them launch every kernel in each of its forms, on small ragged tensors of two seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import triton

from fiedler.kernels.gpu import (
    exponential,
    exponential_pass,
    flash,
    launch,
    pivot_tiles,
    row_cross_entropy,
    row_sum,
    row_terms,
    scale,
    symmetric,
    target,
    tied,
    weight_operands,
)
from fiedler.kernels.gpu.tied import TiedRows
from fiedler.kernels.graph import cuda_symmetric
from fiedler.kernels.graph.cuda import pivot_sums, tied_block_average
from fiedler.kernels.linear.options import Options
from fiedler.kernels.linear.row_terms import fused_row_terms
from fiedler.kernels.profiling.recorded import replaced
from interpreted_calls import Outcome, graph_target, run_graph, run_linear
from linear_cases import SWITCHES, make_case

MODULES = (
    exponential, exponential_pass, flash, launch, pivot_tiles, row_cross_entropy, row_sum, row_terms, scale,
    symmetric, target, tied, weight_operands,
)  # fmt: skip
# The names of all kernels; functions that kernels call do not end in _kernel.
KERNELS = {
    name for module in MODULES for name, value in vars(module).items()
    if isinstance(value, triton.runtime.KernelInterface) and name.endswith("_kernel")
}  # fmt: skip
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
ALL = frozenset(SWITCHES)


def linear(
    seed: int, *, path: str, switches: frozenset[str], dtype: torch.dtype, shape: tuple[int, int, int] = (6, 70, 20),
    reduction: str = "mean", chunk_rows: int | None = 4, far: bool = False,
) -> Outcome:  # fmt: skip
    """``far``: a row whose loss is beyond 60 nats, so that offsets move and blocks are repeated."""
    rows, classes, width = shape
    case = make_case(
        switches, rows=rows, classes=classes, width=width, dtype=dtype, reduction=reduction, seed=seed
    )  # fmt: skip
    if far:
        case.input[-1] *= 200.0
    return run_linear(case, path, chunk_rows)


def graph(
    seed: int, *, dtype: torch.dtype, tied: bool, shape: tuple[int, int, int] = (11, 37, 20), reduction: str = "sum"
) -> Outcome:
    generator = torch.Generator().manual_seed(seed)
    n, m, width = shape
    size = 1.0 if width < 100 else 0.2
    x = (torch.randn(n, width, generator=generator) * size).to(dtype)
    c = None if tied else torch.randn(m, width, generator=generator).to(dtype)
    bias = None if tied else torch.randn(m, generator=generator).to(dtype)
    return run_graph(x, c, bias, graph_target(n, n if tied else m), reduction=reduction)


def block(seed: int, *, dtype: torch.dtype) -> Outcome:
    """Two blocks of unlike sizes of a tied graph whose pivots lie in the other one, or in none of the two."""
    generator = torch.Generator().manual_seed(seed)
    sides, pivots = (
        [torch.randn(n, 20, generator=generator).to(dtype) for n in (70, 37)],
        [torch.randint(-1, m, (n,), generator=generator) for n, m in ((70, 37), (37, 70))],
    )
    sums, averages = zip(
        *(pivot_sums(sides[k], sides[1 - k], None, pivots[k], average=True) for k in (0, 1)), strict=True
    )
    rows = [TiedRows(sides[k], pivots[k], sums[k].offset, 1.0 / (sums[k].own + sums[k].others)) for k in (0, 1)]
    return Outcome(tied_block_average(*rows), averages[0], averages[1], None, ())


def halves(seed: int, *, dtype: torch.dtype, far: bool) -> Outcome:
    """The sums of a tied graph from half of its tiles, in two strips; ``far``: no offset suits all rows."""
    x = torch.randn(140, 20, generator=torch.Generator().manual_seed(seed)).mul_(0.8)
    x[::9] *= 4.0 if far else 1.0
    with replaced(cuda_symmetric, "SYMMETRIC_FROM", 0), replaced(cuda_symmetric, "STRIP_BYTES", 4 * 140 * 2):
        return run_graph(x.to(dtype), None, None, graph_target(140, 140))


def scaled(seed: int, *, dtype: torch.dtype) -> None:
    """The stored gradient times an upstream factor, which public calls do on a card alone."""
    matrix = torch.randn(41, 500, generator=torch.Generator().manual_seed(seed)).to(dtype)
    scale.scale(matrix, torch.tensor(1 / 3)).run()


def terms(seed: int) -> None:
    """What the loss asks of each row, which a card makes in two launches."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(7, (3001,), generator=generator)
    labels[::3] = -100
    weights = {
        "class_weight": torch.rand(7, generator=generator),
        "token_weight": torch.rand(3001, generator=generator),
    }
    fused_row_terms(labels, Options(label_smoothing=0.1), classes=7, **weights)


# One call of every path and dtype without options, and with all options that it serves, and the rare branches.
CALLS: dict[str, Callable[[int], object]] = {"row terms": terms}
for _dtype, _torch in DTYPES.items():
    for _path in ("chunked", "sweep", "recompute", "exponential", "flash"):
        _all = ALL - {"softcap"} if _path in ("sweep", "exponential", "flash") else ALL
        for _name, _switches in (("plain", frozenset()), ("all options", _all)):
            CALLS[f"{_path}, {_dtype}, {_name}"] = partial(linear, path=_path, switches=_switches, dtype=_torch)
    for _path in ("sweep", "exponential", "flash"):  # whose backward takes the chunked path for an entropy
        _switches = ALL - {"smoothing", "entropy"}
        CALLS[f"{_path}, {_dtype}, softcap"] = partial(
            linear, path=_path, switches=_switches, dtype=_torch, reduction="none"
        )
    CALLS[f"exponential, {_dtype}, repeated"] = partial(
        linear, path="exponential", switches=frozenset(["lse"]), dtype=_torch, shape=(140, 150, 16), chunk_rows=None,
        far=True,
    )  # fmt: skip
    CALLS[f"recompute, {_dtype}, blocks of classes"] = partial(
        linear, path="recompute", switches=frozenset(["bias", "entropy"]), dtype=_torch, shape=(4, 1100, 16),
        chunk_rows=1,
    )  # fmt: skip
    CALLS[f"graph, {_dtype}"] = partial(graph, dtype=_torch, tied=False)
    CALLS[f"graph, {_dtype}, wide"] = partial(graph, dtype=_torch, tied=False, shape=(7, 37, 280))
    CALLS[f"tied, {_dtype}"] = partial(graph, dtype=_torch, tied=True, shape=(70, 70, 20))
    for _far in (False, True):
        CALLS[f"tied, {_dtype}, half of the tiles{', far' if _far else ''}"] = partial(halves, dtype=_torch, far=_far)
    CALLS[f"tied block, {_dtype}"] = partial(block, dtype=_torch)
    CALLS[f"scale, {_dtype}"] = partial(scaled, dtype=_torch)
