"""Rows of the profiler: right figures for right reasons, and peers that fail or are missing."""

from __future__ import annotations

import pytest
import torch

from fiedler.kernels.profiling import rows as module
from fiedler.kernels.profiling.peers import NAMES, Peer, find_peers, torch_eager
from fiedler.kernels.profiling.rows import Shape, floor_rows, profile

ROUNDING = 1e-5  # relative: float32 sums of a few thousand terms


def fails(*_: object) -> torch.Tensor:
    raise RuntimeError("no such kernel\nsecond line")


@pytest.fixture
def few_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = [
        Peer("torch eager", torch_eager, "1"),
        Peer("wrong", lambda x, w, t: 2 * torch_eager(x, w, t), "2"),
        Peer("broken", fails, "3"),
        Peer("missing", absent="not installed"),
    ]
    monkeypatch.setattr(module, "find_peers", lambda device: peers)


@pytest.mark.usefixtures("few_peers")
def test_a_row_of_the_linear_operation() -> None:
    seen: list[int] = []
    (row,) = profile([Shape(60, 8, 300)], rounds=3, on_row=seen.append)
    assert seen == [0]
    assert (row["op"], row["N"], row["D"], row["V"], row["dtype"], row["device"]) == (
        *("linear", 60, 8, 300, "float32", "cpu"),
    )
    assert row["path"] == "chunked"
    assert row["tflops"] == pytest.approx(6 * 60 * 8 * 300 / row["ms_median"] / 1e9)
    assert row["matmul_tflops"] == pytest.approx(6 * 60 * 8 * 300 / row["floor_ms"] / 1e9)
    low, high = row["ms_spread"]
    assert low <= row["ms_median"] <= high
    assert row["gbps"] == pytest.approx(2 * 4 * 8 * 360 / row["ms_median"] / 1e6)
    assert 0 < row["error"] < ROUNDING
    assert 4 * 8 * 360 / 2**20 <= row["peak_mib"] < 1  # both gradients at least
    eager = row["peers"]["torch eager"]
    assert eager["error"] < ROUNDING
    assert eager["peak_mib"] > 2 * 60 * 300 * 4 / 2**20  # logits and their gradient
    middle, least, most = eager["ratio_to_ours"]
    assert least <= middle <= most
    assert row["peers"]["wrong"]["error"] == pytest.approx(1.0, rel=1e-3)  # twice everything
    assert row["peers"]["broken"] == {"absent": "fails here: RuntimeError: no such kernel", "version": "3"}
    assert row["peers"]["missing"] == {"absent": "not installed", "version": None}


@pytest.mark.parametrize("operation", ["graph", "tied-graph"])
def test_a_row_of_the_graph_operations(operation: str) -> None:
    (row,) = profile([Shape(600, 8, 600)], operation=operation, rounds=2)
    assert (row["op"], row["N"], row["V"], row["peers"]) == (operation, 600, 600, {})
    assert 0 < row["error"] < ROUNDING
    assert row["path"] == "chunked"


def test_bfloat16_errs_more_and_large_shapes_have_no_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = profile([Shape(40, 8, 50)], dtype="bfloat16", rounds=1, with_peers=False)
    assert 1e-4 < row["error"] < 2e-2
    monkeypatch.setattr(module, "REFERENCE_WORK", 10.0)
    (row,) = profile([Shape(40, 8, 50)], rounds=1, with_peers=False)
    assert row["error"] is None


@pytest.mark.parametrize(
    ("rows", "classes", "gigabytes", "block"),
    [
        (8192, 128_256, 30, 8192),  # whole, where 2^28 bytes would hold 1,046 rows
        (16_384, 256_000, 30, 16_384),
        (16_384, 256_000, 10, 8192),  # halves
        (1_000_000, 1_000_000, 30, 7424),  # whole tiles, 135 blocks of about one size
        (60, 10**9, 30, 7),  # fewer rows than a tile
    ],
)
def test_the_floor_is_of_whole_products(rows: int, classes: int, gigabytes: int, block: int) -> None:
    found = floor_rows(Shape(rows, 1, classes), 2, gigabytes * 10**9)
    assert found == block
    assert 2 * 2 * found * classes <= gigabytes * 10**9


def test_every_known_peer_is_listed() -> None:
    peers = find_peers(torch.device("cpu"))
    assert tuple(peer.name for peer in peers) == NAMES
    for peer in peers:
        assert (peer.loss is None) == (peer.absent is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operation": "square"}, "unknown operation 'square'"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"rounds": 0}, "rounds must be at least 1; got 0"),
        ({"operation": "graph"}, "graph has as many classes as rows; got N = 4, V = 6"),
    ],
)
def test_bad_requests(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        profile([Shape(4, 5, 6)], **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="N, D and V must be at least 1; got 0, 5, 6"):
        profile([Shape(0, 5, 6)])


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a card that is there")
def test_no_card_is_said() -> None:
    with pytest.raises(ValueError, match="no CUDA device is available; use the device cpu"):
        profile([Shape(4, 5, 6)], device="cuda")
