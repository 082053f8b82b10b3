"""Grids that CUDA does not launch are refused before a device is asked, with the numbers and what to do."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from fiedler.kernels.gpu.launch import LARGEST_GRID, Launch
from fiedler.kernels.gpu.row_sum import row_sum_partials
from fiedler.kernels.gpu.scale import scale
from fiedler.kernels.gpu.target import combine_rows, scatter_rows, target_logit

pytestmark = pytest.mark.triton


@triton.jit
def nothing_kernel(matrix, SIZE: tl.constexpr):
    tl.store(matrix + tl.arange(0, SIZE), 0.0)


def launch(*grid: int, device: str = "cpu") -> Launch:
    return Launch(nothing_kernel, grid, {"matrix": torch.empty(8, device=device), "SIZE": 8}, num_warps=1)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("grid", [(2**31,), (1, 65_536), (1, 1, 65_536), (2**31, 1, 1), (3, 70_000, 2), (1, 1, 1, 2)])
def test_a_grid_too_large_is_refused(grid: tuple[int, ...], device: str) -> None:
    with pytest.raises(
        ValueError, match=r"nothing_kernel would run over a grid of .* at most 2,147,483,647 x 65,535"
    ) as e:
        launch(*grid, device=device).run()
    assert f"{max(grid):,}" in str(e.value)
    assert "pass fewer rows or columns at once" in str(e.value)


@pytest.mark.parametrize("grid", [LARGEST_GRID, (1,), (5, 65_535), (2**31 - 1, 1, 65_535)])
def test_the_largest_grid_passes(grid: tuple[int, ...]) -> None:
    launch(*grid).check_grid()


def test_an_empty_grid_runs_nothing() -> None:
    launch(0).run()
    launch(2**31, 0).run()


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def test_launchers_of_huge_tensors() -> None:
    """What the launchers make of 2^31 rows: refused by name. One row fewer, and billions of numbers, are launched."""
    for rows in (2**31 - 1, 2**31):
        x, w, y, v = meta(rows, 8), meta(50, 8), meta(rows, dtype=torch.int64), meta(rows)
        made = (
            target_logit(x, w, None, y, v, cap=None), combine_rows(x, x, v, w, y, v),
            scatter_rows(w, None, x, v, y, y, 50),
        )  # fmt: skip
        for one in made:
            if rows == 2**31:
                with pytest.raises(ValueError, match=f"{one.kernel.__name__} would run over a grid of 2,147,483,648"):
                    one.run()
            else:
                one.check_grid()
    row_sum_partials(meta(2**31, 8), None, meta(2**24, 8)).check_grid()
    scale(meta(2**40), meta()).check_grid()


def test_symmetric_tiles_begin_at_the_rows_held() -> None:
    """Whole steps of the streamed rows in the held ones, and none across two of the blocks in which targets are marked:
    else a target is summed that should be left out."""
    from fiedler.kernels.gpu.flash_tiles import TILES
    from fiedler.kernels.gpu.pivot_tiles import SIDE

    tiles = [
        tile
        for (kind, _, _), widths in TILES.items()
        if kind == "symmetric"
        for pair in widths.values()
        for tile in pair
    ]
    assert tiles
    for tile in tiles:
        assert tile.held % tile.streamed == 0
        assert SIDE % tile.streamed == 0 or tile.streamed % SIDE == 0
        assert tile.streamed <= 2 * SIDE
