"""Every kernel compiled for cards that are not there: nothing spills, matrix units are used, shared memory suffices.

One report serves all tests here; Triton's cache, below the system's temporary folder, makes a repeated run quick.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton, whose compiler this drives, is made for Linux only")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter replaces the compiler", allow_module_level=True)

from fiedler.kernels import compile_report as module
from fiedler.kernels.compile_report import ARCHITECTURES, KernelReport, inspect_case, report_table
from fiedler.kernels.gpu.exponential import Tile
from fiedler.kernels.gpu.launch import TILE_MEMORY, tile_architecture
from fiedler.kernels.profiling import compile_cases
from fiedler.kernels.profiling.compile_cases import CompileCase

# about 180 compilations on two cores, when the cache is empty
pytestmark = [pytest.mark.triton, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def reports() -> dict[tuple[str, int], KernelReport]:
    found = module.compile_report(workers=os.cpu_count() or 1)
    return {(report.case, report.architecture): report for report in found}


def test_every_case_is_compiled_for_every_architecture(reports: dict[tuple[str, int], KernelReport]) -> None:
    names = [case.name for case in compile_cases.compile_cases()]
    assert len(set(names)) == len(names)
    assert set(reports) == {(name, architecture) for name in names for architecture in ARCHITECTURES}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_kernel_has_a_problem(reports: dict[tuple[str, int], KernelReport], architecture: int) -> None:
    mine = [report for report in reports.values() if report.architecture == architecture]
    assert not [report for report in mine if report.problems], report_table([r for r in mine if r.problems])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_numbers_are_those_of_real_code(reports: dict[tuple[str, int], KernelReport], architecture: int) -> None:
    for report in reports.values():
        if report.architecture == architecture:
            assert 16 <= report.registers <= 255
            assert report.wants_matrix == (report.matrix_instructions > 0)


@pytest.mark.parametrize(
    ("capability", "kibibytes", "tiles"), [(80, 163, 80), (86, 99, 80), (90, 227, 90), (103, 227, 100), (120, 99, 80)]
)
def test_tiles_fit_the_shared_memory_of_the_card(capability: int, kibibytes: int, tiles: int) -> None:
    assert tile_architecture(capability, kibibytes << 10) == tiles


@pytest.mark.parametrize(("capability", "kibibytes"), [(75, 64), (70, 96)])
def test_older_cards_are_told_what_runs_on_them(capability: int, kibibytes: int) -> None:
    with pytest.raises(ValueError, match=r'compute capability 7\.[05].*use path="chunked" in float16 or float32'):
        tile_architecture(capability, kibibytes << 10)


def test_the_tiles_for_8_0_fit_the_small_cards(reports: dict[tuple[str, int], KernelReport]) -> None:
    assert max(r.shared_bytes for r in reports.values() if r.architecture == 80) <= TILE_MEMORY[80]


def test_hopper_uses_its_own_matrix_instructions(tmp_path: Path) -> None:
    case = next(case for case in compile_cases.compile_cases() if case.name == "exponential bf16")
    launch = case.launch(90)
    assert launch.matrix
    assert launch.arguments["CLASSES"] == 256


@pytest.mark.parametrize(
    ("tile", "problem"),
    [(Tile(256, 64, 4, 2), "spills"), (Tile(256, 64, 8, 5), "shared memory"), (Tile(256, 64, 8, 4), None)],
)
def test_a_bad_tile_is_found(tile: Tile, problem: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the warps do not hold the accumulator, a fifth stage does not fit; the shipped tile has neither problem."""
    monkeypatch.setattr("fiedler.kernels.gpu.exponential.exponential_tile", lambda *_, **__: tile)
    case = next(case for case in compile_cases.compile_cases() if case.name == "exponential bf16")
    found = inspect_case(case, 90).problems
    assert (problem is None and not found) or (problem is not None and any(problem in text for text in found))


def test_missing_matrix_instructions_are_found() -> None:
    """IEEE fp32 products run on the plain arithmetic units."""
    case = next(case for case in compile_cases.compile_cases() if case.name == "exponential fp32")

    def launch(architecture: int) -> object:
        made = case.launch(architecture)
        return replace(made, arguments={**made.arguments, "PRECISION": "ieee", "CLASSES": 32, "ROWS": 32})

    found = inspect_case(CompileCase("ieee", launch), 90)
    assert found.matrix_instructions == 0
    assert "no matrix instruction" in found.problems


def test_what_does_not_compile_is_reported() -> None:
    case = next(case for case in compile_cases.compile_cases() if case.name == "row bf16")

    def launch(architecture: int) -> object:
        made = case.launch(architecture)
        return replace(made, arguments={**made.arguments, "BLOCK": 1000})  # no power of two

    found = inspect_case(CompileCase("bad", launch), 90)
    assert found.registers == 0
    assert "does not compile" in found.problems[0]


def test_a_crashed_worker_costs_one_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The compiler can end its process; the next worker carries on behind the case that did it."""
    flag = tmp_path / "crashed"
    python = tmp_path / "python"
    # A Python whose first worker dies at the second case: it feeds only the first case to the real worker.
    python.write_text(
        f"#!{sys.executable}\n"
        "import json, os, subprocess, sys\n"
        "jobs = json.load(sys.stdin)\n"
        f"flag = {str(flag)!r}\n"
        "first = not os.path.exists(flag)\n"
        "open(flag, 'w').close()\n"
        "some = jobs[:1] if first else jobs\n"
        "ran = subprocess.run([sys.executable, *sys.argv[1:]], input=json.dumps(some), text=True)\n"
        "sys.exit(134 if first else ran.returncode)\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(python))
    names = ["combine rows", "row sum", "target logit"]
    found = module.compile_report(architectures=[90], names=names)
    assert [report.case for report in found] == names
    assert [bool(report.failure) for report in found] == [False, True, False]
    assert "134" in found[1].failure


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    status = module.main(["--cases", "row sum,combine rows", "--architectures", "80,90", "--json", str(path)])
    assert status == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5
    assert table[0].split()[:3] == ["case", "sm", "warps"]
    rows = json.loads(path.read_text())
    assert [(row["case"], row["architecture"]) for row in rows] == [
        ("row sum", 80), ("row sum", 90), ("combine rows", 80), ("combine rows", 90),
    ]  # fmt: skip
    assert all(row["registers"] > 0 and row["problems"] == [] for row in rows)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="75"):
        module.compile_report(architectures=[75])
    with pytest.raises(ValueError, match="no such case"):
        module.compile_report(names=["no such case"])
    case = compile_cases.compile_cases()[0]
    with pytest.raises(ValueError, match="70"):
        inspect_case(case, 70)
