"""What a run ran on: versions, machine, source commit, command and time."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("fiedler", "numpy", "scipy", "networkx", "torch", "triton", "transformers")
_GIT_SECONDS = 2.0


def describe_environment(command: str | Sequence[str] | None = None) -> dict[str, Any]:
    """The environment of this process, as values that JSON can hold.

    Keys: "versions" (of fiedler and what it stands on, None where a package is absent; nothing is
    imported to find out), "python", "platform", "machine", "processor" (the model's name),
    "cpu_count" (of the machine), "torch" (threads, CUDA version and GPU names, None unless torch
    is already imported), "git_commit" and "git_dirty" (of the source checkout, tracked files only;
    None where the package does not run from a checkout of its own), "command" (`command`, a line
    or its words, or else this process's own), "time" (UTC, ISO 8601). Whatever cannot be found
    out is None: this never raises.
    """
    commit, dirty = _try(_own_git_state) or (None, None)
    return {
        "versions": dict(_versions()),
        "python": _try(platform.python_version),
        "platform": _try(platform.platform),
        "machine": _try(platform.machine),
        "processor": _try(_processor),
        "cpu_count": _try(os.cpu_count),
        "torch": _try(_torch),
        "git_commit": commit,
        "git_dirty": dirty,
        "command": _try(lambda: _command_line(command)),
        "time": _try(lambda: datetime.now(UTC).isoformat(timespec="seconds")),
    }


# Those of the code that is loaded: looked up once a process, which matters to runs of a tenth of a second.


@cache
def _versions() -> dict[str, Any]:
    return {name: _try(lambda name=name: metadata.version(name)) for name in PACKAGES}  # type: ignore[misc]


@cache
def _own_git_state() -> tuple[str | None, bool | None]:
    return _git_state()


def _try(find: Callable[[], Any]) -> Any:
    """find(), or None: a run is worth more than a line about the machine it ran on."""
    try:
        return find()
    except Exception:
        return None


def _command_line(command: str | Sequence[str] | None) -> str:
    if isinstance(command, str):
        return command
    return shlex.join(str(word) for word in ([*_program(), *sys.argv[1:]] if command is None else command))


def _program() -> list[str]:
    """How this program was called, not where it lies: "fiedler", "python -m fiedler.sims.sharded"."""
    path = Path(sys.argv[0] if sys.argv else "")
    if path.name != "__main__.py":
        return [path.name or "python"]
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return ["python", "-m", path.parent.name if spec is None else spec.name.removesuffix(".__main__")]


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name"))
    return next(named, None) or platform.processor() or None


def _torch() -> dict[str, Any] | None:
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in gpus],
    }


def _git_state(root: Path | None = None) -> tuple[str | None, bool | None]:
    """Commit and whether tracked files differ from it, where `root` is itself a checkout's top.

    A package installed inside somebody else's checkout must not report that checkout's commit.
    """
    root = Path(__file__).resolve().parents[2] if root is None else root.resolve()
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top) != root:
        return None, None
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None, None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else changes != ""


def _git(root: Path, *words: str) -> str | None:
    # GIT_DIR and its like, set inside a hook, would point at another checkout.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *words],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            env=env,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
