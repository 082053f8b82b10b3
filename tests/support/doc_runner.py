"""Run one page of the documentation as a reader would, in the working directory; prints what went wrong, exits 1.

    python tests/support/doc_runner.py docs/guide.md

A process of its own for each page: pages may add graphs and models to the package's tables, and no other page sees it.
Blocks of Python share one namespace, all blocks share the folder. ``fiedler ...`` goes through the command line's
``main``; any other command through bash.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
import tomllib
import traceback
import types
from pathlib import Path
from typing import Any

os.environ.update(COLUMNS="100", MPLBACKEND="Agg", OMP_NUM_THREADS="1", TERM="dumb", NO_COLOR="1")
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from doc_commands import Line, has_dry_run, problem, shell_lines
from doc_outputs import difference
from doc_pages import ROOT, Block, read_blocks
from fiedler.sims.cli.commands import main
from fiedler.sims.sweep.plan import plan_sweep

ELSEWHERE = (
    ".",
    "make",
    "pip",
    "git",
    "torchrun",
    "accelerate",
    "srun",
    "sbatch",
)  # installs, builds, launches: parsed only
SHOW_SECONDS = 5.0


class Wrong(Exception):
    """A block that does not do what the page says."""


def run_page(path: Path) -> None:
    """Run every block of the page. Raises Wrong with page and line."""
    page = types.ModuleType("__page__")  # a module that can be found, for classes ask for theirs
    sys.modules["__page__"] = page
    space, tried = page.__dict__, set[str]()
    printed: str | None = None
    for block in read_blocks(path.read_text()):
        began = time.perf_counter()
        try:
            printed = _run(block, space, printed, tried)
        except Wrong as error:
            raise Wrong(f"{path}:{block.line}: {error}") from None
        if (took := time.perf_counter() - began) > SHOW_SECONDS:
            print(f"{path}:{block.line}: {took:.1f} s")


def _run(block: Block, space: dict[str, Any], printed: str | None, tried: set[str]) -> str | None:
    """Run one block; what it printed, None where that is unknown."""
    if block.kind == "python":
        return _python(block, space)
    if block.kind in ("sh", "setup"):
        return _shell(block, tried)
    if block.kind == "toml":
        _toml(block)
    elif block.kind == "text" and printed is not None:
        wrong = difference(block.text, printed, numbers="varies" not in block.notes)
        if wrong:
            raise Wrong(f"{wrong}\n--- printed:\n{printed}")
    elif block.kind not in ("text", "", "json"):
        raise Wrong(f"nobody tests blocks of {block.kind!r}: use python, sh, toml or text")
    return None


def _python(block: Block, space: dict[str, Any]) -> str | None:
    try:
        code = compile(block.text, f"<block at line {block.line}>", "exec")
    except SyntaxError as error:
        raise Wrong(f"not Python: {error}") from None
    if "long" in block.notes:
        return None
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(code, space)
    except Exception:
        raise Wrong(f"{out.getvalue()}\n{traceback.format_exc(limit=-3)}") from None
    return out.getvalue()


def _shell(block: Block, tried: set[str]) -> str | None:
    syntax = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
    if syntax.returncode:
        raise Wrong(f"not shell: {syntax.stderr}")
    lines, outputs = shell_lines(block.text), []
    for index, line in enumerate(lines):
        if block.kind == "sh" and (wrong := problem(line)):
            raise Wrong(f"{' '.join(line.words)}: {wrong}")
        wanted = int(block.notes.get("exit", 0)) if index == len(lines) - 1 else 0
        if "long" in block.notes:
            if has_dry_run(line) and line.words[1] not in tried:  # one estimate of each command on a page is enough
                tried.add(line.words[1])
                _expect(0, *_fiedler([*line.words[1:], *([] if "--dry-run" in line.words else ["--dry-run"])]), line)
        elif line.words[0] == "fiedler" and not {"|", ">", "&&", ";"} & set(line.words):
            outputs.append(_expect(wanted, *_fiedler(list(line.words[1:])), line))
        elif line.words[0] not in ELSEWHERE:
            done = subprocess.run(["bash", "-c", line.text], capture_output=True, text=True)
            outputs.append(_expect(wanted, done.returncode, done.stdout + done.stderr, line))
    return "".join(outputs) if outputs else None


def _fiedler(words: list[str]) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(words)
    return code, out.getvalue()


def _expect(wanted: int, code: int, output: str, line: Line) -> str:
    if code != wanted:
        raise Wrong(f"exit code {code}, not {wanted}: {line.text}\n{output}")
    return output


def _toml(block: Block) -> None:
    """A sweep's file: checked as such, and written where its first line says (# NAME.toml)."""
    try:
        plan_sweep(tomllib.loads(block.text), "page")
    except (ValueError, TypeError) as error:
        raise Wrong(f"not a sweep: {error}") from None
    first = block.text.split("\n")[0].removeprefix("#").strip()
    if first.endswith(".toml"):
        Path(first).write_text(block.text)


if __name__ == "__main__":
    try:
        run_page(ROOT / sys.argv[1])
    except Wrong as error:
        print(error)
        sys.exit(1)
