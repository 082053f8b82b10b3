"""Calls recorded without a card: the steps are those of the path, tensors say that they are on the card."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="the paths launch Triton kernels")

from fiedler.kernels.gpu.launch import Launch
from fiedler.kernels.profiling.calls import LINEAR_PATHS, Call, call_steps
from fiedler.kernels.profiling.machine_code import CARDS, compile_key
from fiedler.kernels.profiling.recorded import CARD, Card, Step, TensorStep, recorded
from fiedler.kernels.profiling.switches import OPTION_VALUES, SWITCHES, option_values

H200 = CARDS[90]


def kernels(steps: tuple[Step, ...]) -> list[str]:
    return [step.kernel.__name__.removesuffix("_kernel") for step in steps if isinstance(step, Launch)]


def products(steps: tuple[Step, ...]) -> list[tuple[int, int, int]]:
    return [step.product for step in steps if isinstance(step, TensorStep) and step.product is not None]


def test_three_products_and_a_pass() -> None:
    n, v, d = 512, 1000, 64
    steps = call_steps(Call("chunked", torch.bfloat16, n, v, d), H200)
    assert kernels(steps) == ["row_terms", "row_gradients", "target_logit", "row_cross_entropy"]
    assert products(steps) == [(n, v, d), (n, d, v), (v, d, n)]


def test_every_path_is_recorded_as_on_a_card() -> None:
    for path in LINEAR_PATHS:
        steps = call_steps(Call(path, torch.bfloat16, 4096, 32000, 128), H200)
        assert kernels(steps)[:3] == ["row_terms", "row_gradients", "target_logit"]
        names = [step.name for step in steps if isinstance(step, TensorStep)]
        assert "cpu" not in names
        # Off the card products of 16-bit operands are widened first.
        wide = [step for step in steps if isinstance(step, TensorStep) and step.product is not None]
        assert all(step.dtype == torch.bfloat16 for step in wide)


def test_the_card_chooses_tiles_and_programs() -> None:
    call = Call("exponential", torch.bfloat16, 4096, 32000, 1024)

    def tile(card: Card) -> tuple[int, int]:
        launches = [step for step in call_steps(call, card) if isinstance(step, Launch)]
        first, retry = (next(one for one in launches if one.arguments.get("RETRY") is again) for again in (False, True))
        return first.arguments["CLASSES"], retry.grid[0]

    assert tile(H200)[1] == 132
    assert tile(CARDS[80])[1] == 108
    assert tile(H200)[0] > tile(CARDS[89])[0]


def test_bytes_are_counted_once() -> None:
    def work() -> None:
        x = torch.empty((10, 100), device=CARD)
        y = x.T[:50].reshape(50, 10)  # views
        x.add_(1.0)
        torch.mul(x, x, out=torch.empty_like(x))
        y.sum(dim=0)
        x.to(torch.float32)
        assert x.device == CARD
        assert x.is_cuda

    steps = [step for step in recorded(H200, work) if isinstance(step, TensorStep)]
    assert [(step.name, step.bytes) for step in steps] == [("add_", 8000), ("mul", 12000), ("sum", 2040)]


def test_everything_is_as_before() -> None:
    run = Launch.run

    def fails() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        recorded(H200, fails)
    assert Launch.run is run
    assert torch.empty(1).device.type == "cpu"


def test_a_path_that_does_not_serve() -> None:
    with pytest.raises(ValueError, match="flash"):
        call_steps(Call("flash", torch.bfloat16, 64, 100, 1024), H200)


def test_keys_tell_what_the_compiler_sees() -> None:
    def key(rows: int, classes: int, dtype: torch.dtype = torch.bfloat16) -> str:
        steps = call_steps(Call("flash", dtype, rows, classes, 128), H200)
        return compile_key(next(step for step in steps if isinstance(step, Launch) and step.matrix))

    assert key(4096, 32000) == key(8192, 128256)
    assert len({key(4096, 32000), key(4096, 32001), key(4096, 32000, torch.float16)}) == 3


def test_switches_stand_for_options() -> None:
    assert set(OPTION_VALUES) <= set(SWITCHES)
    assert option_values(frozenset()) == {}
    assert len(option_values(frozenset(SWITCHES))) == len(OPTION_VALUES)
