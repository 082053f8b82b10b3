"""Patched models in two processes, wrapped by DDP and ``fully_shard``, with adapters, and with a head split over its
vocabulary."""

from __future__ import annotations

from typing import Any

import pytest

import adoption_processes
from adopted_models import error
from adoption_processes import HAS_PEFT, PROCESSES, REPLICATED, SHARDED
from worlds import found_by

pytestmark = pytest.mark.processes

# Losses and gradients of two float32 programs that add in different orders, in units of the largest entry. In half
# precision the model's own logits are rounded, the fused ones are not.
CLOSE, CLOSE_IN_HALF = 2e-5, 8e-3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    """What each process found."""
    return found_by(adoption_processes.__file__, tmp_path_factory.mktemp("adoption"), PROCESSES)


def check(found: list[dict[Any, Any]], wrapper: str, names: tuple[str, ...], tolerance: float = CLOSE) -> None:
    """Each pair of results of the model itself and of the patched one."""
    for rank in range(PROCESSES):
        for name in names:
            results = found[rank][wrapper, name]
            pairs = [kind for kind in results if kind.startswith("own")]
            assert pairs
            for kind in pairs:
                (own, own_gradients), (loss, made) = results[kind], results[kind.replace("own", "patched")]
                assert loss == pytest.approx(own, rel=tolerance), (name, kind)
                assert error(made, own_gradients) < tolerance, (name, kind)


def test_ddp(found: list[dict[Any, Any]]) -> None:
    check(found, "ddp", REPLICATED)


def test_fully_shard(found: list[dict[Any, Any]]) -> None:
    check(found, "fully_shard", (*SHARDED, "head with the root", "patched late"))


def test_fully_shard_in_half_precision(found: list[dict[Any, Any]]) -> None:
    check(found, "half precision", ("llama",), CLOSE_IN_HALF)


@pytest.mark.skipif(not HAS_PEFT, reason="peft is not installed")
def test_adapters_and_a_head_of_theirs(found: list[dict[Any, Any]]) -> None:
    check(found, "adapters", ("llama",))
    assert all("hooks around the head of FSDPLlamaForCausalLM" in one["adapters", "llama"]["said"] for one in found)


def test_a_head_split_over_its_vocabulary(found: list[dict[Any, Any]]) -> None:
    check(found, "split head", ("llama",))
    assert all("leave the head out of the plan" in one["styled head"] for one in found)
