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

import numpy as np

from ..disk.files import Damage
from ..extras import require
from ..runs.folder import RunDir
from ..suggest import choose

KINDS = ("tensorboard", "wandb")
METRICS = "metrics.jsonl"
MOST_MODES = 64  # mode energies of a run that are logged, the smoothest eigenspaces first
POLL_SECONDS = 2.0
PROJECT = "fiedler"

Series = Mapping[str, Mapping[int, float]]  # by name: the value at each step
Point = tuple[int, Mapping[str, float]]  # a step, and values by name


class LogFailed(Damage):
    """A log that could not be written, beside a run that was."""


class LogDisabled(ValueError):
    """A logger that its own settings switch off: nothing would be logged."""


class Writer(Protocol):
    """Where one run's numbers go."""

    def begin(self, holds: Series) -> None:
        """Called once before anything is written, with all that the run's folder ``holds`` then."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoardWriter:
    """Event files in ``folder``, in which each step of a series comes once: what an earlier call wrote there is not
    written again, and what the run no longer holds is withdrawn (``purge_step``), such as steps after the checkpoint
    that it was taken up from."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "tensorboard")
        self._folder, self._there = folder, _logged_series(folder)
        self._writer: Any = None

    def begin(self, holds: Series) -> None:
        gone = [
            step
            for name, series in self._there.items()
            for step, value in series.items()
            if not _same(holds.get(name, {}).get(step), value)
        ]
        if not gone:
            return
        self._open(min(gone))
        for series in self._there.values():
            for step in [one for one in series if one >= min(gone)]:
                del series[step]

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not _same(value, self._there.get(name, {}).get(step)):
                self._open().add_scalar(name, value, step)
                self._there.setdefault(name, {})[step] = value

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self, purge: int | None = None) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        return self._writer


def _logged_series(folder: Path) -> dict[str, dict[int, float]]:
    """The series of the event files in ``folder``."""
    if not any(folder.glob("events.out.tfevents.*")):
        return {}
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0}).Reload()
    return {name: {event.step: float(event.value) for event in events.Scalars(name)} for name in events.Tags()[SCALARS]}


def _same(one: float | None, other: float | None) -> bool:
    """Whether they are one number in float32, which is what event files keep."""
    if one is None or other is None:
        return False
    with np.errstate(over="ignore"):
        return bool(np.float32(one) == np.float32(other))


class WandbWriter:
    """One run of the project PROJECT, its files in ``folder``: offline unless this machine is logged in to W&B, or as
    WANDB_MODE says. Each call logs the whole run anew, as W&B's runs cannot be gone on with offline. Raises LogDisabled
    where W&B is switched off."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        wandb = require("wandb", "wandb")
        mode = os.environ.get("WANDB_MODE") or ("online" if wandb.api.api_key else "offline")
        if mode == "disabled":
            raise LogDisabled("WANDB_MODE=disabled, so nothing is logged: unset it, or set it to offline or online")
        folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True)  # our own output stays as it is
        self._run: Any = wandb.init(
            project=PROJECT, name=name, dir=str(folder), config=dict(config), mode=mode, reinit="create_new",
            settings=quiet,
        )  # fmt: skip
        # Modes and scores come after the metrics, with the steps they belong to.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def begin(self, holds: Series) -> None:
        pass

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
        if failed and isinstance(failed[0], LogDisabled):
            warnings.warn(f"the {kind} log is not there: {failed[0]}", LogFailed, stacklevel=3)
        elif failed:
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
        holds: dict[str, dict[int, float]] = {}
        results = self._results() if self.run.finished else ()  # others are made again
        for step, values in (*self._records(), *results):
            for series, value in values.items():
                holds.setdefault(series, {})[step] = value
        self._writer.begin(holds)

    def update(self) -> None:
        """Log the records that are new."""
        for step, values in self._records():
            if step > self._step:
                self._writer.write(step, values)
                self._step = step

    def finish(self) -> None:
        """Log what is only there at the end: mode energies at their steps, scores at the last."""
        for step, values in self._results():
            self._writer.write(step, values)

    def close(self) -> None:
        self._writer.close()

    def _records(self) -> Iterator[Point]:
        for record in self.run.read_metrics():
            step = record.get("step")
            if isinstance(step, int):
                yield step, _numbers(record, "metrics/", leave_out=("step",))

    def _results(self) -> Iterator[Point]:
        if (self.run.path / "modes.npz").is_file():
            modes = self.run.read_modes()
            if {"steps", "energy"} <= modes.keys() and modes["energy"].ndim == 2:
                for step, row in zip(modes["steps"].tolist(), modes["energy"][:, :MOST_MODES].tolist(), strict=True):
                    yield step, {f"energy/mode_{k:02d}": value for k, value in enumerate(row)}
        last = max((step for step, _ in self._records()), default=-1)
        if (self.run.path / "scores.json").is_file() and last >= 0:
            yield last, _numbers(self.run.read_scores(), "scores/")

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
