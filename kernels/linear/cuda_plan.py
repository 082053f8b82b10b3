"""Which path a call of linear cross-entropy takes on a CUDA card, the rows of its blocks, its workspace.

A pure function of shapes, dtypes, options and the number of multiprocessors. The thresholds are predictions, not
measurements: ``profiling.roofline`` has the time of every path for some twenty shapes on an H200, and a test holds the
choice to within a tenth of the best. At 790 TFLOP/s and 4.3 TB/s a sweep over 16-bit logits costs 367 / D of a product,
while a Triton product is 10 to 20 % slower than cuBLAS, so the epilogue pays up to D of about 1,000; a fourth product
costs less than storing anything of size N V only where D is narrow and the rows and classes fill the card.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..gpu.exponential import SUMS, exponential_tile, needs_options_tile
from ..gpu.flash_tiles import LARGEST_WIDTH
from ..gpu.launch import ALIGNMENT, multiprocessors
from .options import Options, Plan

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
LEAST_CHUNK_ROWS = 2048  # fewer rows and the weight's gradient is bound by reading and writing its accumulator
WORKSPACE_BYTES = 2 << 30  # of logits in one block, if more rows than LEAST_CHUNK_ROWS fit
RECOMPUTE_BYTES = 256 << 20  # of a block of classes, whose purpose is to take little
LARGEST_WORKSPACE_BYTES = 8 << 30  # beyond which LEAST_CHUNK_ROWS rows are too much to ask and classes are blocked
FLASH_WIDTH = 128
FLASH_FILLS = 1.5  # programs of 128 rows, and of 128 classes, for each multiprocessor, before flash is chosen
EXPONENTIAL_WIDTH = 1024
SMALL = 1e10  # N V D, of which three products take 0.08 ms, and each of some ten launches more 3 us
REFERENCE_PROCESSORS = 132  # of a card that is not there
LEAST_CHUNK_CLASSES = 1024
TILE_ROWS = 128  # of matrix products


def plan(
    input: Tensor,
    weight: Tensor,
    options: Options,
    *,
    path: str = "auto",
    chunk_rows: int | None = None,
    entropy_gradient: bool = False,
) -> Plan:
    """The path of a call with ``input`` (..., D) and ``weight`` (V, D), the rows of its blocks and its workspace.

    A pure function of shapes, dtypes and options; the tensors are not read. Raises TypeError for a dtype the kernels do
    not take and ValueError for a path that cannot serve the call, naming one that can.
    """
    width, classes = weight.shape[1], weight.shape[0]
    rows = input.numel() // max(width, 1)
    if input.dtype not in DTYPES:
        raise TypeError(
            f'the CUDA kernels take float32, bfloat16 and float16, got {input.dtype}; use path="reference" for it'
        )
    smooth_cap = options.label_smoothing > 0 and options.logit_softcap is not None
    if path == "auto":
        processors = multiprocessors(input) if input.is_cuda else REFERENCE_PROCESSORS
        needs_logits = smooth_cap or entropy_gradient
        path, reason = _choose(rows, width, classes, input.dtype, options, needs_logits, processors)
    else:
        reason = "asked for"
        _check(path, input.dtype, width, smooth_cap)
        if entropy_gradient and path in ("sweep", "exponential", "flash"):
            path, reason = "chunked", f"a gradient into the entropy needs the logits, which {path} does not keep"
    chunk = max(1, min(chunk_rows or block_rows(path, rows, classes, input.dtype.itemsize), rows))
    return Plan(path, chunk, _workspace(path, rows, width, classes, input.dtype, chunk, options), reason)


def _check(path: str, dtype: torch.dtype, width: int, smooth_cap: bool) -> None:
    if path not in ("chunked", "sweep", "exponential", "recompute", "flash"):
        raise ValueError(f"path must be auto, chunked, sweep, exponential, recompute or flash on CUDA, got {path!r}")
    if path in ("sweep", "exponential") and dtype == torch.float16:
        raise ValueError(f'path="{path}" needs the exponent range of bfloat16 or float32; use "chunked" for float16')
    if path == "flash" and width > LARGEST_WIDTH[dtype]:
        raise ValueError(f'path="flash" takes D <= {LARGEST_WIDTH[dtype]} for {dtype}, got {width}; use "chunked"')
    if path in ("sweep", "exponential", "flash") and smooth_cap:
        raise ValueError(f'path="{path}" cannot combine label_smoothing with logit_softcap; use "chunked"')


def _choose(
    rows: int, width: int, classes: int, dtype: torch.dtype, options: Options, needs_logits: bool, processors: int
) -> tuple[str, str]:
    least = min(rows, LEAST_CHUNK_ROWS) * classes * dtype.itemsize
    narrow = not needs_logits and width <= min(FLASH_WIDTH, LARGEST_WIDTH[dtype])
    if narrow and min(rows, classes) >= FLASH_FILLS * 128 * processors:
        return "flash", f"D = {width}: storing anything of size N V costs more than a fourth product"
    if least > LARGEST_WORKSPACE_BYTES:
        path = "flash" if narrow else "recompute"
        return path, f"{LEAST_CHUNK_ROWS} rows of {classes} logits take {least >> 30} GiB"
    if needs_logits or dtype == torch.float16:
        return "chunked", "three cuBLAS products and two passes over the logits in place"
    if rows * width * classes < SMALL:
        return "chunked", "the fewest launches, which take longer here than the products"
    if dtype == torch.bfloat16 and width <= EXPONENTIAL_WIDTH and not _small_tile(width, options):
        return "exponential", f"D = {width}: a pass over the logits costs {367 / width:.0%} of a product"
    return "sweep", "three cuBLAS products and one pass over the logits in place"


def _small_tile(width: int, options: Options) -> bool:
    """Whether the product with the exponential epilogue takes its smaller tile, D padded to whole vectors."""
    return needs_options_tile(
        -(-width // ALIGNMENT) * ALIGNMENT, cap=options.logit_softcap, entropy=options.return_entropy,
        accuracy=options.return_accuracy, class_term=options.label_smoothing > 0,
    )  # fmt: skip


def block_rows(path: str, rows: int, classes: int, itemsize: int) -> int:
    """Rows of whole tiles in blocks of about one size: at least LEAST_CHUNK_ROWS, more while a block stays within
    WORKSPACE_BYTES. For "recompute", which blocks classes, as many as have the numbers of one of its blocks."""
    each = max(1, classes * itemsize)
    if path == "recompute":
        return max(1, min(rows, RECOMPUTE_BYTES // each))
    most = max(LEAST_CHUNK_ROWS, WORKSPACE_BYTES // each // TILE_ROWS * TILE_ROWS)
    blocks = -(-rows // most)
    if blocks <= 1:
        return max(1, rows)
    return -(-rows // (TILE_ROWS * blocks)) * TILE_ROWS


def chunk_classes(rows: int, classes: int, chunk_rows: int) -> int:
    """As many classes as make blocks of the size that ``chunk_rows`` rows have, in whole vectors."""
    wanted = max(LEAST_CHUNK_CLASSES, chunk_rows * classes // max(rows, 1) // 128 * 128)
    return min(classes, wanted)


def _partial_bytes(options: Options, width: int, classes: int, dtype: torch.dtype) -> int:
    """Of the partial sums of a row: one of every tile of classes, or with options four, on a card like an H200."""
    small = _small_tile(width, options)
    tile = exponential_tile(dtype, 90, options=small)
    return 4 * (SUMS if small else 1) * -(-classes // tile.classes)


def _workspace(path: str, rows: int, width: int, classes: int, dtype: torch.dtype, chunk: int, options: Options) -> int:
    """Bytes beyond inputs, outputs and gradients: the block, fp32 accumulators where the gradients are 16-bit."""
    small = dtype != torch.float32
    weight = 4 * classes * width if small else 0
    if path == "chunked":
        return chunk * classes * dtype.itemsize + (weight if chunk < rows or dtype == torch.float16 else 0)
    if path in ("sweep", "exponential"):
        block = chunk * classes * dtype.itemsize + chunk * (4 + dtype.itemsize) * width
        return block + chunk * _partial_bytes(options, width, classes, dtype) + (weight if chunk < rows else 0)
    if path == "recompute":
        return rows * chunk_classes(rows, classes, chunk) * dtype.itemsize + 4 * rows * width * small
    return 4 * rows * (width + 8) + weight
