"""A run's folder while the run goes on: what it logs, saves, and is taken up again from."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk.files import Damage, atomic_write
from ..disk.jsonio import to_json
from ..disk.jsonlog import JsonLog
from .checkpoints import Checkpoint, Needs, read_checkpoint, usable_steps, write_checkpoint
from .environment import describe_environment
from .folder import RunDir

Arrays = Mapping[str, NDArray[Any]]

METRICS = "metrics.jsonl"
STATE, RECORD = "state/", "record/"  # of the training and of what is recorded, in the arrays of a checkpoint
RECORDED = tuple(RECORD + name for name in ("energy", "centred_energy", "loss"))  # of a run on a graph


@dataclass(frozen=True, eq=False)
class Saved:
    """A checkpoint of ``step``: the training's ``state``, what was recorded up to it, and what else was saved."""

    step: int
    state: dict[str, NDArray[Any]]
    record: dict[str, NDArray[Any]]
    rest: dict[str, NDArray[Any]]


class RunFiles:
    """The folder of one run. ``frozen``: it holds a finished run, of which nothing is written again."""

    def __init__(self, folder: RunDir, config: Mapping[str, Any]) -> None:
        self.folder, self.frozen = folder, folder.finished
        self._config = to_json(config)
        self._log: JsonLog | None = None

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl."""
        if self.frozen:
            return
        if self._log is None:
            self._log = self.folder.open_metrics()
        self._log.append(record)

    def save(self, step: int, state: Arrays, record: Arrays | None = None, **rest: NDArray[Any]) -> None:
        """Write a checkpoint of the training's ``state`` and of everything logged and recorded up to it."""
        if self.frozen:
            return
        arrays = {STATE + name: array for name, array in state.items()}
        arrays |= {RECORD + name: array for name, array in (record or {}).items()}
        log = np.frombuffer((self.folder.path / METRICS).read_bytes(), dtype=np.uint8)
        checkpoint = Checkpoint(step, {**arrays, "metrics": log, **rest}, {"config": self._config})
        write_checkpoint(self.folder.checkpoints, checkpoint)

    def steps(self, last: int | None = None, state: Arrays | None = None, also: Collection[str] = ()) -> list[int]:
        """The steps it can go on from, newest first; 0, the beginning, is not among them. None is beyond the ``last``,
        and each has arrays of the names and shapes of ``state`` and those that are ``also`` named."""
        shapes: dict[str, tuple[int, ...] | None] = {STATE + name: np.shape(a) for name, a in (state or {}).items()}
        return usable_steps(
            self.folder.checkpoints, Needs(last, {"metrics": None, **dict.fromkeys(also), **shapes}, ("config",))
        )

    def load(self, step: int) -> Saved:
        """The checkpoint of ``step``, one of ``steps()``; metrics.jsonl is as it was then."""
        checkpoint = read_checkpoint(self.folder.checkpoints, step)
        assert checkpoint is not None, "a step of steps()"
        saved = Saved(step, {}, {}, {})
        for name, array in checkpoint.arrays.items():
            if name.startswith(STATE):
                saved.state[name.removeprefix(STATE)] = array
            elif name.startswith(RECORD):
                saved.record[name.removeprefix(RECORD)] = array
            else:
                saved.rest[name] = array
        if not self.frozen:
            self._restart_log(saved.rest["metrics"].tobytes(), step)
        return saved

    def begin_again(self) -> None:
        """Empty the log: the run starts from step 0."""
        if not self.frozen and (self.folder.path / METRICS).exists():
            self._restart_log(b"", 0)

    def close(self) -> None:
        """Close metrics.jsonl."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _restart_log(self, content: bytes, step: int) -> None:
        self.close()
        restart_log(self.folder, content, step)


def restart_log(folder: RunDir, content: bytes, step: int) -> None:
    """Make metrics.jsonl what it was at ``step``, from which the run goes on, and say so in resumed.jsonl. Warns where
    the run was begun with other versions of the libraries."""
    atomic_write(folder.path / METRICS, lambda stream: stream.write(content))
    environment = describe_environment()
    folder.append("resumed.jsonl", {"step": step, "environment": environment})
    try:
        before = folder.read_environment()["versions"]
        changed = [name for name, version in environment["versions"].items() if before[name] != version]
    except (ValueError, KeyError, TypeError):
        return  # a damaged environment.json stops no run
    if changed:
        warnings.warn(
            f"{folder.path} was begun with other versions of {', '.join(changed)}: the rest of the run may "
            "differ from an uninterrupted one by rounding",
            Damage,
            stacklevel=2,
        )
