"""Claim: loss and gradients of ``linear_cross_entropy`` on one core take little more than the three plain matrix
products of the shape, in less memory than torch. Peers: those products (X W', G W, G' X, outputs stored: the floor),
the same and one exponential of each logit (the bound), torch's linear and cross_entropy, the same compiled, and torch's
chunked linear_cross_entropy with its own defaults.

Peak memory is that of a fresh process over its inputs; run as a program, this file is that process.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bare_exponentials import exponentials, lower_bound
from fiedler.kernels.linear.cross_entropy import linear_cross_entropy, linear_cross_entropy_plan
from interleave import interleave, ratios, row, write_results

SHAPES = (  # N, D, V, rounds
    (1024, 256, 32_000, 3),
    (256, 64, 50_000, 5),
    (1024, 64, 10_000, 7),
    (2048, 128, 4000, 7),
    (256, 64, 1000, 31),
    (4096, 64, 1000, 9),
    (512, 512, 16_000, 5),
    (256, 1024, 8000, 5),
    (4096, 1024, 1000, 3),
    (256, 256, 1000, 31),
    (1024, 128, 50_000, 3),
    (256, 1024, 50_000, 3),
)
ERROR_ROWS = 256  # of these many rows the gradients are compared with float64

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def eager(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(x, w), y)


def ours(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    loss = linear_cross_entropy(x, w, y)
    assert isinstance(loss, Tensor)
    return loss


def losses() -> dict[str, Loss]:
    found: dict[str, Loss] = {"fiedler": ours, "torch eager": eager, "torch.compile": torch.compile(eager)}
    if hasattr(F, "linear_cross_entropy"):  # torch 2.13 and later
        options = torch.nn.LinearCrossEntropyOptions()
        found["torch chunked"] = lambda x, w, y: F.linear_cross_entropy(x, w, y, options=options)
    return found


def inputs(n: int, d: int, v: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x, w = torch.randn(n, d), torch.randn(v, d).mul_(d**-0.5)
    return x.requires_grad_(), w.requires_grad_(), torch.randint(v, (n,))


def step(loss: Loss, x: Tensor, w: Tensor, y: Tensor) -> None:
    x.grad = w.grad = None
    loss(x, w, y).backward()


def three_products(x: Tensor, w: Tensor, g: Tensor) -> None:
    with torch.no_grad():
        z = x @ w.T
        grad_x, grad_w = g @ w, g.T @ x
    del z, grad_x, grad_w


def peak_mib(name: str, n: int, d: int, v: int) -> float:
    """MiB that the resident set of a fresh process grows by, beyond its inputs, gradients included."""
    command = [sys.executable, __file__, name, str(n), str(d), str(v)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure_peak(name: str, n: int, d: int, v: int) -> float:
    torch.set_num_threads(1)
    loss = losses()[name]
    step(loss, *inputs(64, 8, 16))  # what the first call loads is no memory of the call
    x, w, y = inputs(n, d, v)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    before = resident_kib("VmRSS")
    step(loss, x, w, y)
    return (resident_kib("VmHWM") - before) / 1024


def resident_kib(field: str) -> int:
    """From Linux's account of this process; getrusage would hand on the peak of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def gradient_error(n: int, d: int, v: int) -> float:
    """Largest error of the weight's gradient relative to its largest entry, against float64."""
    x, w, y = inputs(min(n, ERROR_ROWS), d, v)
    step(ours, x, w, y)
    found = w.grad
    wide = [t.detach().double().requires_grad_() for t in (x, w)]
    step(eager, wide[0], wide[1], y)
    exact = wide[1].grad
    assert found is not None
    assert exact is not None
    return float((found - exact).abs().max() / exact.abs().max())


def test_cpu_loss_and_gradients_against_three_products(benchmark: Any) -> None:
    torch.set_num_threads(1)
    rows = []
    for n, d, v, rounds in SHAPES:
        x, w, y = inputs(n, d, v)
        g = torch.randn(n, v)
        ways: dict[str, Callable[[], object]] = {
            name: lambda loss=loss, x=x, w=w, y=y: step(loss, x, w, y) for name, loss in losses().items()
        }
        ways["three matrix products"] = lambda x=x, w=w, g=g: three_products(x, w, g)
        ways["exponentials"] = exponentials(n * v)
        timings = interleave(ways, rounds=rounds, clock=time.process_time)
        floor = timings["three matrix products"]
        bound = lower_bound(floor, timings.pop("exponentials"))
        timings["products and exponentials"] = bound
        line = row(
            "linear_cross_entropy, forward and backward, CPU", "fiedler", timings, graph=f"{n} x {d} x {v}",
            N=n, D=d, V=v, dtype="float32", floor_ms=floor.median_ms,
            ratio_to_floor=ratios(floor, timings["fiedler"]), bound_to_floor=ratios(floor, bound),
            peak_mib=peak_mib("fiedler", n, d, v),
            gradients_mib=4 * (n * d + v * d) / 2**20, error=gradient_error(n, d, v),
            chunk_rows=linear_cross_entropy_plan(x, w).chunk_rows,
        )  # fmt: skip
        for name in losses():
            if name not in ("fiedler", "torch.compile"):  # the compiler's own memory would drown the call's
                line["peers"][name]["peak_mib"] = peak_mib(name, n, d, v)
        print(
            f"{n} x {d} x {v}: {line['ratio_to_floor']['median']:.3f} x the products, "
            f"bound {line['bound_to_floor']['median']:.3f}; MiB "
            f"{line['peak_mib']:.1f}, eager {line['peers']['torch eager']['peak_mib']:.1f}"
        )
        rows.append(line)
        write_results("linear_cross_entropy_cpu", rows)  # after every shape: the last ones take minutes
    benchmark.extra_info["rows"] = rows
    x, w, y = inputs(*SHAPES[0][:3])
    benchmark.pedantic(lambda: step(ours, x, w, y), rounds=5, warmup_rounds=1)


if __name__ == "__main__":
    print(measure_peak(sys.argv[1], *(int(word) for word in sys.argv[2:5])))
