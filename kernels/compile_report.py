"""What the compiler makes of every Triton kernel, for cards that are not there: registers, spills, memory, matrices.

    python -m fiedler.kernels.compile_report [--architectures 80,90,100] [--set short] [--json FILE] [--workers 2]

compiles each launch of ``profiling.compile_cases`` for each architecture with Triton's own compiler and assembler,
which need no GPU and no driver, and reads the machine code with the ``cuobjdump`` that comes with Triton. A kernel has
a problem if it spills registers in its inner loops, or more than 64 bytes of them outside, asks for more shared memory
than the card has (Triton does not check that without a card) or multiplies matrices without matrix instructions. The
exit status is 1 if any has.

Compilation runs in worker processes, for a failed assertion in the compiler ends the process: such a case is reported
as failed and the worker started again after it. ``--triton FOLDER`` compiles with another Triton, unpacked there (``pip
install --no-deps --target FOLDER triton==3.9.0``). Wants Linux and Triton 3.6 or later; nothing else in the package
imports this file.
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
    from .profiling.compile_cases import CompileCase
    from .profiling.loops import LoopReport

ARCHITECTURES = (80, 90, 100)
MATRIX_INSTRUCTION = re.compile(r"\b(?:HMMA|HGMMA|QGMMA|UTC\w*MMA)\b")
MATRIX_PTX = re.compile(r"\b(?:wgmma\.mma_async|mma\.sync|tcgen05\.mma)\b")
STACK_LIMIT = 64  # bytes that may be put aside outside the inner loops: some scalars, once a program
LOCAL_LOAD = re.compile(r"\bLDL\b")
LOCAL_STORE = re.compile(r"\bSTL\b")


@dataclass(frozen=True)
class KernelReport:
    """One kernel compiled for one architecture; ``shared_bytes`` static and dynamic, spills as instructions and stack.

    ``failure`` holds the compiler's message if there is no machine code, and then the numbers are zero; ``loops`` the
    inner loops of the code, ``loop_spills`` the loads and stores of spilled registers in them.
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
    loops: LoopReport | None = None
    loop_spills: int = 0

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the kernel on this architecture, in words; empty if nothing is."""
        if self.failure:
            return (f"does not compile: {self.failure}",)
        from .profiling.machine_code import card_of

        problems = []
        if self.loop_spills or self.stack_bytes > STACK_LIMIT:
            where = f"{self.local_loads} LDL, {self.local_stores} STL, {self.loop_spills} of them in loops"
            problems.append(f"spills: {self.stack_bytes} B stack, {where}")
        limit = card_of(self.architecture).shared_memory
        if self.shared_bytes > limit:
            problems.append(f"shared memory {self.shared_bytes} B above the card's {limit} B")
        if self.wants_matrix and not self.matrix_instructions:
            problems.append("no matrix instruction")
        return tuple(problems)


def inspect_case(case: CompileCase, architecture: int, *, loops: bool = True) -> KernelReport:
    """Compile one case in this process; ``loops`` as in ``compile_report``. Raises ValueError for an architecture whose
    limits are not known."""
    import triton

    from .profiling.loops import loop_report, spills_in_loops
    from .profiling.machine_code import card_of, disassembled, machine_code

    card_of(architecture)
    launch = case.launch
    about = {
        "kernel": case.kernel, "case": case.name, "architecture": architecture, "triton": triton.__version__,
        "wants_matrix": launch.matrix, "num_warps": launch.num_warps, "num_stages": launch.num_stages,
    }  # fmt: skip
    try:
        code = machine_code(launch, architecture)
    except Exception as error:  # the compiler's exceptions have no common class
        return KernelReport(**about, failure=f"{type(error).__name__}: {error}"[:500])
    text = disassembled(code) if loops or code.stack_bytes else ""
    matrix = MATRIX_INSTRUCTION.findall(text) if text else MATRIX_PTX.findall(code.ptx)
    return KernelReport(
        **about,
        registers=code.registers,
        stack_bytes=code.stack_bytes,
        local_loads=len(LOCAL_LOAD.findall(text)),
        local_stores=len(LOCAL_STORE.findall(text)),
        shared_bytes=code.shared_bytes,
        matrix_instructions=len(matrix),
        loops=loop_report(code, text, launch.num_warps, architecture) if loops else None,
        loop_spills=spills_in_loops(text),
    )


def from_row(row: dict) -> KernelReport:
    """The report that ``dataclasses.asdict`` made ``row`` of."""
    from .profiling.loops import from_json

    loops = row.get("loops")
    return KernelReport(**{**row, "loops": None if loops is None else from_json(loops)})


def compile_report(
    *,
    architectures: Sequence[int] = ARCHITECTURES,
    names: Sequence[str] | None = None,
    chosen: str = "extreme",
    workers: int = 1,
    triton: str | None = None,
    loops: bool = True,
    on_report: Callable[[int, int], None] | None = None,
) -> tuple[KernelReport, ...]:
    """Every case of the set ``chosen`` of ``compile_cases.SETS``, or of ``names``, for every architecture, compiled in
    ``workers`` processes with the Triton that is installed, or that of the folder ``triton``.

    Without ``loops`` the code is disassembled only where it spills, which saves half the time: no loops are reported,
    and matrix instructions counted in the PTX. ``on_report(done, of)`` is called after each compilation, from the
    workers' threads. Triton's cache (TRITON_CACHE_DIR) makes a second report quick. Raises ValueError for an unknown
    architecture, set or name and RuntimeError if a worker cannot start.
    """
    from .checks import check_choice
    from .profiling.compile_cases import SETS, compile_cases, named_cases

    check_choice(chosen, "chosen", SETS)
    # One architecture after the other, so that a worker makes the cases of each once.
    jobs = [
        (case.name, architecture)
        for architecture in architectures
        for case in (compile_cases(architecture, chosen) if names is None else named_cases(names, architecture))
    ]
    shares = [jobs[start::workers] for start in range(workers)]
    finished, stopped = 0, Event()

    def count() -> None:
        nonlocal finished
        finished += 1
        if on_report is not None:
            on_report(finished, len(jobs))

    work = partial(_run_worker, on_report=count, stopped=stopped, triton=triton, loops=loops)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            done = [report for reports in pool.map(work, shares) for report in reports]
        except BaseException:  # Ctrl-C above all: the workers that it ended are not started again
            stopped.set()
            raise
    order = {job: position for position, job in enumerate(jobs)}
    return tuple(sorted(done, key=lambda report: order[(report.case, report.architecture)]))


def _run_worker(
    jobs: Sequence[tuple[str, int]], on_report: Callable[[], None], stopped: Event, triton: str | None, loops: bool
) -> list[KernelReport]:
    """The reports of ``jobs`` from worker processes: the next one carries on behind a job whose compiler crashed."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    if triton is not None:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [triton, environment.get("PYTHONPATH", "")]))
    reports: list[KernelReport] = []
    while len(reports) < len(jobs) and not stopped.is_set():
        left = jobs[len(reports) :]
        command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "fiedler.kernels.compile_report"]
        before = len(reports)
        with tempfile.TemporaryFile("w+") as listed, tempfile.TemporaryFile("w+") as errors:
            listed.write(json.dumps({"jobs": left, "loops": loops}))
            listed.seek(0)
            with subprocess.Popen(
                [*command, "--worker"], stdin=listed, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            ) as worker:
                assert worker.stdout is not None
                for line in worker.stdout:
                    if line.startswith(MARK):
                        reports.append(from_row(json.loads(line[len(MARK) :])))
                        on_report()
            errors.seek(0)
            said = errors.read()
        if len(reports) == len(jobs):
            break
        if len(reports) == before and "compiling" not in said:
            raise RuntimeError(f"the compile worker did not start: {said[-2000:]}")
        reports.append(_crashed(*jobs[len(reports)], f"status {worker.returncode}: {said[-300:]}"))
    return reports


def _crashed(name: str, architecture: int, how: str) -> KernelReport:
    from .profiling.compile_cases import named_cases

    (case,) = named_cases([name], architecture)
    warps, stages = case.launch.num_warps, case.launch.num_stages
    return KernelReport(case.kernel, name, architecture, "", warps, stages, failure=f"the compiler crashed with {how}")


MARK = "report: "


def _work() -> None:
    from .profiling.compile_cases import named_cases

    asked = json.loads(sys.stdin.read())
    jobs, loops = asked["jobs"], asked["loops"]
    for architecture in dict.fromkeys(architecture for _, architecture in jobs):
        names = [name for name, card in jobs if card == architecture]
        cases = {case.name: case for case in named_cases(names, architecture)}
        for name in names:
            print(f"compiling {name} for {architecture}", file=sys.stderr, flush=True)
            print(MARK + json.dumps(asdict(inspect_case(cases[name], architecture, loops=loops))), flush=True)


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
    parser.add_argument("--set", default="extreme", help="extreme, short or whole: how many of the cases")
    parser.add_argument("--cases", default=None, help="comma-separated names, instead of a set")
    parser.add_argument("--triton", default=None, metavar="FOLDER", help="where another Triton is unpacked")
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
        chosen=chosen.set,
        triton=chosen.triton,
        workers=chosen.workers,
    )
    print(report_table(reports))
    if chosen.json is not None:
        rows = [{**asdict(report), "problems": list(report.problems)} for report in reports]
        Path(chosen.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any(report.problems for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
