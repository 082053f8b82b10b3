"""Where the numbers of a section come from: folder, command, seeds, versions, commit and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..jsonio import from_json


def source_of(folder: Path, seeds: Sequence[int] = ()) -> dict[str, Any]:
    """What environment.json of ``folder`` says, where there is one, with the seeds."""
    found: dict[str, Any] = {"folder": str(folder)}
    path = folder / "environment.json"
    if path.is_file():
        found |= source_of_environment(from_json(path.read_text(encoding="utf-8")))
    if len(seeds):
        found["seeds"] = ", ".join(map(str, seeds))
    return found


def source_of_environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The same from an environment that is already read."""
    versions = environment.get("versions") or {}
    commit = environment.get("git_commit")
    dirty = ", with uncommitted changes" if environment.get("git_dirty") else ""
    found = {
        "command": environment.get("command"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "python": environment.get("python"),
        "machine": ", ".join(str(environment[name]) for name in ("processor", "platform") if environment.get(name)),
        "commit": f"{commit}{dirty}" if commit else None,
        "time": environment.get("time"),
    }
    return {name: str(value) for name, value in found.items() if value}
