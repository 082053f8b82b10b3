"""The record of inner loops, tests/kernels/gate/loops.json: what the machine code of every kernel that matters is for.

    python tests/support/loop_records.py [--workers 2]

compiles the kernels anew for sm_90 with the Triton that is installed and writes the record; git shows what changed.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import triton

from fiedler.kernels.compile_report import KernelReport, compile_report
from fiedler.kernels.gpu.launch import Launch
from fiedler.kernels.profiling.calls import Call, call_steps
from fiedler.kernels.profiling.compile_cases import CompileCase, chief, compile_cases
from fiedler.kernels.profiling.loops import Loop, LoopReport, as_json, loop_report
from fiedler.kernels.profiling.machine_code import CARDS, disassembled, machine_code, short_key
from fiedler.kernels.profiling.shapes import SHAPES, linear_calls

ARCHITECTURE = 90
FILE = Path(__file__).resolve().parents[1] / "kernels" / "gate" / "loops.json"
SLACK = 1.05  # of a count
PATHS = ("auto", "chunked", "sweep", "exponential", "flash", "recompute")
# What may not grow, and what may not shrink.
COUNTS = ("instructions", "exponentials", "barriers", "short_loads", "loaded_bytes")


def recorded_cases() -> list[CompileCase]:
    """The cases whose loops are kept: kernels that multiply matrices or sweep logits, those of the extreme set."""
    return [case for case in compile_cases(ARCHITECTURE) if case.within("extreme") and chief(case.launch)]


def predicted_launches() -> dict[str, Launch]:
    """The launches that predictions ask for, by key: of every shape on every path that serves it."""
    found: dict[str, Launch] = {}
    for call in candidates():
        for step in call_steps(call, CARDS[ARCHITECTURE]):
            if isinstance(step, Launch) and chief(step) and not step.arguments.get("RETRY"):
                found.setdefault(short_key(step), step)
    return found


def candidates() -> Iterable[Call]:
    """Every shape, the linear ones on every path that serves them."""
    yield from SHAPES
    for path in PATHS[1:]:
        for call in linear_calls(path):
            if serves(call):
                yield call


def serves(call: Call) -> bool:
    """Whether the path of a call takes it."""
    try:
        call_steps(call, CARDS[ARCHITECTURE])
    except ValueError:
        return False
    return True


def worse(found: LoopReport, before: LoopReport) -> list[str]:
    """What in ``found`` is more than ``SLACK`` times what it was ``before``, or a loop that no longer copies."""
    said = []
    if len(found.loops) != len(before.loops):
        said.append(f"{len(before.loops)} inner loops became {len(found.loops)}")
    for number, (now, then) in enumerate(zip(found.loops, before.loops, strict=False)):
        said += [f"loop {number}: {name} {was} -> {value}" for name, was, value in _grown(now, then, COUNTS)]
        if then.asynchronous and not now.asynchronous:
            said.append(f"loop {number}: no asynchronous copies any more")
        if now.matrix < then.matrix / SLACK:
            said.append(f"loop {number}: matrix instructions {then.matrix} -> {now.matrix}")
    said += [f"{name} {was} -> {value}" for name, was, value in _grown(found, before, ("registers", "shared_bytes"))]
    if found.programs < before.programs:
        said.append(f"programs of a multiprocessor {before.programs} -> {found.programs}")
    return said


def _grown(now: Any, then: Any, names: Iterable[str]) -> list[tuple[str, int, int]]:
    pairs = [(name, getattr(then, name), getattr(now, name)) for name in names]
    return [(name, was, value) for name, was, value in pairs if value > SLACK * was]


def with_one_more_exponential(kernel: Any, folder: Path) -> Any:
    """The Triton kernel from a copy of its module in which the first 2^x of its loop takes two exponentials."""
    source = Path(inspect.getfile(kernel.fn)).read_text()
    head, body = source.split(f"def {kernel.__name__}(")
    before, loop = body.split("    for ", 1)
    changed = loop.replace("tl.exp2(", "_two_exponentials(", 1)
    assert changed != loop, f"no tl.exp2 in the loop of {kernel.__name__}"
    two = "@triton.jit\ndef _two_exponentials(x):\n    return tl.exp2(x) * tl.exp2(0.5 * x)\n\n\n"
    start = head.rindex("@triton.jit")
    path = folder / "faulty.py"
    path.write_text(f"{head[:start]}{two}{head[start:]}def {kernel.__name__}({before}    for {changed}")
    spec = importlib.util.spec_from_file_location(f"{kernel.fn.__module__}_faulty", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return getattr(module, kernel.__name__)


def read() -> dict[str, Any]:
    """The record: the Triton it is from, ``cases`` with the key of each, ``loops`` by key."""
    return json.loads(FILE.read_text())


def write(reports: Iterable[KernelReport]) -> None:
    """The record of these reports of ``recorded_cases``; what only predictions ask for is compiled here."""
    by_name = {report.case: report.loops for report in reports}
    cases = {case.name: short_key(case.launch) for case in recorded_cases()}
    loops = {key: by_name[name] for name, key in cases.items()}
    for key, launch in predicted_launches().items():
        if key not in loops:
            code = machine_code(launch, ARCHITECTURE)
            loops[key] = loop_report(code, disassembled(code), launch.num_warps, ARCHITECTURE)
    assert all(report is not None for report in loops.values())
    assert {field.name for field in fields(Loop)} >= set(COUNTS)
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(as_json(report))}" for key, report in loops.items())
    named = ",\n".join(f"  {json.dumps(name)}: {json.dumps(key)}" for name, key in cases.items())
    FILE.write_text(
        f'{{"triton": "{triton.__version__}", "architecture": {ARCHITECTURE},\n"cases": {{\n{named}\n}},\n'
        f'"loops": {{\n{rows}\n}}}}\n'
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    workers = parser.parse_args().workers
    names = [case.name for case in recorded_cases()]
    write(compile_report(architectures=[ARCHITECTURE], names=names, workers=workers))


if __name__ == "__main__":
    main()
