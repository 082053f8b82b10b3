"""The plan of a call on a card, from shapes alone: path, even blocks of whole tiles, workspace, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="the paths launch Triton kernels")

from fiedler.kernels.linear.cuda_plan import LARGEST_WORKSPACE_BYTES, WORKSPACE_BYTES, plan
from fiedler.kernels.linear.options import Options

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def planned(rows: int, width: int, classes: int, dtype: torch.dtype = BF16, *, call: Any = None, **options: Any) -> Any:
    x, w = (torch.empty(n, width, dtype=dtype, device="meta") for n in (rows, classes))
    return plan(x, w, Options(**options), **(call or {}))


@pytest.mark.parametrize(
    ("shape", "dtype", "options", "path"),
    [
        ((8192, 4096, 128256), BF16, {}, "sweep"),
        ((8192, 1024, 128256), BF16, {}, "exponential"),
        ((8192, 1024, 128256), BF16, {"return_entropy": True}, "sweep"),
        ((8192, 1024, 128256), BF16, {"logit_softcap": 30.0}, "sweep"),
        ((8192, 1024, 128256), BF16, {"logit_softcap": 30.0, "label_smoothing": 0.1}, "chunked"),
        ((8192, 1024, 128256), FP16, {}, "chunked"),
        ((8192, 1024, 128256), FP32, {}, "sweep"),
        ((8192, 128, 128256), BF16, {}, "exponential"),  # 64 programs for 132 multiprocessors
        ((256, 64, 50000), BF16, {}, "chunked"),  # launches take longer than the products
        ((65536, 128, 65536), BF16, {}, "flash"),
        ((65536, 128, 65536), FP16, {}, "flash"),
        ((65536, 256, 65536), BF16, {}, "exponential"),
        ((8192, 1000, 50257), BF16, {}, "sweep"),  # padded to 1,008 columns: no multiple of the large tile's 64
        ((4096, 100, 3_000_000), BF16, {}, "flash"),  # 2,048 rows of logits take 11 GiB
        ((4096, 512, 3_000_000), BF16, {}, "recompute"),
    ],
    ids=str,
)
def test_the_path(shape: tuple[int, int, int], dtype: torch.dtype, options: dict[str, Any], path: str) -> None:
    assert planned(*shape, dtype, **options).path == path


@pytest.mark.parametrize("rows", [1, 2048, 8191, 8192, 8193, 16384, 20000, 131072, 131073])
@pytest.mark.parametrize("classes", [32_000, 128_256, 256_000])
def test_blocks_are_even_and_of_whole_tiles(rows: int, classes: int) -> None:
    chunk = planned(rows, 2048, classes).chunk_rows
    blocks = -(-rows // chunk)
    assert chunk * classes * 2 <= max(WORKSPACE_BYTES, 2048 * classes * 2)
    if blocks > 1:
        assert chunk % 128 == 0
        assert rows - (blocks - 1) * chunk > chunk - 128 * blocks  # the last one too
    else:
        assert chunk == rows


def test_one_block_needs_no_fp32_weight_gradient() -> None:
    one, two = (planned(8192, 2048, 128_256, call={"chunk_rows": rows}).workspace_bytes for rows in (8192, 4096))
    logits, accumulator = 8192 * 128_256 * 2, 4 * 128_256 * 2048
    assert logits <= one < logits + accumulator / 2
    assert two > logits / 2 + accumulator


def test_a_gradient_into_the_entropy_needs_the_logits() -> None:
    for path in ("sweep", "exponential", "flash"):
        found = planned(64, 128, 1000, call={"path": path, "entropy_gradient": True})
        assert found.path == "chunked"
        assert path in found.reason
    assert planned(65536, 128, 65536, call={"entropy_gradient": True}).path == "chunked"


@pytest.mark.parametrize(
    ("shape", "dtype", "options", "path", "error", "message"),
    [
        ((8, 16, 10), torch.float64, {}, "auto", TypeError, "reference"),
        ((8, 16, 10), BF16, {}, "quick", ValueError, "sweep"),
        ((8, 16, 10), FP16, {}, "sweep", ValueError, "chunked"),
        ((8, 16, 10), FP16, {}, "exponential", ValueError, "chunked"),
        ((8, 512, 10), BF16, {}, "flash", ValueError, "256"),
        ((8, 16, 10), BF16, {"logit_softcap": 3.0, "label_smoothing": 0.1}, "sweep", ValueError, "chunked"),
    ],
)
def test_refusals(
    shape: tuple[int, int, int], dtype: torch.dtype, options: dict[str, Any], path: str, error: type[Exception],
    message: str,
) -> None:  # fmt: skip
    with pytest.raises(error, match=message):
        planned(*shape, dtype, call={"path": path}, **options)


def test_what_does_not_fit_is_cut_by_classes() -> None:
    assert planned(4096, 512, 3_000_000).workspace_bytes < LARGEST_WORKSPACE_BYTES
