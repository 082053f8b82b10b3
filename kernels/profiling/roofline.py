"""Predicted times of the losses on a card that is not there, from bytes, operations, waves and inner loops.

    python -m fiedler.kernels.profiling.roofline [--loops FILE] [--steps]

prints a table for an H200. The steps of a call are recorded from its own code (``calls``), so a changed path, tile or
grid changes its prediction; the loops come from machine code (``loops``). No measurement enters but the card's speeds.

A matrix kernel: a program runs I = ceil(iterations of the whole grid / programs) iterations of its inner loop, each of
M = flops / (flops per clock) cycles of matrix instructions, X of exponentials, Q = instructions x warps / 4 of issue:
    one program on a multiprocessor     M + max(X, Q) + 600     its warps wait for each other twice
    several, or no exponentials inside  1.25 max(M, X, Q)       products of one beside the arithmetic of another
and once Q of the instructions outside the loop, alone 1,500 cycles for its first loads besides. The busiest
multiprocessor has P = ceil(programs / multiprocessors) of them, at most c at a time: floor(P / c) c at the second rate,
what is left over at its own. Its seconds are at least the grid's loads / the cache's speed for tiles, its operands /
memory's speed, its flops / attainable speed of products.

A product of PyTorch: the best of a few tiles, split along K where there are too few of them, at the attainable speed;
at least its bytes / speed of memory. All else: bytes / speed of memory. Every step takes ``start`` besides. Assumed:
the clock stays up, steps do not overlap, a softmax pass reads a row again from L2, the host runs ahead of the card.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..gpu.launch import Launch
from .calls import Call, call_steps
from .loops import Loop, LoopReport, from_json, loop_report
from .machine_code import CARDS, compile_key, disassembled, machine_code, short_key
from .recorded import Card, Step, TensorStep
from .shapes import SHAPES, label

Loops = Callable[[Launch], LoopReport]
START_CYCLES = 1500  # from a program's start to its first loads, where no other one fills the time
ALONE_CYCLES = 600  # of one program's iteration in which neither products nor arithmetic run
SHARED_FACTOR = 1.25
SCHEDULERS = 4  # of a multiprocessor, each issues one instruction of a warp per clock
# Output tiles of products, and the part of the attainable speed that the small ones reach.
PRODUCT_TILES = ((128, 256, 1.0), (256, 128, 1.0), (128, 128, 0.9), (64, 128, 0.75), (64, 64, 0.55))
SMALLEST_SPLIT = 512  # of K


@dataclass(frozen=True)
class Speed:
    """What a card does per second: ``products`` attainable flops of matrix products by bits of their operands (19 for
    TF32), bytes of ``memory``, of the L2 ``cache`` and of ``tiles`` that many programs load from it at once, ``clock``
    cycles; per cycle and multiprocessor ``matrix`` 16-bit flops and ``exponentials``. ``start``: seconds of a step."""

    products: Mapping[int, float]
    memory: float
    cache: float
    tiles: float
    clock: float
    matrix: int
    exponentials: int
    start: float


# ``tiles`` is assumed: neighbours ask for the same lines together, and products in 128 x 256 tiles without multicast
# run at 600 to 650 TFLOP/s on such cards, for which 5.5 TB/s would not do.
H200_SPEED = Speed({16: 790e12, 19: 395e12, 32: 50e12}, 4.3e12, 5.5e12, 8.2e12, 1.7e9, 4096, 16, 3e-6)
H200 = CARDS[90]


@dataclass(frozen=True)
class StepTime:
    """A step's name, seconds, and what bounds them: issue, exponentials, products, memory, cache or start."""

    name: str
    seconds: float
    bound: str


@dataclass(frozen=True)
class Prediction:
    """The steps of a call and their sum, in seconds."""

    call: Call
    steps: tuple[StepTime, ...]

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return sum(step.seconds for step in self.steps)


def predict(call: Call, loops: Loops, *, card: Card = H200, speed: Speed = H200_SPEED) -> Prediction:
    """The prediction of a call on a card: another number of multiprocessors by ``dataclasses.replace(card, ...)``.

    Raises ValueError where the path cannot serve the call or a kernel with matrix products has no entry in
    ``ITERATIONS``, and what ``loops`` raises.
    """
    return Prediction(call, tuple(_step(step, loops, card, speed) for step in call_steps(call, card)))


def _step(step: Step, loops: Loops, card: Card, speed: Speed) -> StepTime:
    if isinstance(step, TensorStep):
        name, bounds = step.name, {"memory": step.bytes / speed.memory}
        if step.product is not None:
            bounds["products"] = product_seconds(step.product, _bits(step.dtype), card, speed)
    else:
        name, bounds = step.kernel.__name__.removesuffix("_kernel"), {}
        unneeded = step.arguments.get("RETRY") or step.arguments.get("needed") is not None
        if unneeded or step.kernel.__name__ == "tied_average_apart_kernel":
            name = f"{name}, not needed"  # returns at once
        elif step.matrix:
            bounds = _matrix_kernel(step, loops(step), card, speed)
        elif step.kernel.__name__ == ROWS_KERNEL:
            bounds = _row_kernel(step, loops(step), card, speed)
        else:
            bounds = {"memory": _operand_bytes(step) / speed.memory}
    bound, seconds = max(bounds.items(), key=lambda item: item[1], default=("start", 0.0))
    return StepTime(name, seconds + speed.start, bound if seconds > speed.start else "start")


def _bits(dtype: torch.dtype | None) -> int:
    if dtype != torch.float32:
        return 16
    return 19 if torch.backends.cuda.matmul.fp32_precision == "tf32" else 32


def product_seconds(shape: tuple[int, int, int], bits: int, card: Card, speed: Speed) -> float:
    """Of a product (M, K) by (K, N), ``shape`` (M, N, K), of operands of so many ``bits``, if memory does not bound."""
    m, n, k = shape
    of_one = speed.products[bits] / card.multiprocessors
    found = []
    for height, width, part in PRODUCT_TILES:
        tiles = ceil(m / height) * ceil(n / width)
        splits = max(1, min(k // SMALLEST_SPLIT, card.multiprocessors // tiles)) if tiles else 1
        rounds = ceil(tiles * splits / card.multiprocessors)
        found.append(rounds * 2 * height * width * ceil(k / splits) / (of_one * part))
    return min(found)


def _tiles(rows: str, held: str, columns: str, streamed: str) -> Callable[[Mapping[str, Any]], int]:
    return lambda given: ceil(given[rows] / given[held]) * ceil(given[columns] / given[streamed])


def _upper_tiles(given: Mapping[str, Any]) -> int:
    blocks = given["others_sums"].shape[0]
    return sum(ceil((given["N"] - block * given["HELD"]) / given["STREAMED"]) for block in range(blocks))


# Iterations of the inner loop that the whole grid runs, from the arguments.
ITERATIONS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "others_average_kernel": _tiles("N", "HELD", "V", "STREAMED"),
    "transpose_average_kernel": _tiles("V", "HELD", "N", "STREAMED"),
    "tied_average_kernel": _tiles("N", "HELD", "V", "STREAMED"),
    "symmetric_sums_kernel": _upper_tiles,
    "exponential_kernel": lambda given: _tiles("N", "ROWS", "V", "CLASSES")(given) * ceil(given["D"] / given["INNER"]),
}
ROWS_KERNEL = "row_cross_entropy_kernel"


def loop_cycles(loop: Loop, warps: int, speed: Speed) -> dict[str, float]:
    """What one iteration of one program asks of a multiprocessor, in cycles, by unit."""
    return {
        "products": loop.matrix_flops / speed.matrix,
        "exponentials": loop.exponentials * warps * 32 / speed.exponentials,
        "issue": loop.instructions * warps / SCHEDULERS,
    }


def main_loop(report: LoopReport) -> Loop:
    """The loop that runs most: of those with the most matrix operations the one with the fewest instructions. Raises
    ValueError if there is none."""
    if not report.loops:
        raise ValueError("the machine code has no inner loop")
    return max(report.loops, key=lambda loop: (loop.matrix_flops, -loop.instructions))


def _matrix_kernel(launch: Launch, report: LoopReport, card: Card, speed: Speed) -> dict[str, float]:
    kernel = launch.kernel.__name__
    if kernel not in ITERATIONS:
        raise ValueError(f"{kernel} multiplies matrices and has no entry in roofline.ITERATIONS")
    loop, programs = main_loop(report), prod(launch.grid)
    total = ITERATIONS[kernel](launch.arguments)
    each = ceil(total / programs)
    units = loop_cycles(loop, report.warps, speed)
    outside = (report.instructions - loop.instructions) * report.warps / SCHEDULERS
    largest = max(units.values())
    together = each * SHARED_FACTOR * largest + outside
    alone = together + START_CYCLES
    if loop.exponentials:
        alone = (
            each * (units["products"] + max(units["exponentials"], units["issue"]) + ALONE_CYCLES)
            + START_CYCLES
            + outside
        )
    busiest, resident = ceil(programs / card.multiprocessors), max(1, report.programs)
    if resident == 1:
        cycles = busiest * alone
    else:
        rounds, left = divmod(busiest, resident)
        cycles = rounds * resident * together + (alone if left == 1 else left * together)
    bound = max(units, key=lambda unit: units[unit])
    return {
        bound: max(cycles / speed.clock, total * loop.matrix_flops / speed.products[16]),
        "cache": total * loop.loaded_bytes / speed.tiles,
        "memory": _operand_bytes(launch) / speed.memory,
    }


def _row_kernel(launch: Launch, report: LoopReport, card: Card, speed: Speed) -> dict[str, float]:
    """Every sweep reads a row, the first one from memory; the last one writes it. The loops that find a maximum, or sum
    again with it as offset, are for rows that the target's logit does not serve: none, it is assumed."""
    given, loops = launch.arguments, report.loops
    sums, gradient = bool(given["SUMS"]), bool(given["GRADIENT"])
    size = _bytes(given["logits"])
    last = [loop for loop in loops if loop.stores][:1] if gradient else []
    first = [loop for loop in loops if loop.exponentials and not loop.stores][:1] if sums else []
    steps = launch.grid[0] * ceil(given["V"] / given["BLOCK"])
    issue = sum(loop.instructions for loop in [*first, *last]) * report.warps / SCHEDULERS
    return {
        "memory": size * (1 + gradient) / speed.memory,
        "cache": size * (sums + 2 * gradient) / speed.cache,
        "issue": steps * issue / (card.multiprocessors * speed.clock),
    }


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _operand_bytes(launch: Launch) -> int:
    """Every operand once; of a matrix that a few rows are gathered from, or scattered to, those rows only."""
    given = launch.arguments
    sizes = {name: _bytes(value) for name, value in given.items() if isinstance(value, Tensor)}
    kernel = launch.kernel.__name__
    if kernel in ("target_logit_kernel", "combine_rows_kernel"):
        sizes["w"] = min(sizes["w"], launch.grid[0] * given["D"] * given["w"].element_size())
    elif kernel == "scatter_rows_kernel" and given["out"] is not None:
        sizes["out"] = 2 * min(sizes["out"], given["N"] * given["D"] * given["out"].element_size())
    elif kernel == "exponential_pass_kernel":
        sizes["e"] *= 2  # read and written
    elif kernel == "weight_operands_kernel":
        sizes["e"] = 32 * launch.grid[0]  # one entry of a row, in a sector of memory
    elif kernel == "scale_kernel":
        return 0  # the factor of a loss that is not scaled is 1, and then nothing is read
    return sum(sizes.values())


def compiled_loops(architecture: int = 90) -> Loops:
    """Loops from Triton's compiler, one kernel after the other as asked for: a second or two each."""

    @lru_cache(maxsize=1024)
    def compiled(key: str) -> LoopReport:
        launch = waiting[key]
        code = machine_code(launch, architecture)
        return loop_report(code, disassembled(code), launch.num_warps, architecture)

    waiting: dict[str, Launch] = {}

    def loops(launch: Launch) -> LoopReport:
        key = compile_key(launch)
        waiting[key] = launch
        return compiled(key)

    return loops


def stored_loops(rows: Mapping[str, dict]) -> Loops:
    """Loops recorded before, by ``short_key``. They raise ValueError for a launch that is not among them."""

    def loops(launch: Launch) -> LoopReport:
        key = short_key(launch)
        if key not in rows:
            raise ValueError(f"no loops are recorded of {compile_key(launch)}: the record is of other kernels")
        return from_json(rows[key])

    return loops


def table(predictions: Sequence[Prediction], *, steps: bool = False) -> str:
    """Milliseconds a line, and with ``steps`` those of the steps that take a hundredth or more."""
    lines = [f"{'call':<58} {'ms':>9}  bound by"]
    for prediction in predictions:
        longest = max(prediction.steps, key=lambda step: step.seconds)
        lines.append(f"{label(prediction.call):<58} {1e3 * prediction.seconds:9.3f}  {longest.name} ({longest.bound})")
        if steps:
            for step in prediction.steps:
                if step.seconds >= 0.01 * prediction.seconds:
                    lines.append(f"    {step.name:<54} {1e3 * step.seconds:9.3f}  {step.bound}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the module."""
    parser = argparse.ArgumentParser(prog="python -m fiedler.kernels.profiling.roofline")
    parser.add_argument("--loops", default=None, metavar="FILE", help="recorded loops; compiled now if not given")
    parser.add_argument("--steps", action="store_true", help="the steps of each call too")
    chosen = parser.parse_args(arguments)
    loops = compiled_loops()
    if chosen.loops is not None:
        loops = stored_loops(json.loads(Path(chosen.loops).read_text())["loops"])
    print(table([predict(call, loops) for call in SHAPES], steps=chosen.steps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
