"""The cost model of sharded training: its own arithmetic. What small worlds did beside it: test_sharded.py."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from fiedler.kernels.gpu.flash_tiles import LARGEST_WIDTH
from fiedler.kernels.sharded.target import PRODUCT_ROWS
from fiedler.kernels.sharded.tiles import CARD_TILE_BYTES, CPU_TILE_BYTES
from fiedler.sims.sharded import cost as module
from fiedler.sims.sharded.cost import ShardedCost


def test_one_process_sends_nothing() -> None:
    cost = ShardedCost(1000, 10, 2000)
    assert cost.bytes_sent() == 0
    assert cost.product_flops() == 6 * 1000 * 1000 * 10


def test_seconds_are_the_longer_of_arithmetic_and_messages() -> None:
    cost = ShardedCost(10_000, 128, 20_000, processes=4)
    assert cost.seconds(1e9, 1e12) == cost.compute_seconds(1e9) == cost.flops / 1e9
    assert cost.seconds(1e15, 1e6) == cost.transfer_seconds(1e6) == cost.bytes_sent() / 1e6


def test_more_processes_share_the_work_and_the_memory() -> None:
    one, eight = (ShardedCost(80_000, 128, 400_000, processes=p, tied=False) for p in (1, 8))
    assert eight.product_flops() * 8 == one.product_flops()
    assert eight.checkpoint_bytes * 8 == one.checkpoint_bytes
    # Blocks on their way make up for half of what is shared out.
    assert 3 < one.peak_bytes / eight.peak_bytes < 8


def test_constants_are_those_of_the_kernels() -> None:
    assert module.TILE_BYTES == {"cpu": CPU_TILE_BYTES, "cuda": CARD_TILE_BYTES}
    assert module.PRODUCT_ROWS == PRODUCT_ROWS
    assert LARGEST_WIDTH[torch.float32] == module.FUSED_WIDTH
    assert {name: getattr(torch, name).itemsize for name in module.ITEM_BYTES} == module.ITEM_BYTES


@pytest.mark.parametrize("tied", [True, False])
def test_the_fused_kernels_send_a_factor_and_make_no_tiles(tied: bool) -> None:
    """An item a row more round the ring, tied; matrices in the place of a card's tiles."""
    make = partial(ShardedCost, 80_000, 128, 400_000, processes=4, tied=tied)
    fused, double, plain = make(device="cuda"), make(device="cuda", dtype="float64"), make()
    assert (fused.fused, double.fused, plain.fused) == (True, False, False)
    assert not replace(fused, width=129).fused
    assert fused.bytes_sent() - plain.bytes_sent() == (60_000 * 4 if tied else 0)
    assert fused.peak_bytes < double.peak_bytes / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n must be at least 1; got 0"),
        ({"processes": 0}, "processes must be at least 1; got 0"),
        ({"dtype": "bfloat16"}, "unknown dtype 'bfloat16'; did you mean 'float64'[?] choose from float64, float32"),
        ({"device": "tpu"}, "unknown device 'tpu'; did you mean 'cpu'[?] choose from cpu, cuda"),
    ],
)
def test_sizes_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShardedCost(**{"n": 10, "width": 2, "entries": 20, **change})
