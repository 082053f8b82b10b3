"""The compile report: what it finds, how it says it, and that a crash of the compiler costs one case.

What it says of the kernels themselves is in gate/test_compiled_cases.py.
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
from fiedler.kernels.compile_report import inspect_case
from fiedler.kernels.gpu.launch import tile_architecture
from fiedler.kernels.profiling.compile_cases import CompileCase, compile_cases

pytestmark = [pytest.mark.triton, pytest.mark.timeout(900)]

SMALL = ("target logit: chunked bf16 1024x32000 plain", "combine rows: sweep bf16 1024x32000 plain")


def first(kernel: str, word: str = "") -> CompileCase:
    """The first case of a kernel for sm_90 whose name has the word."""
    return next(case for case in compile_cases(90, "extreme") if case.kernel == kernel and word in case.name)


def changed(case: CompileCase, **arguments: object) -> CompileCase:
    return replace(case, launch=replace(case.launch, arguments={**case.launch.arguments, **arguments}))


@pytest.mark.parametrize(
    ("capability", "kibibytes", "tiles"), [(80, 163, 80), (86, 99, 80), (90, 227, 90), (103, 227, 100), (120, 99, 80)]
)
def test_tiles_fit_the_shared_memory_of_the_card(capability: int, kibibytes: int, tiles: int) -> None:
    assert tile_architecture(capability, kibibytes << 10) == tiles


@pytest.mark.parametrize(("capability", "kibibytes"), [(75, 64), (70, 96)])
def test_older_cards_are_told_what_runs_on_them(capability: int, kibibytes: int) -> None:
    with pytest.raises(ValueError, match=r'compute capability 7\.[05].*use path="chunked" in float16 or float32'):
        tile_architecture(capability, kibibytes << 10)


def test_hopper_uses_its_own_tile() -> None:
    launch = first("exponential_kernel").launch
    assert launch.matrix
    assert launch.arguments["CLASSES"] == 256


@pytest.mark.parametrize(("warps", "stages", "problem"), [(4, 2, "spills"), (8, 5, "shared memory"), (8, 4, None)])
def test_a_bad_tile_is_found(warps: int, stages: int, problem: str | None) -> None:
    """Half the warps do not hold the accumulator, a fifth stage does not fit; the shipped tile has neither problem."""
    case = changed(first("exponential_kernel"), CLASSES=256, INNER=64)
    case = replace(case, launch=replace(case.launch, num_warps=warps, num_stages=stages))
    found = inspect_case(case, 90).problems
    assert (problem is None and not found) or (problem is not None and any(problem in text for text in found))


def test_missing_matrix_instructions_are_found() -> None:
    """IEEE fp32 products run on the plain arithmetic units."""
    case = changed(first("exponential_kernel", "fp32"), PRECISION="ieee", CLASSES=32, ROWS=32)
    found = inspect_case(case, 90)
    assert found.matrix_instructions == 0
    assert "no matrix instruction" in found.problems


def test_what_does_not_compile_is_reported() -> None:
    found = inspect_case(changed(first("row_cross_entropy_kernel"), BLOCK=1000), 90)  # no power of two
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
        "asked = json.load(sys.stdin)\n"
        "jobs = asked['jobs']\n"
        f"flag = {str(flag)!r}\n"
        "first = not os.path.exists(flag)\n"
        "open(flag, 'w').close()\n"
        "some = jobs[:1] if first else jobs\n"
        "ran = subprocess.run([sys.executable, *sys.argv[1:]], input=json.dumps({**asked, 'jobs': some}), text=True)\n"
        "sys.exit(134 if first else ran.returncode)\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(python))
    names = [case.name for case in compile_cases(90, "extreme") if not case.launch.matrix][-3:]
    found = module.compile_report(architectures=[90], names=names)
    assert [report.case for report in found] == names
    assert [bool(report.failure) for report in found] == [False, True, False]
    assert "134" in found[1].failure


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    status = module.main(["--cases", ",".join(SMALL), "--architectures", "80,90", "--json", str(path)])
    assert status == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5
    assert table[0].split()[:3] == ["case", "sm", "warps"]
    rows = json.loads(path.read_text())
    assert [(row["case"], row["architecture"]) for row in rows] == [(name, card) for card in (80, 90) for name in SMALL]
    assert all(row["registers"] > 0 and row["problems"] == [] for row in rows)
    assert [module.from_row({k: v for k, v in row.items() if k != "problems"}).case for row in rows] == [*SMALL, *SMALL]


def test_another_triton_is_taken_from_its_folder(tmp_path: Path) -> None:
    """A package of that name in the folder is what the workers import."""
    (tmp_path / "triton").mkdir()
    (tmp_path / "triton" / "__init__.py").write_text("raise ImportError('from the folder')\n")
    with pytest.raises(RuntimeError, match="from the folder"):
        module.compile_report(architectures=[90], names=SMALL[:1], triton=str(tmp_path))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="75"):
        module.compile_report(architectures=[75])
    with pytest.raises(ValueError, match="no such case"):
        module.compile_report(names=["no such case"])
    with pytest.raises(ValueError, match="everything"):
        module.compile_report(chosen="everything")
    with pytest.raises(ValueError, match="70"):
        inspect_case(compile_cases(90, "extreme")[0], 70)
