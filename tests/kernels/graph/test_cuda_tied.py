"""One exponential for both directions of tied logits, where offsets allow it, and the tiles that hold a target; in the
interpreter."""

from __future__ import annotations

import pytest
import torch

from interpreted import INTERPRETED, run_interpreted

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels.gpu import pivot_tiles
    from fiedler.kernels.gpu.pivot_tiles import more_marks, pivot_marks
    from fiedler.kernels.gpu.tied import SPREAD_32, TiedRows, common_offset, tied_average, tied_average_apart
    from fiedler.kernels.graph.cuda import PivotSums, pivot_sums, tied_block_average, tied_pivot_average
    from linear_cases import relative_error

    ROUNDED = 3e-6  # fp32 sums of a hundred terms

    def nodes(n: int, width: int, size: float = 1.0) -> torch.Tensor:
        return torch.randn(n, width, generator=torch.Generator().manual_seed(n)) * size * width**-0.25

    def dense(x: torch.Tensor, pivot: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        p = torch.softmax(x.double() @ x.double().T, dim=1).scatter(1, pivot[:, None], 0.0) * weight.double()[:, None]
        return (p + p.T) @ x.double()

    def both(x: torch.Tensor, pivot: torch.Tensor, weight: torch.Tensor) -> tuple[int, torch.Tensor, torch.Tensor]:
        """``spread``, and what either kernel fills into numbers that are NaN before."""
        sums, _ = pivot_sums(x, x, None, pivot, average=False)
        factor = weight / (sums.own + sums.others)
        common, spread, scaled = common_offset(sums.offset, factor, x.dtype)
        marks, marking = pivot_marks(pivot, len(x), rows_held=True, classes_held=True)
        marking.run()
        one, other = (torch.full_like(x, torch.nan) for _ in range(2))
        rows = TiedRows(x, pivot, sums.offset, factor)
        tied_average(rows, rows, (scaled, scaled), common, spread, marks, average=one, architecture=80).run()
        tied_average_apart(rows, rows, spread, average=other, architecture=80).run()
        return int(spread), one, other

    @pytest.mark.parametrize(("n", "width"), [(1, 16), (70, 16), (130, 48)])
    def test_near_offsets_take_one_exponential(n: int, width: int) -> None:
        x, pivot, weight = nodes(n, width), torch.arange(n).flip(0), torch.linspace(-0.5, 2.0, n)
        spread, one, other = both(x, pivot, weight)
        assert spread == 0
        assert bool(torch.isnan(other).all())  # it returned at once
        if n == 1:
            assert float(one.abs().max()) == 0.0  # the only entry is the target
        else:
            assert relative_error(one, dense(x, pivot, weight)) < ROUNDED

    def test_offsets_far_apart_take_two() -> None:
        x, pivot, weight = nodes(70, 16), torch.arange(70).roll(1), torch.ones(70)
        x[::7] *= 8.0
        spread, one, other = both(x, pivot, weight)
        assert spread == 1
        assert bool(torch.isnan(one).all())
        assert relative_error(other, dense(x, pivot, weight)) < ROUNDED

    def test_rows_of_weight_zero_must_not_bring_infinity() -> None:
        """Two rows that count for nothing may have a logit whose exponential overflows."""
        x, pivot, weight = nodes(70, 16), torch.arange(70).roll(1), torch.ones(70)
        x[[3, 60]] = 12.0  # logits of 2,304
        weight[[3, 60]] = 0.0
        x[[3, 60], :8] *= -1.0
        sums, _ = pivot_sums(x, x, None, pivot, average=False)
        counts = torch.ones(70, dtype=torch.bool)
        counts[[3, 60]] = False
        small = PivotSums(*(t.where(counts, t.median()) if k != 3 else t for k, t in enumerate(sums)))
        found = tied_pivot_average(x, pivot, small, weight)
        assert bool(torch.isfinite(found).all())

    def test_nothing_counts() -> None:
        x, pivot = nodes(70, 16), torch.arange(70).roll(1)
        spread, one, _ = both(x, pivot, torch.zeros(70))
        assert spread == 0
        assert float(one.abs().max()) == 0.0

    def test_the_limit_is_on_the_rows_that_count() -> None:
        offset, factor = torch.tensor([0.0, SPREAD_32, -100.0]), torch.tensor([1.0, -2.0, 0.0])
        common, spread, scaled = common_offset(offset, factor, torch.float32)
        assert int(spread) == 0
        assert float(common) == SPREAD_32 / 2
        assert scaled[2] == 0.0
        torch.testing.assert_close(scaled[:2], factor[:2] * torch.exp(common - offset[:2]))
        for bad in (SPREAD_32 + 1e-3, torch.nan, torch.inf):
            assert int(common_offset(torch.tensor([0.0, bad]), torch.ones(2), torch.float32)[1]) == 1

    def within(pivot: torch.Tensor, block: slice) -> torch.Tensor:
        return torch.where((pivot >= block.start) & (pivot < block.stop), pivot - block.start, -1)

    @pytest.mark.parametrize("far", [1.0, 8.0])  # with offsets far apart the other kernel
    @pytest.mark.parametrize(("dtype", "close"), [(torch.float32, ROUNDED), (torch.float16, 2e-3)])
    def test_blocks_of_rows_add_up(dtype: torch.dtype, close: float, far: float) -> None:
        """Each pair of blocks by itself, of several tiles and of one row; pivots mostly in another block."""
        n = 170
        x, pivot, weight = nodes(n, 20), torch.arange(n).roll(30), torch.linspace(0.0, 30.0, n)
        x[::7] *= far
        x = x.to(dtype)
        sums, _ = pivot_sums(x, x, None, pivot, average=False)
        factor = weight / (sums.own + sums.others)
        blocks = slice(0, 100), slice(100, 101), slice(101, n)
        found = torch.zeros(n, 20)
        for here in blocks:
            for there in blocks:
                rows, others = (
                    TiedRows(x[a], within(pivot[a], b), sums.offset[a].clone(), factor[a])
                    for a, b in ((here, there), (there, here))
                )
                found[here] += tied_block_average(rows, others)
        assert relative_error(found, dense(x, pivot, weight)) < close * (10 if far > 1 else 1)  # logits of 300
        assert relative_error(found, tied_pivot_average(x, pivot, sums, weight)) < close * (10 if far > 1 else 1)

    def test_marks_of_two_sides() -> None:
        """Held rows 0 to 129 with targets among 200 streamed ones and theirs among the held; -1 marks nothing."""
        pivot, other = torch.full((130,), -1), torch.full((200,), -1)
        pivot[[3, 70]], other[199] = torch.tensor([150, 0]), 129
        marks, launch = pivot_marks(pivot, 200, rows_held=True, classes_held=False)
        launch.run()
        more_marks(marks, other).run()
        assert marks.table.nonzero().tolist() == [[0, 2], [1, 0], [2, 3]]

    @pytest.mark.parametrize("largest", [1 << 26, 8])
    @pytest.mark.parametrize(("rows", "classes"), [(300, 300), (1, 700), (700, 5)])
    def test_marks(rows: int, classes: int, largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pivot_tiles, "LARGEST_BYTES", largest)
        target = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(1))
        pairs = torch.stack([torch.arange(rows), target])
        for rows_held, classes_held in ((True, False), (False, True), *([(True, True)] if rows == classes else [])):
            marks, launch = pivot_marks(target, classes, rows_held=rows_held, classes_held=classes_held)
            launch.run()
            wanted = torch.zeros_like(marks.table)
            for on, (held, streamed) in ((rows_held, pairs), (classes_held, pairs.flip(0))):
                if on:
                    wanted[held // 64, streamed // (64 * marks.share)] = 1
            assert torch.equal(marks.table, wanted)
            assert marks.table.shape[0] % 2 == 0
            assert (marks.share > 1) == (largest == 8 and (classes if rows_held else rows) > 64)
