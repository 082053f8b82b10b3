"""The launches that the compile report compiles: every kernel in every configuration that is shipped.

Tensors live on the ``meta`` device, so nothing is allocated, and the launches are those of the launchers themselves:
a changed tile changes its case. Shapes are typical; what matters to the compiler is only dtype, alignment and whether
a size divides by 16 or is ragged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..gpu.exponential import BLOCK_ROWS, SUMS, exponential, exponential_rows
from ..gpu.flash import others_average, transpose_average
from ..gpu.flash_tiles import LARGEST_WIDTH
from ..gpu.launch import Launch, padded_logits
from ..gpu.pivot_tiles import Marks, pivot_marks
from ..gpu.row_cross_entropy import row_cross_entropy, row_state
from ..gpu.row_sum import row_sum_partials
from ..gpu.scale import scale
from ..gpu.target import combine_rows, scatter_rows, target_logit
from ..gpu.tied import tied_average, tied_average_apart

ROWS = 4096
CLASSES = 32000
RAGGED_CLASSES = 32001
CAP = 30.0


@dataclass(frozen=True)
class CompileCase:
    """A name and the launch it stands for on an architecture (80, 90, 100, ...)."""

    name: str
    launch: Callable[[int], Launch]


def _new(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _row(
    architecture: int, *, dtype: torch.dtype, options: bool, classes: int, pieces: bool = False, sums: bool = True,
    gradient: bool = True,
) -> Launch:  # fmt: skip
    vector = partial(_new, ROWS)
    logits = padded_logits(ROWS, classes, _new(dtype=dtype))
    optional = _new(ROWS) if options else None
    return row_cross_entropy(
        logits, _new(ROWS, dtype=torch.int64), vector(), vector(), vector(), vector(),
        bias=_new(classes, dtype=dtype) if options else None, class_term=_new(classes) if options else None,
        cap=CAP if options else None, z_loss=1e-4, state=row_state(vector()) if pieces else None, sums=sums,
        loss=vector() if sums else None, lse=vector() if sums else None, entropy=optional if sums else None,
        correct=_new(ROWS, dtype=torch.bool) if options and sums else None, gradient=gradient,
        gradient_weight=vector(), grad_lse=optional, grad_entropy=optional, track_entropy=options,
        track_accuracy=options, skip_weightless=not options,
    )  # fmt: skip


def _exponential(
    architecture: int, *, dtype: torch.dtype, options: bool, width: int, classes: int, retry: bool = False,
    maximum: bool = False, bias: bool = False,
) -> Launch:  # fmt: skip
    blocks = -(-ROWS // BLOCK_ROWS)
    flags = (_new(blocks, dtype=torch.int32), _new(dtype=torch.int32)) if retry else None
    return exponential(
        _new(ROWS, width, dtype=dtype), _new(classes, width, dtype=dtype),
        _new(classes, dtype=dtype) if options or bias else None, _new(ROWS, dtype=torch.int64), _new(ROWS), _new(ROWS),
        _new(SUMS, classes // 64, ROWS), e=padded_logits(ROWS, classes, _new(dtype=dtype)),
        class_term=None, cap=CAP if options else None, entropy=options, accuracy=options, architecture=architecture,
        maximum=maximum, flags=flags, programs=132,
    )  # fmt: skip


def _exponential_rows(architecture: int, *, options: bool) -> Launch:
    vector = partial(_new, ROWS)
    flags = (_new(-(-ROWS // BLOCK_ROWS), dtype=torch.int32), _new(dtype=torch.int32))
    return exponential_rows(
        _new(SUMS, CLASSES // 64, ROWS), vector(), vector(), vector(), vector(), vector(), flags, loss=vector(),
        lse=vector(), entropy=vector() if options else None, correct=_new(ROWS, dtype=torch.bool) if options else None,
        alpha=vector(), beta=vector(),
        gradient_weight=vector(), grad_lse=vector() if options else None,
        class_term=_new(CLASSES) if options else None, cap=CAP if options else None, z_loss=1e-4,
    )  # fmt: skip


def _average(architecture: int, *, dtype: torch.dtype, width: int, options: bool = False) -> Launch:
    x, c, average = _new(ROWS, width, dtype=dtype), _new(CLASSES, width, dtype=dtype), _new(ROWS, width)
    bias = _new(CLASSES, dtype=dtype) if options else None
    return others_average(
        x, c, bias, _new(ROWS, dtype=torch.int64), _new(ROWS), _marks(), offset=_new(ROWS), sums=_new(SUMS, ROWS),
        average=average, class_term=_new(CLASSES) if options else None, cap=CAP if options else None,
        entropy=options, accuracy=options, architecture=architecture,
    )  # fmt: skip


def _transpose(architecture: int, *, dtype: torch.dtype, width: int, options: bool = False) -> Launch:
    return transpose_average(
        _new(ROWS, width, dtype=dtype), _new(CLASSES, width, dtype=dtype),
        _new(CLASSES, dtype=dtype) if options else None, _new(ROWS, dtype=torch.int64), _new(ROWS), _new(ROWS),
        _marks(), average=_new(CLASSES, width), columns=_new(CLASSES) if options else None,
        cap=CAP if options else None, architecture=architecture,
    )  # fmt: skip


def _tied(architecture: int, *, dtype: torch.dtype, width: int) -> Launch:
    return tied_average(
        _new(ROWS, width, dtype=dtype), _new(ROWS, dtype=torch.int64), _new(ROWS), _new(), _new(dtype=torch.int32),
        _marks(), average=_new(ROWS, width), architecture=architecture,
    )  # fmt: skip


def _tied_apart(architecture: int, *, dtype: torch.dtype, width: int) -> Launch:
    return tied_average_apart(
        _new(ROWS, width, dtype=dtype), _new(ROWS, dtype=torch.int64), _new(ROWS), _new(ROWS), _new(dtype=torch.int32),
        average=_new(ROWS, width), architecture=architecture,
    )  # fmt: skip


def _marks() -> Marks:
    return pivot_marks(_new(ROWS, dtype=torch.int64), CLASSES, rows_held=True, classes_held=False)[0]


def _pivot_marks(architecture: int) -> Launch:
    return pivot_marks(_new(ROWS, dtype=torch.int64), ROWS, rows_held=True, classes_held=True)[1]


def _target_logit(architecture: int) -> Launch:
    x, w = _new(ROWS, 1024, dtype=torch.bfloat16), _new(CLASSES, 1024, dtype=torch.bfloat16)
    return target_logit(x, w, _new(CLASSES, dtype=torch.bfloat16), _new(ROWS, dtype=torch.int64), _new(ROWS), cap=CAP)


def _combine(architecture: int) -> Launch:
    x, w = _new(ROWS, 1024, dtype=torch.bfloat16), _new(CLASSES, 1024, dtype=torch.bfloat16)
    target = _new(ROWS, dtype=torch.int64)
    return combine_rows(
        x, _new(ROWS, 1024), _new(ROWS), w, target, _new(ROWS), row_factor=_new(ROWS), vector=_new(1024), factor=_new()
    )


def _scatter(architecture: int) -> Launch:
    x, target = _new(ROWS, 1024, dtype=torch.bfloat16), _new(ROWS, dtype=torch.int64)
    return scatter_rows(_new(CLASSES, 1024), _new(CLASSES), x, _new(ROWS), target, target, CLASSES)


def _row_sum(architecture: int) -> Launch:
    return row_sum_partials(_new(ROWS, 1024, dtype=torch.bfloat16), _new(ROWS), _new(-(-ROWS // 128), 1024))


def _with_precision(build: Callable[[int], Launch], precision: str, architecture: int) -> Launch:
    launch = build(architecture)
    return replace(launch, arguments={**launch.arguments, "PRECISION": precision})


def compile_cases() -> tuple[CompileCase, ...]:
    """All cases; their names say kernel, dtype, width or raggedness, and whether every option is on."""
    half, full = torch.bfloat16, torch.float32
    found: dict[str, Callable[[int], Launch]] = {
        "row bf16": partial(_row, dtype=half, options=False, classes=CLASSES),
        "row bf16 ragged": partial(_row, dtype=half, options=False, classes=RAGGED_CLASSES),
        "row bf16 options": partial(_row, dtype=half, options=True, classes=CLASSES),
        "row fp32": partial(_row, dtype=full, options=False, classes=CLASSES),
        "row bf16 loss": partial(_row, dtype=half, options=False, classes=CLASSES, gradient=False),
        "row bf16 piece sums": partial(_row, dtype=half, options=False, classes=CLASSES, pieces=True, gradient=False),
        "row bf16 piece gradient": partial(_row, dtype=half, options=False, classes=CLASSES, pieces=True, sums=False),
        "row fp32 options piece sums": partial(
            _row, dtype=full, options=True, classes=CLASSES, pieces=True, gradient=False
        ),
        "row fp32 options piece gradient": partial(
            _row, dtype=full, options=True, classes=CLASSES, pieces=True, sums=False
        ),
        "exponential bf16": partial(_exponential, dtype=half, options=False, width=1024, classes=CLASSES),
        "exponential bf16 bias": partial(
            _exponential, dtype=half, options=False, width=1024, classes=CLASSES, bias=True
        ),
        "exponential bf16 ragged": partial(_exponential, dtype=half, options=False, width=1001, classes=RAGGED_CLASSES),
        "exponential bf16 options": partial(_exponential, dtype=half, options=True, width=1024, classes=CLASSES),
        "exponential bf16 retry": partial(
            _exponential, dtype=half, options=False, width=1024, classes=CLASSES, retry=True
        ),
        "exponential bf16 retry maximum": partial(
            _exponential, dtype=half, options=False, width=1024, classes=CLASSES, retry=True, maximum=True
        ),
        "exponential fp32": partial(_exponential, dtype=full, options=False, width=1024, classes=CLASSES),
        "exponential rows": partial(_exponential_rows, options=False),
        "exponential rows options": partial(_exponential_rows, options=True),
        "target logit": _target_logit,
        "combine rows": _combine,
        "scatter rows": _scatter,
        "row sum": _row_sum,
        "pivot marks": _pivot_marks,
        "scale": lambda _: scale(_new(CLASSES, 1024, dtype=half), _new()),
    }
    for width in (64, 128, 256):
        for dtype, name in ((half, "bf16"), (full, "fp32")):
            if width > LARGEST_WIDTH[dtype]:
                continue
            label = f"{name} {width}"
            found[f"average {label}"] = partial(_average, dtype=dtype, width=width)
            found[f"transpose {label}"] = partial(_transpose, dtype=dtype, width=width)
            found[f"tied {label}"] = partial(_tied, dtype=dtype, width=width)
            found[f"tied apart {label}"] = partial(_tied_apart, dtype=dtype, width=width)
            ragged = width - 16
            label = f"{name} {ragged} options"
            found[f"average {label}"] = partial(_average, dtype=dtype, width=ragged, options=True)
            found[f"transpose {label}"] = partial(_transpose, dtype=dtype, width=ragged, options=True)
            found[f"tied {label}"] = partial(_tied, dtype=dtype, width=ragged)
            found[f"tied apart {label}"] = partial(_tied_apart, dtype=dtype, width=ragged)
    for name in (
        "exponential fp32",
        "average fp32 128",
        "transpose fp32 128",
        "average fp32 112 options",
    ):
        found[f"{name} tf32"] = partial(_with_precision, found[name], "tf32")
    return tuple(CompileCase(name, launch) for name, launch in found.items())
