"""The package as a whole: what it exports, and what importing it does not do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fiedler.kernels

ROOT = Path(__file__).parents[2]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_everything_exported_is_there() -> None:
    assert all(callable(getattr(fiedler.kernels, name)) for name in fiedler.kernels.__all__)
    assert fiedler.kernels.__all__ == sorted(fiedler.kernels.__all__)


def test_importing_it_leaves_large_and_optional_libraries_alone() -> None:
    found = run(
        "import sys, fiedler.kernels; "
        "names = ('triton', 'transformers', 'accelerate', 'peft', 'pytorch_lightning', 'fiedler.theory'); "
        "print([n for n in names if n in sys.modules])"
    )
    assert found == "[]"


def test_the_source_folder_on_the_path_is_not_the_package() -> None:
    # As under python -m pytest: transformers asks for a package called kernels and finds the folder.
    code = (
        "import sys; sys.path.insert(0, ''); import fiedler.kernels, torch; from transformers import GPT2LMHeadModel; "
        "import kernels; print(hasattr(kernels, 'csr_target'), 'kernels.csr' in sys.modules)"
    )
    assert run(code) == "False False"
