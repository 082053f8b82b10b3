"""One seed's run folder while the run goes on: what it records, saves, and is taken up again from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk.files import Damage, atomic_write
from ..disk.jsonio import to_json
from ..models.protocol import Final, Snapshot
from .checkpoints import Checkpoint, read_checkpoint, usable_steps, write_checkpoint
from .environment import describe_environment
from .folder import RunDir
from .recorder import Recorder

Arrays = Mapping[str, NDArray[Any]]

METRICS = "metrics.jsonl"


class RunFiles:
    """The folder of one seed. ``frozen``: it holds a finished run, of which nothing is written again."""

    def __init__(self, folder: RunDir, config: Mapping[str, Any], recorder: Recorder, time_per_step: float | None):
        self.folder, self.recorder = folder, recorder
        self.frozen = folder.finished
        self._config, self._time_per_step = to_json(config), time_per_step
        self._log: Any = None

    def log(self, shot: Snapshot, scores: Mapping[str, float] | None = None) -> None:
        """Add a line to metrics.jsonl, with ``scores`` in it."""
        if self.frozen:
            return
        time = None if self._time_per_step is None else self._time_per_step * shot.step
        if self._log is None:
            self._log = self.folder.open_metrics()
        self._log.append({"step": shot.step, "time": time, "loss_per_node": shot.loss, **(scores or {})})

    def save(self, step: int, state: Arrays) -> None:
        """Write a checkpoint of the training's ``state`` and of everything recorded up to it."""
        if self.frozen:
            return
        log = np.frombuffer((self.folder.path / METRICS).read_bytes(), dtype=np.uint8)
        arrays = {f"state/{name}": array for name, array in state.items()}
        arrays |= {f"record/{name}": array for name, array in self.recorder.state().items()}
        write_checkpoint(
            self.folder.checkpoints, Checkpoint(step, {**arrays, "metrics": log}, {"config": self._config})
        )

    def steps(self) -> list[int]:
        """The steps it can go on from, newest first; 0, the beginning, is not among them."""
        return usable_steps(self.folder.checkpoints)

    def load(self, step: int) -> Arrays:
        """The training's state at ``step``; the record and metrics.jsonl are as they were then."""
        checkpoint = read_checkpoint(self.folder.checkpoints, step)
        assert checkpoint is not None, "a step of steps()"
        parts: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "record": {}}
        for name, array in checkpoint.arrays.items():
            kind, _, rest = name.partition("/")
            if kind in parts:
                parts[kind][rest] = array
        self.recorder.restore(parts["record"])
        if not self.frozen:
            self._restart_log(checkpoint.arrays["metrics"].tobytes(), step)
        return parts["state"]

    def begin_again(self) -> None:
        """Empty the logs: the run starts from step 0."""
        if not self.frozen and (self.folder.path / METRICS).exists():
            self._restart_log(b"", 0)

    def finish(self, final: Final, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the results and their checksums: ``arrays`` into modes.npz, the final matrices beside it."""
        if self.frozen:
            return
        self.close()
        self.folder.write_modes(**arrays)
        matrices = {"embedding": final.embedding}
        if final.context is not None:
            matrices["context"] = final.context
        if final.inner is not None:
            matrices["inner"] = final.inner
        self.folder.write_embeddings(matrices)
        self.folder.seal()

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """Write scores.json, unless it is there with its checksum."""
        if not self.folder.is_final("scores.json"):
            self.folder.write_scores(scores)
            self.folder.seal()

    def close(self) -> None:
        """Close metrics.jsonl."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _restart_log(self, content: bytes, step: int) -> None:
        self.close()
        atomic_write(self.folder.path / METRICS, lambda stream: stream.write(content))
        environment = describe_environment()
        self.folder.append("resumed.jsonl", {"step": step, "environment": environment})
        self._warn_of_other_versions(environment)

    def _warn_of_other_versions(self, environment: Mapping[str, Any]) -> None:
        try:
            before = self.folder.read_environment()["versions"]
            changed = [name for name, version in environment["versions"].items() if before[name] != version]
        except (ValueError, KeyError, TypeError):
            return  # a damaged environment.json stops no run
        if changed:
            warnings.warn(
                f"{self.folder.path} was begun with other versions of {', '.join(changed)}: the rest of the run may "
                "differ from an uninterrupted one by rounding",
                Damage,
                stacklevel=2,
            )
