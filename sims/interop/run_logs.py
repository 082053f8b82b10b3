"""What runs recorded, as TensorBoard event files or a Weights & Biases run: from finished folders, or while they grow.

Only metrics.jsonl, modes.npz and scores.json are read, never the training itself: a log can neither change a run nor
end it.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..disk.files import Damage
from ..extras import require
from ..runs.folder import RunDir
from ..suggest import choose

KINDS = ("tensorboard", "wandb")
METRICS = "metrics.jsonl"
MOST_MODES = 64  # mode energies of a run that are logged, the smoothest eigenspaces first
POLL_SECONDS = 2.0
PROJECT = "fiedler"


class LogFailed(Damage):
    """A log that could not be written, beside a run that was."""


class Writer(Protocol):
    """Where one run's numbers go."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoardWriter:
    """Event files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WandbWriter:
    """One run of the project PROJECT, its files in ``folder``: offline unless this machine is logged in to W&B, or as
    WANDB_MODE says."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        wandb = require("wandb", "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        mode = os.environ.get("WANDB_MODE") or ("online" if wandb.api.api_key else "offline")
        quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True)  # our own output stays as it is
        self._run: Any = wandb.init(
            project=PROJECT, name=name, dir=str(folder), config=dict(config), mode=mode, reinit="create_new",
            settings=quiet,
        )  # fmt: skip
        # Modes and scores come after the metrics, with the steps they belong to.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def close(self) -> None:
        self._run.finish()


def check_kind(kind: str) -> None:
    """Raises ValueError for a logger that is none of KINDS, ImportError for one that is not installed."""
    if kind not in KINDS:
        raise ValueError(f"unknown logger {kind!r}; {choose(kind, KINDS)}")
    require(kind, kind)


def runs_in(folder: Path) -> list[Path]:
    """Every run in ``folder``: it, and what lies below, where there is a metrics.jsonl; sorted."""
    return sorted({path.parent for path in (folder, *folder.rglob(METRICS)) if path.name == METRICS})


def export_logs(folder: Path, kind: str, out: Path) -> int:
    """Log every run in ``folder``, finished or running, into ``out``, each under its path; how many there were.

    Raises ValueError for a folder without runs, for damaged files and an unknown ``kind``; ImportError.
    """
    check_kind(kind)
    runs = runs_in(folder)
    if not runs:
        raise ValueError(f"{folder} holds no {METRICS} of a run: give the --out of fiedler train, compare, paths, ...")
    for run in runs:
        with _Log(run, folder, kind, out) as log:
            log.update()
            log.finish()
    return len(runs)


@contextmanager
def follow_logs(folder: Path, kind: str, out: Path, every: float = POLL_SECONDS) -> Iterator[None]:
    """Inside it a thread logs what the runs in ``folder`` write, every ``every`` seconds, and the rest at the end.

    What goes wrong with the log is one warning at the end, never an exception. Raises as ``check_kind`` at once.
    """
    check_kind(kind)
    done, logs, failed = threading.Event(), dict[Path, _Log](), list[Exception]()

    def look() -> None:
        for run in runs_in(folder):
            if run not in logs:
                logs[run] = _Log(run, folder, kind, out)
            logs[run].update()

    def work() -> None:
        try:
            while not done.wait(every):
                look()
            look()
            for log in logs.values():
                log.finish()
        except Exception as error:  # whatever a logger raises, the run is worth more
            failed.append(error)
        for log in logs.values():
            try:
                log.close()
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=work, name="follow_logs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if failed:
            what = " ".join(f"{type(failed[0]).__name__}: {failed[0]}".split())[:200]
            remedy = f"make it again with fiedler export {folder} --to {kind}"
            warnings.warn(f"the {kind} log is not complete ({what}), the run is: {remedy}", LogFailed, stacklevel=3)


class _Log:
    """One run's log: what was written so far is not written again."""

    def __init__(self, run: Path, root: Path, kind: str, out: Path) -> None:
        self.run, self._step = RunDir(run), -1
        name = root.name if run == root else f"{root.name}/{run.relative_to(root).as_posix()}"
        config = self.run.read_config() if (run / "config.json").is_file() else {}
        self._writer: Writer = (
            TensorBoardWriter(out / name) if kind == "tensorboard" else WandbWriter(out, name, config)
        )

    def update(self) -> None:
        """Log the records that are new."""
        for record in self.run.read_metrics():
            step = record.get("step")
            if isinstance(step, int) and step > self._step:
                self._writer.write(step, _numbers(record, "metrics/", leave_out=("step",)))
                self._step = step

    def finish(self) -> None:
        """Log what is only there at the end: mode energies at their steps, scores at the last."""
        if (self.run.path / "modes.npz").is_file():
            modes = self.run.read_modes()
            if {"steps", "energy"} <= modes.keys() and modes["energy"].ndim == 2:
                for step, row in zip(modes["steps"].tolist(), modes["energy"][:, :MOST_MODES].tolist(), strict=True):
                    self._writer.write(step, {f"energy/mode_{k:02d}": value for k, value in enumerate(row)})
        if (self.run.path / "scores.json").is_file() and self._step >= 0:
            self._writer.write(self._step, _numbers(self.run.read_scores(), "scores/"))

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _numbers(values: Mapping[str, Any], prefix: str, leave_out: tuple[str, ...] = ()) -> dict[str, float]:
    """The finite numbers among ``values``, those of mappings inside under joined names."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if name in leave_out or isinstance(value, bool):
            continue
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and math.isfinite(value):
            found[prefix + name] = float(value)
    return found
