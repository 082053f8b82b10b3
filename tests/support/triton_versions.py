"""The kernels compiled with every tested version of Triton, for every architecture.

    python tests/support/triton_versions.py [--versions 3.9.0] [--architectures 90] [--set extreme] [--workers 2]
                                            [--folder build/triton] [--record]

unpacks each version with pip below the folder, beside the installed PyTorch, and compiles the extreme cases with it.
Spills that are known, in tests/kernels/gate/triton_versions.json, are listed; any other problem, or a larger spill,
makes the exit status 1. ``--record`` writes those found instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import triton

from fiedler.kernels.compile_report import KernelReport, compile_report, report_table
from fiedler.kernels.gpu.triton_version import TESTED
from fiedler.kernels.profiling.machine_code import SHARED_LIMIT

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests" / "kernels" / "gate" / "triton_versions.json"
Known = dict[str, dict[str, dict[str, int]]]  # version, architecture, case: bytes of stack


def unpacked(version: str, folder: Path) -> str | None:
    """Where this version lies, fetched if it does not yet; None for the installed one."""
    if version == triton.__version__:
        return None
    place = folder / version
    if not (place / "triton").is_dir():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target",
             str(place), f"triton=={version}"],
            check=True,
        )  # fmt: skip
    return str(place)


def spill_only(report: KernelReport) -> bool:
    """Whether the kernel spills and has no other problem."""
    return all(problem.startswith("spills") for problem in report.problems)


def unknown(reports: Iterable[KernelReport], known: dict[str, int]) -> list[KernelReport]:
    """The reports with a problem that is no spill, or one of more bytes than is known of the case."""
    return [
        report
        for report in reports
        if report.problems and not (spill_only(report) and report.stack_bytes <= known.get(report.case, -1))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 if nothing was found that is not known."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", default=",".join(TESTED))
    parser.add_argument("--architectures", default=",".join(map(str, SHARED_LIMIT)))
    parser.add_argument("--set", default="extreme")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "triton")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args(arguments)
    known: Known = json.loads(FILE.read_text())
    status = 0
    for version in chosen.versions.split(","):
        place = unpacked(version, chosen.folder)
        for architecture in map(int, chosen.architectures.split(",")):
            reports = compile_report(
                architectures=[architecture], chosen=chosen.set, workers=chosen.workers, triton=place, loops=False
            )
            assert {report.triton for report in reports if not report.failure} <= {version}
            bad = [report for report in reports if report.problems]
            new = unknown(bad, known.get(version, {}).get(str(architecture), {}))
            if chosen.record:
                found = {report.case: report.stack_bytes for report in bad if spill_only(report)}
                known.setdefault(version, {})[str(architecture)] = found
                FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
                new = [report for report in bad if not spill_only(report)]
            print(f"Triton {version}, sm_{architecture}: {len(reports)} kernels, {len(bad)} with problems", flush=True)
            if bad:
                print(report_table(bad), flush=True)
            status = max(status, int(bool(new)))
    return status


if __name__ == "__main__":
    sys.exit(main())
