"""Every block of code of README and docs/ does what its page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from doc_pages import ROOT, pages, read_blocks

pytestmark = pytest.mark.docs

WITH_BLOCKS = [path for path in pages() if read_blocks((ROOT / path).read_text())]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=str)
def test_page(page: Path, tmp_path: Path) -> None:
    runner = [sys.executable, str(ROOT / "tests" / "support" / "doc_runner.py"), str(page)]
    done = subprocess.run(runner, cwd=tmp_path, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"


BROKEN = {
    "an exception": ("```python\nimport fiedler.theory as t\nt.parse('cylce:15')\n```", "did you mean 'cycle:15'"),
    "a name of an earlier page": ("```python\nprint(graph)\n```", "NameError"),
    "not Python": ("```python\nprint(\n```", "not Python"),
    "an unknown command": ("```sh\nfiedler theroy cycle:15\n```", "no command 'theroy'"),
    "an unknown option": ("<!-- long: hours -->\n```sh\nfiedler theory cycle:15 --untill 3\n```", "--untill"),
    "a failing command": ("```sh\nfiedler theory cycle:2\n```", "exit code 2, not 0"),
    "a dry run that fails": ("<!-- long: hours -->\n```sh\nfiedler train cycle:2\n```", "exit code 2, not 0"),
    "an unknown target": ("```sh\nmake coffee\n```", "no target 'coffee'"),
    "an unknown extra": ("```sh\npip install 'fiedler[coffee]'\n```", "no extra 'coffee'"),
    "another number": ("```python\nprint(1.4349)\n```\n```text\n1.5349\n```", "the page says '1.5349'"),
    "other words": ("```python\nprint('attained yes')\n```\n```text\nattained no\n```", "the page says 'no'"),
    "more output": ("```python\nprint(1, 2, 3)\n```\n```text\n1 2\n```", "the output goes on"),
    "not a sweep": ("```toml\n[base]\ngraph = 'cycle:15'\n[axis]\nwidth = [1]\n```", "not a sweep"),
    "another language": ("```ruby\nputs 1\n```", "nobody tests blocks of 'ruby'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_page_is_found(case: str, tmp_path: Path) -> None:
    text, message = BROKEN[case]
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{text}\n")
    runner = [sys.executable, str(ROOT / "tests" / "support" / "doc_runner.py"), str(page)]
    done = subprocess.run(runner, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stdout
    assert "page.md:" in done.stdout


def test_ellipsis_and_tolerance(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint('a 1.00001\\nb\\nc 1e-14\\nd 3')\n```\n```text\na 1.0\n...\nc 3e-15\nd 3\n```\n")
    runner = [sys.executable, str(ROOT / "tests" / "support" / "doc_runner.py"), str(page)]
    assert subprocess.run(runner, cwd=tmp_path).returncode == 0
