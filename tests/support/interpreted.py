"""Run a test file in a process of its own where Triton's kernels are interpreted on CPU tensors.

``@triton.jit`` decides at import whether a kernel is compiled or interpreted, so the setting must not reach other tests
of the same process. A file of interpreted tests defines its tests only if ``INTERPRETED``, else one that runs the file:

    if not INTERPRETED:
        def test_in_the_interpreter(): run_interpreted(__file__)
    else: ...
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
ROOT = Path(__file__).resolve().parents[2]


def run_interpreted(file: str, **variables: str) -> None:
    """Run ``file`` under pytest with the interpreter on, and ``variables`` in its environment; fails with its output
    unless tests ran and all passed."""
    environment = {**os.environ, **variables, "TRITON_INTERPRET": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    options = ["-v", "-x", "--no-header", "-p", "no:cacheprovider", "-o", "timeout=0"]  # the parent's time counts
    command = [sys.executable, "-m", "pytest", *options, file]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode < 0:  # the test that was running is the last named
        name = signal.Signals(-ran.returncode).name
        raise AssertionError(
            f"{name}: a kernel touched memory that no tensor has\n{ran.stdout[-2000:]}\n{ran.stderr[:3000]}"
        )
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert ran.returncode == 0, f"{ran.stdout[-6000:]}\n{ran.stderr[-2000:]}"
    assert passed is not None, ran.stdout
    assert int(passed.group(1)) > 0
