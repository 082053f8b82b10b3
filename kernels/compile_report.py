"""What the compiler makes of every Triton kernel, for cards that are not there: registers, spills, memory, matrices.

    python -m fiedler.kernels.compile_report [--architectures 80,90,100] [--json FILE] [--workers 2]

compiles each launch of ``profiling.compile_cases`` for each architecture with Triton's own compiler and assembler,
which need no GPU and no driver, and reads the machine code with the ``cuobjdump`` that comes with Triton. A kernel has
a problem if it spills registers, asks for more shared memory than the card has (Triton does not check that without a
card) or multiplies matrices without matrix instructions. The exit status is 1 if any has.

Compilation runs in worker processes, for a failed assertion in the compiler ends the process: such a case is reported
as failed and the worker started again after it. Wants Linux and Triton 3.6 or 3.7; nothing else in the package imports
this file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gpu.launch import Launch
    from .profiling.compile_cases import CompileCase

ARCHITECTURES = (80, 90, 100)
# Largest dynamic shared memory of one block, in bytes (CUDA programming guide, compute capabilities).
SHARED_LIMIT = {80: 166912, 86: 101376, 89: 101376, 90: 232448, 100: 232448, 120: 101376}
MATRIX_INSTRUCTION = re.compile(r"\b(?:HMMA|HGMMA|QGMMA|UTC\w*MMA)\b")
LOCAL_LOAD = re.compile(r"\bLDL\b")
LOCAL_STORE = re.compile(r"\bSTL\b")


@dataclass(frozen=True)
class KernelReport:
    """One kernel compiled for one architecture; ``shared_bytes`` static and dynamic, spills as instructions and stack.

    ``failure`` holds the compiler's message if there is no machine code, and then the numbers are zero.
    """

    kernel: str
    case: str
    architecture: int
    triton: str
    num_warps: int
    num_stages: int
    registers: int = 0
    stack_bytes: int = 0
    local_loads: int = 0
    local_stores: int = 0
    shared_bytes: int = 0
    matrix_instructions: int = 0
    wants_matrix: bool = False
    failure: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the kernel on this architecture, in words; empty if nothing is."""
        if self.failure:
            return (f"does not compile: {self.failure}",)
        problems = []
        if self.stack_bytes or self.local_loads or self.local_stores:
            problems.append(f"spills: {self.stack_bytes} B stack, {self.local_loads} LDL, {self.local_stores} STL")
        limit = SHARED_LIMIT[self.architecture]
        if self.shared_bytes > limit:
            problems.append(f"shared memory {self.shared_bytes} B above the card's {limit} B")
        if self.wants_matrix and not self.matrix_instructions:
            problems.append("no matrix instruction")
        return tuple(problems)


def launch_for(case: CompileCase, architecture: int) -> Launch:
    """The case's launch with the tiles that a card of this architecture gets."""
    from .gpu.launch import tile_architecture

    return case.launch(tile_architecture(architecture, SHARED_LIMIT[architecture]))


def inspect_case(case: CompileCase, architecture: int) -> KernelReport:
    """Compile one case in this process. Raises ValueError for an architecture whose limits are not known."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if architecture not in SHARED_LIMIT:
        raise ValueError(f"architecture {architecture} is not one of {sorted(SHARED_LIMIT)}")
    launch = launch_for(case, architecture)
    signature, constants, attributes = launch_signature(launch)
    source = ASTSource(launch.kernel, signature, constants, attributes)
    options = {"num_warps": launch.num_warps, "num_stages": launch.num_stages}
    about = {
        "kernel": launch.kernel.__name__, "case": case.name, "architecture": architecture,
        "triton": triton.__version__, "wants_matrix": launch.matrix, **options,
    }  # fmt: skip
    try:
        compiled = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    except Exception as error:  # the compiler's exceptions have no common class
        return KernelReport(**about, failure=f"{type(error).__name__}: {error}"[:500])
    usage, code = _disassemble(compiled.asm["cubin"])
    return KernelReport(
        **about,
        registers=_number(usage, "REG"),
        stack_bytes=_number(usage, "STACK") + _number(usage, "LOCAL"),
        local_loads=len(LOCAL_LOAD.findall(code)),
        local_stores=len(LOCAL_STORE.findall(code)),
        shared_bytes=int(compiled.metadata.shared),
        matrix_instructions=len(MATRIX_INSTRUCTION.findall(code)),
    )


def launch_signature(launch: object) -> tuple[dict[str, str], dict[str, object], dict[tuple[int, ...], list]]:
    """Types, constants and divisibility of a launch's arguments, as Triton's launcher specialises them."""
    import torch

    types = {
        torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.int64: "i64", torch.int32: "i32",
        torch.bool: "i1", torch.uint8: "u8",
    }  # fmt: skip
    signature: dict[str, str] = {}
    constants: dict[str, object] = {}
    attributes: dict[tuple[int, ...], list] = {}
    arguments = launch.arguments  # type: ignore[attr-defined]
    for position, parameter in enumerate(launch.kernel.params):  # type: ignore[attr-defined]
        value = arguments[parameter.name]
        if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            signature[parameter.name] = "constexpr"
            constants[parameter.name] = value
        elif isinstance(value, torch.Tensor):
            signature[parameter.name] = "*" + types[value.dtype]
            aligned = (value.storage_offset() * value.element_size()) % 16 == 0
            if aligned:
                attributes[(position,)] = [["tt.divisibility", 16]]
        elif isinstance(value, int):
            signature[parameter.name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            if value % 16 == 0:
                attributes[(position,)] = [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[parameter.name] = "fp32"
        else:
            raise TypeError(f"argument {parameter.name} of {launch.kernel.__name__} is {value!r}")  # type: ignore[attr-defined]
    return signature, constants, attributes


def _disassemble(cubin: bytes) -> tuple[str, str]:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        outputs = [
            subprocess.run([tool, flag, path], capture_output=True, text=True, check=True).stdout
            for flag in ("-res-usage", "-sass")
        ]
    return outputs[0], outputs[1]


def _number(usage: str, word: str) -> int:
    match = re.search(rf"\b{word}:(\d+)", usage)
    if match is None:
        raise RuntimeError(f"cuobjdump -res-usage gave no {word}: {usage!r}")
    return int(match.group(1))


def compile_report(
    *,
    architectures: Sequence[int] = ARCHITECTURES,
    names: Sequence[str] | None = None,
    workers: int = 1,
    on_report: Callable[[int, int], None] | None = None,
) -> tuple[KernelReport, ...]:
    """Every case (those of ``names`` if given) for every architecture, compiled in ``workers`` processes.

    ``on_report(done, of)`` is called after each compilation, from the workers' threads. Triton's own cache
    (TRITON_CACHE_DIR) makes a second report quick. Raises ValueError for an unknown architecture or name and
    RuntimeError if a worker cannot start.
    """
    from .checks import did_you_mean
    from .profiling.compile_cases import compile_cases

    unknown = [architecture for architecture in architectures if architecture not in SHARED_LIMIT]
    if unknown:
        raise ValueError(f"architectures {unknown} are not among {sorted(SHARED_LIMIT)}")
    known = [case.name for case in compile_cases()]
    missing = [name for name in names or () if name not in known]
    if missing:
        hint = did_you_mean(missing[0], tuple(known))
        raise ValueError(f"unknown cases {missing}; the cases are {known}{hint}")
    jobs = [(name, architecture) for name in (names or known) for architecture in architectures]
    shares = [jobs[start::workers] for start in range(workers)]
    finished, stopped = 0, Event()

    def count() -> None:
        nonlocal finished
        finished += 1
        if on_report is not None:
            on_report(finished, len(jobs))

    work = partial(_run_worker, on_report=count, stopped=stopped)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            done = [report for reports in pool.map(work, shares) for report in reports]
        except BaseException:  # Ctrl-C above all: the workers that it ended are not started again
            stopped.set()
            raise
    order = {job: position for position, job in enumerate(jobs)}
    return tuple(sorted(done, key=lambda report: order[(report.case, report.architecture)]))


def _run_worker(jobs: Sequence[tuple[str, int]], on_report: Callable[[], None], stopped: Event) -> list[KernelReport]:
    """The reports of ``jobs`` from worker processes: the next one carries on behind a job whose compiler crashed."""
    from .profiling.compile_cases import compile_cases

    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    reports: list[KernelReport] = []
    while len(reports) < len(jobs) and not stopped.is_set():
        left = jobs[len(reports) :]
        command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "fiedler.kernels.compile_report"]
        before = len(reports)
        with tempfile.TemporaryFile("w+") as listed, tempfile.TemporaryFile("w+") as errors:
            listed.write(json.dumps(left))
            listed.seek(0)
            with subprocess.Popen(
                [*command, "--worker"], stdin=listed, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            ) as worker:
                assert worker.stdout is not None
                for line in worker.stdout:
                    if line.startswith(MARK):
                        reports.append(KernelReport(**json.loads(line[len(MARK) :])))
                        on_report()
            errors.seek(0)
            said = errors.read()
        if len(reports) == len(jobs):
            break
        if len(reports) == before and "compiling" not in said:
            raise RuntimeError(f"the compile worker did not start: {said[-2000:]}")
        name, architecture = jobs[len(reports)]
        launch = launch_for(next(case for case in compile_cases() if case.name == name), architecture)
        reports.append(
            KernelReport(
                launch.kernel.__name__,
                name,
                architecture,
                "",
                launch.num_warps,
                launch.num_stages,
                failure=f"the compiler crashed with status {worker.returncode}: {said[-300:]}",
            )
        )
    return reports


MARK = "report: "


def _work() -> None:
    from .profiling.compile_cases import compile_cases

    cases = {case.name: case for case in compile_cases()}
    for name, architecture in json.loads(sys.stdin.read()):
        print(f"compiling {name} for {architecture}", file=sys.stderr, flush=True)
        print(MARK + json.dumps(asdict(inspect_case(cases[name], architecture))), flush=True)


def report_table(reports: Sequence[KernelReport]) -> str:
    """The reports as an aligned text table, one line each, problems last."""
    heads = ("case", "sm", "warps", "stages", "registers", "stack", "LDL", "STL", "shared", "matrix", "problems")
    rows: list[tuple[str, ...]] = [heads]
    for report in reports:
        numbers = (
            report.architecture, report.num_warps, report.num_stages, report.registers, report.stack_bytes,
            report.local_loads, report.local_stores, report.shared_bytes, report.matrix_instructions,
        )  # fmt: skip
        rows.append((report.case, *map(str, numbers), "; ".join(report.problems)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)),
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the module: 0 if all kernels compile without a problem, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m fiedler.kernels.compile_report", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--architectures", default=",".join(map(str, ARCHITECTURES)), help="such as 80,90,100")
    parser.add_argument("--cases", default=None, help="comma-separated names; all if not given")
    parser.add_argument("--json", default=None, metavar="FILE", help="write the reports there as JSON")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that compile")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.worker:
        _work()
        return 0
    reports = compile_report(
        architectures=[int(word) for word in chosen.architectures.split(",")],
        names=None if chosen.cases is None else chosen.cases.split(","),
        workers=chosen.workers,
    )
    print(report_table(reports))
    if chosen.json is not None:
        rows = [{**asdict(report), "problems": list(report.problems)} for report in reports]
        Path(chosen.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any(report.problems for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
