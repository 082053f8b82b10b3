"""Where a figure comes from: run folders and result files, and what stands beside each figure about them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..disk.files import Damage
from ..disk.jsonio import from_json
from ..runs.folder import RunDir
from ..suggest import choose

SCORES, ENVIRONMENT = "scores.json", "environment.json"


@dataclass(frozen=True)
class Source:
    """One folder or file: the ``command`` that made it, its ``seeds``, the ``versions`` it ran with, the ``commit`` of
    the code and the ``time`` (UTC) of its start; None where the source does not say."""

    path: str
    command: str | None
    seeds: tuple[int, ...] | None
    versions: Mapping[str, str | None] | None
    commit: str | None
    time: str | None

    @staticmethod
    def make(path: Path, environment: Mapping[str, Any], seeds: Iterable[int] | None) -> Source:
        return Source(
            str(path),
            environment.get("command"),
            None if seeds is None else tuple(int(seed) for seed in seeds),
            environment.get("versions"),
            environment.get("git_commit"),
            environment.get("time"),
        )


class Unsuitable(ValueError):
    """A folder that cannot make the figure: what it lacks. ``draw_figure`` adds the command that makes one."""


def source_of_run(folder: RunDir) -> Source:
    """A run folder as a source. A run folder without environment.json, of an early version, says nothing."""
    config, environment = folder.read_config(), read_environment(folder.path)
    seeds = config.get("seeds", [config["seed"]] if "seed" in config else None)
    return Source.make(folder.path, environment, seeds)


def open_run(path: Path, keys: Sequence[str], what: str) -> tuple[RunDir, dict[str, Any]]:
    """The run folder ``path`` and its config, which must have ``keys``. Raises Unsuitable for anything else."""
    if not path.exists():
        raise Unsuitable(f"{path} does not exist")
    try:
        folder = RunDir.open(path)
    except ValueError as error:
        raise Unsuitable(str(error).partition(":")[0]) from error
    config = folder.read_config()
    if any(key not in config for key in keys):
        raise Unsuitable(f"{path} is not {what}")
    return folder, config


def read_answer(path: Path, keys: Sequence[str], what: str, prefer: str = "") -> tuple[dict[str, Any], Source]:
    """The numbers of a finished command: scores.json of a run folder, or a JSON file of results, in which they are the
    whole or one entry: that of FILE.json#ENTRY, else the one named ``prefer``, else the first that has ``keys``. Raises
    Unsuitable where none has."""
    if path.is_dir():
        folder, _ = open_run(path, (), what)
        if not (path / SCORES).is_file():
            raise Unsuitable(f"{path} holds no {SCORES}: it is not {what} that has ended")
        answer = folder.read_scores()
        if any(key not in answer for key in keys):
            raise Unsuitable(f"{path} is not {what}")
        return answer, source_of_run(folder)
    name, _, chosen = str(path).partition("#") if not path.exists() else (str(path), "", "")
    content = _read_json(Path(name))
    if chosen and chosen not in content:
        raise Unsuitable(f"{name} has no entry {chosen!r}: {choose(chosen, list(content), 'it has')}")
    result = _entry({chosen: content[chosen]} if chosen else content, keys, prefer)
    if result is None:
        raise Unsuitable(f"{path} holds no results of {what.removeprefix('the folder of ')}")
    environment = result.get("environment", content.get("environment", {}))
    return result, Source.make(path, environment if isinstance(environment, dict) else {}, _seeds(result))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise Unsuitable(f"{path} does not exist")
    try:
        content = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unsuitable(f"{path} is neither a run folder nor JSON") from error
    if not isinstance(content, dict):
        raise Unsuitable(f"{path} holds no JSON object")
    return content


def _entry(content: dict[str, Any], keys: Sequence[str], prefer: str) -> dict[str, Any] | None:
    """``content``, or the first of its entries, that has every key."""
    inside: list[Any] = [content.get(prefer), content]
    for value in content.values():
        inside += value if isinstance(value, list) else [value]
    for value in inside:
        if isinstance(value, dict) and all(key in value for key in keys):
            return value
    return None


def _seeds(answer: Mapping[str, Any]) -> list[int] | None:
    """Of the answer, or of the runs it describes."""
    if isinstance(answer.get("seeds"), list):
        return list(answer["seeds"])
    seeds = {entry["seed"] for part in answer.values() if isinstance(part, dict) for entry in _per_seed(part)}
    return sorted(seeds) or None


def _per_seed(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Entries of "per_seed", at this depth or one or two deeper."""
    entries: list[dict[str, Any]] = [e for e in part.get("per_seed", []) if isinstance(e, dict) and "seed" in e]
    for value in part.values():
        entries += _per_seed(value) if isinstance(value, dict) else []
    return entries


def source_of(folder: Path, seeds: Sequence[int] = ()) -> dict[str, Any]:
    """What environment.json of ``folder`` says, where there is one, with the seeds."""
    source = {"folder": str(folder), **source_of_environment(read_environment(folder))}
    return {**source, "seeds": ", ".join(map(str, seeds))} if len(seeds) else source


def read_environment(folder: Path) -> dict[str, Any]:
    """environment.json of ``folder``; empty where there is none, and, with a warning, where it was changed."""
    if not (folder / ENVIRONMENT).is_file():
        return {}
    try:
        return RunDir(folder).read_environment()
    except ValueError as error:
        warnings.warn(f"{str(error).partition(': ')[0]}.", Damage, stacklevel=2)
        return {}


def versions_text(environment: Mapping[str, Any]) -> str:
    """ "numpy 2.1, torch 2.11": what was installed."""
    versions = environment.get("versions") or {}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)


def source_of_environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The same from an environment that is already read."""
    commit = environment.get("git_commit")
    dirty = ", with uncommitted changes" if environment.get("git_dirty") else ""
    source = {
        "command": environment.get("command"),
        "versions": versions_text(environment),
        "python": environment.get("python"),
        "machine": ", ".join(str(environment[name]) for name in ("processor", "platform") if environment.get(name)),
        "commit": f"{commit}{dirty}" if commit else None,
        "time": environment.get("time"),
    }
    return {name: str(value) for name, value in source.items() if value}
