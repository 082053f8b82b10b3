"""What the steps of tests/kernels/gpu/first_card.py do, each a generator of results; ``right`` False is a failure.

In a rehearsal tensors are on the CPU, kernels in Triton's interpreter, shapes tiny and dtypes float32; what only a card
has (graph capture, streams, waits) says so.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor

from card_graph_pairs import graph_inputs, graph_pairs, symmetric_pairs, tied_apart_pairs, tied_pairs
from card_sharded_pairs import sharded_pairs

ROOT = Path(__file__).resolve().parents[2]
PATHS = ("chunked", "sweep", "recompute", "exponential", "flash")
# What has a smoke test. A path that fails its own leaves the ladder; without "tied" no tied graph is timed.
SMOKE = (*PATHS, "graph", "tied", "tied apart", "symmetric sums", "row terms", "vocabulary parallel", "sharded graph")
# Norm of the error over the norm, against float64 of the same inputs: gradients of operands of 8 bits; of 24.
CLOSE = {torch.bfloat16: 1.5e-2, torch.float32: 2e-5}
LINEAR_LADDER = ("8192x4096x128256", "8192x2048x128256", "16384x2304x256000", "8192x1024x128256", "8192x128x128256",
                 "1024x128x32000", "65536x128x32000")  # fmt: skip
GRAPH_LADDER = ("tied-graph 10000x128", "tied-graph 100000x128", "tied-graph 100000x64", "graph 100000x128")
WIDEST = {"flash": 256}  # D that a path is timed at
TINY = ("24x16x40", "tied-graph 40x16", "graph 40x16")
REFERENCE_WORK = 3e13  # N D V up to which errors are measured: a second of float64 products


@dataclass(frozen=True)
class Place:
    """Where a step runs."""

    rehearse: bool

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.rehearse else "cuda")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.rehearse else torch.bfloat16

    def normal(self, *shape: int, seed: int = 0, size: float = 1.0) -> Tensor:
        made = torch.randn(shape, generator=torch.Generator(self.device).manual_seed(seed), device=self.device)
        return (made * size).to(self.dtype)

    def integers(self, most: int, count: int) -> Tensor:
        return torch.randint(most, (count,), generator=torch.Generator(self.device).manual_seed(7), device=self.device)


def ladder_names(rehearse: bool) -> list[tuple[str, tuple[str, ...]]]:
    """Names of the ladder's steps, and the smoke tests that they need."""
    names = TINY if rehearse else (*LINEAR_LADDER, *GRAPH_LADDER)
    needs = {"tied-graph": ("tied", "tied apart", "symmetric sums", "graph"), "graph": ("graph",)}
    return [(name, needs.get(name.split(" ")[0], ())) for name in names]


def steps(kind: str, what: str, *, struck: Sequence[str], rehearse: bool, spoil: bool) -> Iterator[dict[str, Any]]:
    """The results of the step ``kind`` ``what``; ``spoil`` adds one to what the kernels computed."""
    place = Place(rehearse)
    if kind == "environment":
        yield from _environment(place)
    elif kind == "smoke":
        yield from _smoke(what, place, 1.0 if spoil else 0.0)
    elif kind == "suite":
        yield from _suite(rehearse)
    elif kind == "ladder":
        yield from _ladder(what, place, struck)
    elif kind == "tiles":
        yield from _tiles(int(what), place)
    else:
        yield from _use(what, place)


# --- environment


def _environment(place: Place) -> Iterator[dict[str, Any]]:
    import triton

    from fiedler.kernels.profiling.timing import time_interleaved

    found: dict[str, Any] = {"torch": torch.__version__, "triton": triton.__version__, "python": sys.version.split()[0]}
    if not place.rehearse:
        card = torch.cuda.get_device_properties(0)
        asked = ["nvidia-smi", "--query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw", "--format=csv,noheader"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        found |= {"card": card.name, "multiprocessors": card.multi_processor_count, "memory": card.total_memory,
                  "clocks": said}  # fmt: skip
    yield found
    side, numbers = (64, 1 << 16) if place.rehearse else (8192, 1 << 31)
    a, b = place.normal(side, side), place.normal(side, side, seed=1)
    one, two = (torch.empty(numbers, dtype=torch.uint8, device=place.device) for _ in range(2))
    times = time_interleaved({"product": lambda: a @ b, "copy": lambda: two.copy_(one)}, place.device, rounds=10)
    for name, work in (("product", 2.0 * side**3), ("copy", 2.0 * numbers)):
        yield {"way": name, "ms": times[name].median, "per_second": 1e3 * work / times[name].median}


# --- smoke tests


def _errors(pairs: Sequence[tuple[str, Tensor, Tensor]], place: Place, spoil: float) -> Iterator[dict[str, Any]]:
    for name, got, want in pairs:
        error = float(((got.double() + spoil) - want.double()).norm() / want.double().norm().clamp_min(1e-300))
        yield {"what": name, "error": error, "right": error <= CLOSE[place.dtype]}


def _smoke(kernel: str, place: Place, spoil: float) -> Iterator[dict[str, Any]]:
    if kernel in PATHS:
        return _errors(_linear_pairs(kernel, place), place, spoil)
    if kernel == "sharded graph":
        return _errors(sharded_pairs(*graph_inputs(place)), place, spoil)
    made = {"graph": graph_pairs, "tied": tied_pairs, "tied apart": tied_apart_pairs,
            "symmetric sums": symmetric_pairs, "row terms": _term_pairs,
            "vocabulary parallel": _vocabulary_pairs}  # fmt: skip
    return _errors(made[kernel](place), place, spoil)


def _small(place: Place) -> tuple[Tensor, Tensor, Tensor]:
    rows, classes, width = (9, 37, 20) if place.rehearse else (515, 3001, 200)
    target = place.integers(classes, rows)
    target[1::4] = -100
    return place.normal(rows, width), place.normal(classes, width, seed=1, size=width**-0.5), target


def _dense(x: Tensor, w: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean loss and both gradients in float64."""
    leaves = [t.double().requires_grad_() for t in (x, w)]
    loss = torch.nn.functional.cross_entropy(leaves[0] @ leaves[1].T, target)
    return (loss.detach(), *torch.autograd.grad(loss, leaves))


def _linear(path: str, x: Tensor, w: Tensor, target: Tensor, chunk_rows: int | None = None) -> list[Tensor]:
    """Mean loss and gradients by the kernels themselves, which the interpreter runs on CPU tensors too."""
    from fiedler.kernels.linear.cuda import forward
    from fiedler.kernels.linear.options import Options
    from fiedler.kernels.linear.row_terms import row_terms

    options = Options()
    terms = row_terms(target, options, classes=len(w), dtype=torch.float32)
    got = forward(x, w, None, terms, options, need_input=True, need_weight=True, need_bias=False, path=path,
                  chunk_rows=chunk_rows)  # fmt: skip
    assert got.grad_input is not None and got.grad_weight is not None and terms.divisor is not None  # noqa: PT018
    return [got.loss_rows.sum() / terms.divisor, got.grad_input, got.grad_weight]


def _linear_pairs(path: str, place: Place) -> list[tuple[str, Tensor, Tensor]]:
    x, w, target = _small(place)
    pairs = []
    for chunk in (None, 4 if place.rehearse else 128):
        got = _linear(path, x, w, target, chunk)
        pairs += [(f"{n}, blocks of {chunk}", a, b) for n, a, b in zip("lxw", got, _dense(x, w, target), strict=True)]
    return pairs


def _term_pairs(place: Place) -> list[tuple[str, Tensor, Tensor]]:
    from fiedler.kernels.linear.options import Options
    from fiedler.kernels.linear.row_terms import fused_row_terms, row_terms

    target = place.integers(7, 3001)
    target[::3] = -100
    options = Options(label_smoothing=0.1)
    weights = {"class_weight": torch.rand(7), "token_weight": torch.rand(3001)}
    slow = row_terms(target.cpu(), options, classes=7, dtype=torch.float32, **weights)
    quick = fused_row_terms(target, options, classes=7, **{k: t.to(place.device) for k, t in weights.items()})
    names = ("lse_coefficient", "target_coefficient", "row_weight", "scale", "divisor", "class_term")
    return [(name, getattr(quick, name).cpu(), getattr(slow, name)) for name in names]


def _vocabulary_pairs(place: Place) -> list[tuple[str, Tensor, Tensor]]:
    from fiedler.kernels.linear.vocabulary import parallel as vocab_parallel
    from fiedler.kernels.linear.vocabulary.layout import VocabLayout

    if place.rehearse:
        vocab_parallel.on_card = lambda input: True
    x, w, target = _small(place)
    leaves = [t.clone().requires_grad_() for t in (x, w)]
    half = len(w) // 3
    loss = vocab_parallel.vocab_parallel_linear_cross_entropy(
        *leaves, target, layout=VocabLayout((half, len(w) - half), (2,), 0)
    )
    got = [loss.detach(), *torch.autograd.grad(loss, leaves)]
    return list(zip(("loss", "input", "weight"), got, _dense(x, w, target), strict=True))


# --- the suite


def _suite(rehearse: bool) -> Iterator[dict[str, Any]]:
    """pytest over tests/kernels/gpu by many processes: 764 compilations take a quarter of an hour in one."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "tests/kernels/gpu", "-q", "-p", "no:cacheprovider",
                   f"--junitxml={report}", "-n", str(min(12, os.cpu_count() or 1)), "-m", "not triton"]  # fmt: skip
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not report.exists():
            yield {"right": False, "said": (ran.stdout + ran.stderr)[-1500:]}
            return
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    kinds = {kind: [f"{c.get('classname')}::{c.get('name')}" for c in cases if c.find(kind) is not None]
             for kind in ("failure", "error", "skipped")}  # fmt: skip
    bad = kinds["failure"] + kinds["error"]
    yield {"tests": len(cases), "skipped": len(kinds["skipped"]), "failed": bad[:100], "right": not bad,
           "said": ran.stdout[-3000:] if bad else ""}  # fmt: skip


# --- times


def _ladder(what: str, place: Place, struck: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One shape: its floor and every way that is not struck, in turns."""
    from fiedler.kernels.profiling.rows import Shape, floor_products
    from fiedler.kernels.profiling.timing import peak_bytes, time_interleaved

    what, _, only = what.partition(" only ")
    kind, _, size = what.rpartition(" ")
    numbers = [int(number) for number in size.split("x")]
    shape = Shape(*numbers) if not kind else Shape(numbers[0], numbers[1], numbers[0])
    x = place.normal(shape.rows, shape.width, size=shape.width**-0.25)
    w = x if kind == "tied-graph" else place.normal(shape.classes, shape.width, seed=1, size=shape.width**-0.25)
    ways, reference = _graph_ways(kind, x, w, place) if kind else _linear_ways(shape, x, w, place, struck)
    ways = {name: way for name, way in ways.items() if only in ("", name)}
    work = float(shape.rows) * shape.width * shape.classes
    wanted = reference() if reference is not None and work <= REFERENCE_WORK else None
    floor = floor_products(shape, [x, w])
    times = time_interleaved({"floor": floor, **ways}, place.device, rounds=2 if place.rehearse else 15)
    yield {"way": "floor", "ms": times["floor"].median, "spread": times["floor"].spread}
    for name, way in ways.items():
        error = None
        if wanted is not None:
            error = max(float((a.double() - b).norm() / b.norm()) for a, b in zip(way(), wanted, strict=True))
        ratio, predicted = times[name].ratio_to(times["floor"])[0], _predicted(kind, name, shape, place)
        yield {"way": name, "ms": times[name].median, "spread": times[name].spread, "to_floor": ratio,
               "predicted_ms": predicted, "peak_mib": peak_bytes(way, place.device) / 2**20, "error": error,
               "right": error is None or error < CLOSE[place.dtype]}  # fmt: skip


Ways = tuple[dict[str, Callable[[], list[Tensor]]], Callable[[], Sequence[Tensor]] | None]


def _linear_ways(shape: Any, x: Tensor, w: Tensor, place: Place, struck: Sequence[str]) -> Ways:
    from fiedler.kernels.profiling.peers import find_peers

    target = place.integers(shape.classes, shape.rows)
    if shape.classes == 256_000:  # an instruction-tuning batch: half of the tokens are ignored
        target[::2] = -100
    ways: dict[str, Callable[[], list[Tensor]]] = {}
    for path in PATHS:
        if path not in struck and shape.width <= WIDEST.get(path, shape.width):
            ways[path] = lambda path=path: _linear(path, x, w, target)
    leaves = [t.detach().requires_grad_() for t in (x, w)]
    for peer in [] if place.rehearse else find_peers(place.device):
        if peer.loss is not None and not (peer.name == "torch eager" and shape.classes > 200_000):
            ways[peer.name] = lambda loss=peer.loss: _step(loss(*leaves, target), leaves)
    return ways, lambda: _dense(x, w, target)


def _step(loss: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def _graph_ways(kind: str, x: Tensor, c: Tensor, place: Place) -> Ways:
    """The kernels' part of a graph loss, as graph/cuda.py has it: the products with the sparse target are left out."""
    from fiedler.kernels.graph.cuda import pivot_sums, pivot_transpose_average, tied_pivot_average
    from fiedler.kernels.graph.cuda_symmetric import tied_pivot_sums

    pivot, weight = place.integers(len(x), len(x)), torch.ones(len(x), device=place.device)

    def tied() -> list[Tensor]:
        return [tied_pivot_average(x, pivot, tied_pivot_sums(x, pivot), weight)]

    def all_tiles() -> list[Tensor]:
        return [tied_pivot_average(x, pivot, pivot_sums(x, x, None, pivot, average=False)[0], weight)]

    def untied() -> list[Tensor]:
        sums, average = pivot_sums(x, c, None, pivot, average=True)
        assert average is not None
        return [average, pivot_transpose_average(x, c, None, pivot, sums, weight)[0]]

    return {"flash": tied, "sums of all tiles": all_tiles} if kind == "tied-graph" else {"flash": untied}, None


def _predicted(kind: str, way: str, shape: Any, place: Place) -> float | None:
    """Milliseconds, by the model of an H200; None for what is not ours."""
    if way not in PATHS or place.rehearse:  # the interpreter replaces the compiler
        return None
    from fiedler.kernels.profiling.calls import Call
    from fiedler.kernels.profiling.roofline import compiled_loops, predict

    path = kind.replace("-", " ") if kind else way
    call = Call(path, torch.bfloat16, shape.rows, shape.classes, shape.width)
    return 1e3 * predict(call, compiled_loops()).seconds


def _tiles(nodes: int, place: Place) -> Iterator[dict[str, Any]]:
    """Tiles of the kernels that keep no logits, beside those that are shipped."""
    from fiedler.kernels.gpu import flash_tiles
    from fiedler.kernels.gpu.launch import architecture
    from fiedler.kernels.profiling.timing import time_interleaved

    candidates = [flash_tiles.Tile(h, s, w, 2) for h, s, w in itertools.product((64, 128), (64, 128), (4, 8))]
    for width in (16,) if place.rehearse else (64, 128):
        x = place.normal(nodes, width, size=width**-0.25)
        key = (16 if x.element_size() == 2 else 32, architecture(x))
        kinds = {"tied": "tied-graph", "symmetric": "tied-graph", "average": "graph", "gradient": "graph"}
        shipped = {kind: flash_tiles.TILES[kind, *key][max(64, width)] for kind in kinds}
        for kind, other in kinds.items():
            way = _graph_ways(other, x, x, place)[0]["flash"]
            for tile in [shipped[kind][0], *candidates[: 1 if place.rehearse else None]]:
                if kind == "symmetric" and tile.held % tile.streamed:
                    continue  # its steps begin at the rows held
                flash_tiles.TILES[kind, *key][max(64, width)] = (tile, tile)
                name = f"{kind} {width}: {tile.held}x{tile.streamed} w{tile.warps} s{tile.stages}"
                try:
                    ms = time_interleaved({"it": way}, place.device, rounds=1 if place.rehearse else 5)["it"].median
                    yield {"way": name + (" shipped" if tile == shipped[kind][0] else ""), "ms": ms}
                except Exception as error:  # a tile that does not fit is a result
                    yield {"what": name, "refused": f"{type(error).__name__}: {error}"[:200]}
            flash_tiles.TILES[kind, *key][max(64, width)] = shipped[kind]


# --- how people use them


def _use(what: str, place: Place) -> Iterator[dict[str, Any]]:
    from fiedler.kernels import linear_cross_entropy

    if place.rehearse:
        yield {"what": what, "note": "only a card can show this"}
        return
    x, w, target = _small(place)
    target = target.clamp_min(0)
    leaves = [t.clone().requires_grad_() for t in (x, w)]

    def call(loss: Callable[..., Tensor] = linear_cross_entropy) -> list[Tensor]:
        return _step(loss(*leaves, target), leaves)

    wanted = call()
    if what == "cuda graph":
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = call()
        graph.replay()
    elif what == "second stream":
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            found = call()
        stream.synchronize()
    elif what == "no waits":
        torch.cuda.set_sync_debug_mode("error")
        found = call()
        torch.cuda.set_sync_debug_mode("default")
    else:
        compiled = torch.compile(lambda x, w, t: linear_cross_entropy(x, w, t), fullgraph=True)
        found = call(compiled)
    torch.cuda.synchronize()
    yield from _errors([(f"{what} {k}", a, b) for k, (a, b) in enumerate(zip(found, wanted, strict=True))], place, 0.0)
