"""Sums of tied logits from half of the tiles against those of all, and against float64; in the interpreter."""

from __future__ import annotations

import pytest
import torch

from interpreted import INTERPRETED, run_interpreted

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels import csr_target, tied_graph_cross_entropy
    from fiedler.kernels.gpu.symmetric import LIMIT, norm_offset
    from fiedler.kernels.graph import cuda_symmetric
    from fiedler.kernels.graph.cuda import PivotSums, pivot_sums
    from fiedler.kernels.graph.cuda_symmetric import tied_pivot_sums

    ROUNDED = 3e-6  # fp32 sums of two hundred terms, logits up to ten
    HALF = 2e-5  # of fp16 operands the products are exact, and as many terms are summed
    LARGE = 4e-5  # logits near 100, known to 1e-5

    @pytest.fixture(autouse=True)
    def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cuda_symmetric, "SYMMETRIC_FROM", 0)

    def nodes(n: int, width: int, size: float = 1.0) -> torch.Tensor:
        return torch.randn(n, width, generator=torch.Generator().manual_seed(n)) * size * width**-0.25

    PIVOTS = {
        "reversed": lambda n: torch.arange(n).flip(0),  # pairs that are each other's
        "next": lambda n: torch.arange(n).roll(-1),
        "itself": torch.arange,
        "one hub": lambda n: torch.zeros(n, dtype=torch.int64),
        "random": lambda n: torch.randint(n, (n,), generator=torch.Generator().manual_seed(1)),
    }

    def relative(sums: PivotSums) -> torch.Tensor:
        """log(s' / e_k) of every row: whatever the offset."""
        return sums.others.double().log() + sums.offset.double() - sums.at_pivot.double()

    def exact(x: torch.Tensor, pivot: torch.Tensor) -> torch.Tensor:
        z = x.double() @ x.double().T
        at = z.gather(1, pivot[:, None])
        return torch.logsumexp(z.scatter(1, pivot[:, None], -torch.inf), dim=1) - at[:, 0]

    def is_common(sums: PivotSums) -> bool:
        return bool((sums.offset == sums.offset[0]).all())

    @pytest.mark.parametrize("pivot", PIVOTS)
    @pytest.mark.parametrize(("n", "width"), [(2, 16), (33, 16), (70, 20), (130, 48), (257, 16)])
    def test_half_of_the_tiles_give_the_sums_of_all(n: int, width: int, pivot: str) -> None:
        x, k = nodes(n, width), PIVOTS[pivot](n)
        found, all_tiles = tied_pivot_sums(x, k), pivot_sums(x, x, None, k, average=False)[0]
        assert is_common(found)
        assert not is_common(all_tiles)
        torch.testing.assert_close(relative(found), exact(x, k), rtol=ROUNDED, atol=ROUNDED)
        torch.testing.assert_close(relative(found), relative(all_tiles), rtol=ROUNDED, atol=ROUNDED)
        assert torch.equal(found.at_pivot, all_tiles.at_pivot)

    @pytest.mark.parametrize("pivot", PIVOTS)
    @pytest.mark.parametrize("n", [70, 300])
    def test_half_precision(n: int, pivot: str) -> None:
        x, k = nodes(n, 20).half(), PIVOTS[pivot](n)
        torch.testing.assert_close(relative(tied_pivot_sums(x, k)), exact(x, k), rtol=HALF, atol=HALF)

    @pytest.mark.parametrize("size", [1, 4 * 200 * 3, 4 * 200 * 5])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
    def test_strips_of_rows(size: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
        """One block of rows at a time, and a few: pivots before a strip, in it, and after."""
        monkeypatch.setattr(cuda_symmetric, "STRIP_BYTES", size)
        x, k = nodes(300, 16).to(dtype), PIVOTS["random"](300)
        torch.testing.assert_close(relative(tied_pivot_sums(x, k)), exact(x, k), rtol=HALF, atol=HALF)

    @pytest.mark.parametrize("programs", [1, 100])
    def test_any_number_of_segments(programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cuda_symmetric, "PROGRAMS", programs)
        x, k = nodes(300, 16), PIVOTS["random"](300)
        torch.testing.assert_close(relative(tied_pivot_sums(x, k)), exact(x, k), rtol=ROUNDED, atol=ROUNDED)

    def with_norms(n: int, *squares: float) -> torch.Tensor:
        """Rows of these squared norms in turn."""
        x = torch.nn.functional.normalize(torch.randn(n, 16, generator=torch.Generator().manual_seed(3)), dim=1)
        return x * torch.tensor(squares).sqrt().repeat(n)[:n, None]

    @pytest.mark.parametrize(
        ("squares", "together"),
        [
            ((40.0, 1.0), True),
            ((100.0, 100.0), True),
            ((100.0, 20.0), True),
            ((100.0, 5.0), False),
            ((300.0, 1.0), False),
        ],
    )
    def test_which_offset(squares: tuple[float, float], together: bool) -> None:
        """The device's choice; either form is right."""
        x, k = with_norms(90, *squares), PIVOTS["next"](90)
        common, apart = norm_offset(x)
        assert bool(apart) is not together
        found = tied_pivot_sums(x, k)
        assert is_common(found) is together
        if together:
            assert float(common) == pytest.approx(max(0.0, max(squares) - LIMIT), abs=LARGE)
        torch.testing.assert_close(relative(found), exact(x, k), rtol=LARGE, atol=LARGE)

    def test_no_number_is_no_offset() -> None:
        x = nodes(70, 16)
        x[5] = torch.nan
        assert int(norm_offset(x)[1]) == 1
        loss = tied_graph_cross_entropy(x, csr_target(torch.eye(70).roll(1, 0)), path="chunked", reduction="none")
        assert bool(torch.isnan(tied_pivot_sums(x, PIVOTS["next"](70)).others).all())
        assert bool(loss.isnan().all())

    @pytest.mark.parametrize("margin", [12.0, 30.0, 60.0])
    def test_confident_rows_keep_their_digits(margin: float) -> None:
        """Each node beside its one neighbour, far from the others: 1 - p of 1e-5, 1e-12 and 1e-25."""
        x = (margin**0.5 * torch.eye(40)).repeat_interleave(2, dim=0)
        pivot = torch.arange(80) ^ 1
        x = torch.cat([x, x.new_zeros(80, 8)], dim=1)
        found = relative(tied_pivot_sums(x, pivot))
        # The node itself is as near as its neighbour: s' / e_k is 1 and 78 e^-margin more.
        torch.testing.assert_close(found, exact(x, pivot), rtol=0, atol=ROUNDED * max(1.0, margin / 10))
        itself = relative(tied_pivot_sums(x[::2].contiguous(), torch.arange(40)))
        torch.testing.assert_close(itself, exact(x[::2], torch.arange(40)), rtol=ROUNDED, atol=0)

    def test_wide_and_small_ones_take_all_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
        x, k = nodes(70, 130), PIVOTS["next"](70)  # wider than fp32 is held
        torch.testing.assert_close(relative(tied_pivot_sums(x, k)), exact(x, k), rtol=ROUNDED, atol=ROUNDED)
        monkeypatch.setattr(cuda_symmetric, "SYMMETRIC_FROM", 71)
        assert not is_common(tied_pivot_sums(nodes(70, 16), k))
