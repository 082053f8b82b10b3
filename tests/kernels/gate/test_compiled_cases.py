"""Every kernel in the forms that the switches give it, compiled for cards that are not there, and its inner loops.

``make test`` compiles, for sm_90, the kernels whose loops are recorded at the widest and the commonest sizes in bf16
and fp32, and for sm_80 and sm_100 those of them with matrix products in bf16 without options: a hundred in some
minutes. ``make gate`` does the rest. One report serves the quick tests; Triton's cache, below the system's temporary
folder, makes a repeated run quick.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton, whose compiler this drives, is made for Linux only")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter replaces the compiler", allow_module_level=True)

import torch
import triton

import loop_records
from fiedler.kernels.compile_report import KernelReport, compile_report, inspect_case, report_table
from fiedler.kernels.gpu.launch import TILE_MEMORY
from fiedler.kernels.profiling.compile_cases import CompileCase, compile_cases, switch_sets
from fiedler.kernels.profiling.loops import LoopReport, from_json
from fiedler.kernels.profiling.switches import SWITCHES
from triton_versions import unknown

pytestmark = [pytest.mark.triton, pytest.mark.timeout(1800)]

QUICK = (90, 80, 100)
# Cards of less shared memory take the tiles for 8.0; their own machine code is looked at by test_triton_versions.py.
WHOLE = (90, 80, 100)
WORKERS = os.cpu_count() or 1
SPILLS = Path(__file__).with_name("whole_spills.json")  # of the whole set, with the pinned Triton
# Of the quick cases. The widest tiles are those that spill or need more shared memory than a card has.
SIZES = {"1024x32000", "1024x4096", "128x32000", "128x4096", "128x16384", "256x32000", "256x4096"}
TYPES = {"bf16", "fp32"}


def quick_names(architecture: int) -> list[str]:
    """The cases of ``make test``; what depends on the architecture is the kernels with matrix products."""
    if architecture == loop_records.ARCHITECTURE:
        words = [(case.name, case.name.split()) for case in loop_records.recorded_cases()]
        return [
            name for name, said in words if SIZES & set(said) and TYPES & set(said) and "tf32" not in said
        ]  # fmt: skip
    cases = [case for case in compile_cases(architecture, "extreme") if case.launch.matrix]
    return [case.name for case in cases if {"bf16", "plain"} <= set(words := case.name.split()) and SIZES & set(words)]


@pytest.fixture(scope="module")
def reports() -> dict[int, list[KernelReport]]:
    return {
        architecture: list(compile_report(
            architectures=[architecture], names=quick_names(architecture), workers=WORKERS,
            loops=architecture == loop_records.ARCHITECTURE,
        ))
        for architecture in QUICK
    }  # fmt: skip


@pytest.fixture(scope="module")
def record() -> dict:
    found = loop_records.read()
    if found["triton"] != triton.__version__:
        pytest.skip(f"the loops are recorded with Triton {found['triton']}, here is {triton.__version__}")
    return found


def check(found: list[KernelReport], names: list[str], known: dict[str, int] | None = None) -> None:
    """All cases are there, without a problem but spills that are ``known``, bytes of stack by case, and the numbers are
    those of real code."""
    assert [report.case for report in found] == names
    bad = unknown(found, known or {})
    assert not bad, report_table(bad)
    for report in found:
        assert 16 <= report.registers <= 255
        assert report.wants_matrix == (report.matrix_instructions > 0)
        if report.loops is not None:
            assert report.loops.programs >= 1
            assert not report.wants_matrix or any(loop.matrix for loop in report.loops.loops), report.case


@pytest.mark.parametrize("architecture", QUICK)
def test_no_kernel_has_a_problem(reports: dict[int, list[KernelReport]], architecture: int) -> None:
    check(reports[architecture], quick_names(architecture))


def test_the_tiles_for_8_0_fit_the_small_cards(reports: dict[int, list[KernelReport]]) -> None:
    assert max(report.shared_bytes for report in reports[80]) <= TILE_MEMORY[80]


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("architecture", WHOLE)
def test_no_kernel_has_a_problem_in_any_form(architecture: int) -> None:
    """Single switches on cards that are not the widest may spill a few registers: those that do are recorded."""
    found = compile_report(architectures=[architecture], chosen="whole", workers=WORKERS, loops=False)
    known = json.loads(SPILLS.read_text()).get(str(architecture), {})
    check(list(found), [case.name for case in compile_cases(architecture)], known)
    assert set(known) <= {report.case for report in found if report.problems}, "a spill is gone: take it off the record"


def test_every_switch_is_compiled_alone_and_with_the_others() -> None:
    names = {case.name for case in compile_cases(90)}
    for path in ("chunked", "exponential", "flash"):
        sets = switch_sets(path, torch.bfloat16)
        assert {frozenset({switch}) for switch in SWITCHES} <= set(sets.values())
        together = [chosen for chosen in sets.values() if len(chosen) > 1]
        assert frozenset(SWITCHES) <= frozenset().union(*together)
    for word in ("bf16", "fp16", "fp32"):
        assert any(f"flash {word} 96x32000 all" in name for name in names)


def check_loops(found: list[KernelReport], record: dict) -> None:
    """No loop of them is worse than its record."""
    said = []
    for report in found:
        assert report.loops is not None
        before = from_json(record["loops"][record["cases"][report.case]])
        said += [f"{report.case}: {what}" for what in loop_records.worse(report.loops, before)]
    assert not said, "\n".join(said)


def test_no_loop_is_worse_than_it_was(reports: dict[int, list[KernelReport]], record: dict) -> None:
    wanted = [case.name for case in loop_records.recorded_cases()]
    assert sorted(record["cases"]) == sorted(wanted), "other cases than recorded: python tests/support/loop_records.py"
    check_loops(reports[loop_records.ARCHITECTURE], record)


@pytest.mark.long
def test_no_recorded_loop_is_worse_than_it_was(record: dict) -> None:
    names = [case.name for case in loop_records.recorded_cases()]
    found = list(compile_report(architectures=[loop_records.ARCHITECTURE], names=names, workers=WORKERS, loops=True))
    check(found, names)
    check_loops(found, record)


def test_matrix_loops_of_whole_vectors_copy_asynchronously(reports: dict[int, list[KernelReport]]) -> None:
    """Where D divides by 16: loads of 16 bytes, none of two, straight to shared memory."""
    cases = {case.name: case.launch for case in compile_cases(90, "short")}
    for report in reports[90]:
        launch = cases[report.case]
        if report.loops is not None and launch.matrix and launch.arguments["D"] % 16 == 0 and "fp32" not in report.case:
            for loop in report.loops.loops:
                assert loop.asynchronous > 0, report.case
                marks = 4 if "marks" in launch.arguments else 0  # of a byte for each block of 64 x 64 of a tile
                assert launch.arguments.get("bias") is not None or loop.short_loads <= marks, report.case


def test_one_exponential_more_is_found(record: dict, tmp_path: Path) -> None:
    """A copy of the tied kernel whose probabilities pass through 2^x twice."""
    case = next(case for case in loop_records.recorded_cases() if case.kernel == "tied_average_kernel")
    before = from_json(record["loops"][record["cases"][case.name]])
    kernel = loop_records.with_one_more_exponential(case.launch.kernel, tmp_path)
    faulty = inspect_case(replace(case, launch=replace(case.launch, kernel=kernel)), loop_records.ARCHITECTURE)
    assert faulty.loops is not None
    said = loop_records.worse(faulty.loops, before)
    assert any("exponentials" in what for what in said), said


def test_what_is_worse() -> None:
    row = {
        "loops": [
            {
                "instructions": 100, "exponentials": 20, "matrix": 4, "barriers": 2, "short_loads": 0,
                "asynchronous": 3, "loaded_bytes": 4096, "matrix_flops": 1 << 20, "stores": False,
            }
        ],
        "instructions": 300, "exponentials": 20, "registers": 100, "shared_bytes": 1000, "warps": 8, "programs": 2,
    }  # fmt: skip
    before: LoopReport = from_json(row)
    (loop,) = before.loops
    assert loop_records.worse(before, before) == []
    assert loop_records.worse(replace(before, loops=(replace(loop, instructions=105),)), before) == []
    for change, word in (
        ({"instructions": 106}, "instructions 100 -> 106"), ({"exponentials": 22}, "exponentials"),
        ({"short_loads": 1}, "short_loads"), ({"asynchronous": 0}, "asynchronous"), ({"matrix": 2}, "matrix"),
        ({"barriers": 3}, "barriers"),
    ):  # fmt: skip
        (said,) = loop_records.worse(replace(before, loops=(replace(loop, **change),)), before)
        assert word in said
    assert "programs" in loop_records.worse(replace(before, programs=1), before)[0]
    assert "inner loops" in loop_records.worse(replace(before, loops=()), before)[0]


def test_a_case_stands_for_one_launch() -> None:
    cases = compile_cases(90)
    assert len({case.name for case in cases}) == len(cases)
    assert all(isinstance(case, CompileCase) for case in cases)
    for chosen in ("extreme", "short"):  # the same names, from fewer calls
        assert [case.name for case in cases if case.within(chosen)] == [c.name for c in compile_cases(90, chosen)]
