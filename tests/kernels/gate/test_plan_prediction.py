"""The path that ``plan`` takes against the paths it could take, by predicted time on an H200: within a tenth."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("triton", reason="the paths launch Triton kernels")

import loop_records
from fiedler.kernels.gpu.launch import Launch
from fiedler.kernels.profiling import roofline
from fiedler.kernels.profiling.calls import Call, call_steps
from fiedler.kernels.profiling.loops import Loop, LoopReport
from fiedler.kernels.profiling.recorded import TensorStep
from fiedler.kernels.profiling.roofline import H200, H200_SPEED, predict, stored_loops
from fiedler.kernels.profiling.shapes import SHAPES, label, linear_calls

LOOPS = stored_loops(loop_records.read()["loops"])
SLACK = 1.10


def seconds(call: Call, path: str) -> float:
    """Predicted, or infinite where the path does not serve the call."""
    asked = replace(call, path=path)
    return predict(asked, LOOPS).seconds if loop_records.serves(asked) else float("inf")


@pytest.mark.parametrize("call", linear_calls(), ids=label)
def test_plan_is_within_a_tenth_of_the_best(call: Call) -> None:
    times = {path: seconds(call, path) for path in loop_records.PATHS}
    assert times["auto"] <= SLACK * min(times.values()), times


def test_every_shape_is_predicted() -> None:
    assert len(SHAPES) >= 20
    for call in SHAPES:
        prediction = predict(call, LOOPS)
        assert 1e-6 < prediction.seconds < 10.0
        flops = 6 * call.rows * call.classes * call.width if call.path != "tied graph" else 0
        assert prediction.seconds > flops / H200_SPEED.products[16]
    text = roofline.table([predict(SHAPES[0], LOOPS)], steps=True).splitlines()
    assert label(SHAPES[0]) in text[1]
    assert len(text) > 4


def test_attention_as_published() -> None:
    """Plain attention in Triton at D = 128, 128 x 128 tiles of 8 warps: 407 to 487 TFLOP/s on an H100; here 469."""
    loop = Loop(683, 66, 16, 2, 0, 8, 32768, 4 * 128 * 128 * 128, False)
    units = roofline.loop_cycles(loop, 8, H200_SPEED)
    assert units == {"products": 2048.0, "exponentials": 1056.0, "issue": 1366.0}
    report = LoopReport((loop,), 683, 66, 188, 98304, 8, 1)
    call = Call("flash", torch.bfloat16, 128 * 132, 128 * 4096, 128, frozenset({"loss only"}))
    (launch,) = [step for step in call_steps(call, H200) if isinstance(step, Launch) and step.matrix]
    bounds = roofline._matrix_kernel(launch, report, H200, H200_SPEED)
    rate = 4 * 128 * call.rows * call.classes / bounds["products"]
    assert 465e12 < rate < 472e12


def test_more_programs_than_the_card_holds_wait() -> None:
    """One program more than all multiprocessors hold at a time begins when the others end."""
    path = ("flash", torch.bfloat16)

    def took(rows: int) -> float:
        steps = predict(Call(*path, rows, 32000, 128), LOOPS).steps
        return next(step.seconds for step in steps if step.name == "others_average")

    launches = [step for step in call_steps(Call(*path, 4096, 32000, 128), H200) if isinstance(step, Launch)]
    launch = next(one for one in launches if "HELD" in one.arguments)
    resident = LOOPS(launch).programs
    full = launch.arguments["HELD"] * H200.multiprocessors * resident
    more = took(full + launch.arguments["HELD"]) / took(full)
    assert 1 + 0.8 / resident < more < 2.2


def test_products_and_bytes() -> None:
    """The three products of a large head are at the attainable speed; a copy is at memory's."""
    took = roofline.product_seconds((8192, 128256, 4096), 16, H200, H200_SPEED)
    assert 1.0 <= took / (2 * 8192 * 128256 * 4096 / 790e12) < 1.05
    alone = roofline.product_seconds((128, 128, 1 << 20), 16, H200, H200_SPEED)
    assert alone < 2 * 128 * 128 * 2**20 / (790e12 / 132)  # split along K
    step = roofline._step(TensorStep("to", 43 * 10**9), LOOPS, H200, H200_SPEED)
    assert step.seconds == pytest.approx(0.01, rel=1e-3)
    assert step.bound == "memory"


def test_unknown_kernels_are_said() -> None:
    with pytest.raises(ValueError, match="no loops are recorded"):
        predict(Call("flash", torch.bfloat16, 4096, 32000, 128), stored_loops({}))
    (launch, *_) = [step for step in call_steps(Call("flash", torch.bfloat16, 4096, 32000, 128), H200)
                    if isinstance(step, Launch) and not step.matrix]  # fmt: skip
    with pytest.raises(ValueError, match="ITERATIONS"):
        roofline._matrix_kernel(launch, LoopReport((), 1, 0, 32, 0, 4, 8), H200, H200_SPEED)
