"""One point of a sweep: its options, the folder they name, and running it, here or in a worker."""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..disk.files import write_text
from ..disk.jsonio import from_json, to_json
from ..disk.lock import Locked
from ..processes.child import ProcessDied
from ..runs.control import Restart, Watch
from ..runs.folder import RunDir
from ..runs.stopping import Interrupted, stop_on_signals
from ..suggest import nearest
from ..tasks.search import SEARCH, Search
from .commands import TRAIN, Command, How, get_command

POINTS, FAILURES, STOP_FILE = "points", "failures", ".stop"
KEY_DIGITS = 16
LARGEST = 2**63  # whole numbers below it are columns of a table


@dataclass(frozen=True)
class Point:
    """Options by name, sorted, with the command unless it is "train"; ``key``: the name of its folder, which depends on
    nothing else."""

    options: tuple[tuple[str, Any], ...]

    @staticmethod
    def make(options: Mapping[str, Any]) -> Point:
        """Raises ValueError where a graph is missing, an option is unknown or has a value it cannot have."""
        options = dict(options)
        name = options.pop("command", TRAIN)
        command = get_command(name)
        options = command.complete({key: _typed(key, value, command.options[key]) if key in command.options else value
                                    for key, value in options.items()})  # fmt: skip
        options |= {"command": name} if name != TRAIN else {}  # as keys were before there was another command
        point = Point(tuple(sorted(options.items())))
        point.settings()
        return point

    @cached_property
    def key(self) -> str:
        return hashlib.sha256(to_json(dict(self.options)).encode()).hexdigest()[:KEY_DIGITS]

    def option(self, name: str) -> Any:
        """The value of an option or setting that the point says, or its command."""
        return dict(self.options).get(name, TRAIN if name == "command" else None)

    @property
    def command(self) -> Command:
        return get_command(self.option("command"))

    @property
    def own(self) -> dict[str, Any]:
        """The options that are no settings."""
        return {name: value for name, value in self.options if name in self.command.options}

    def settings(self) -> Any:
        """The settings of its runs."""
        command, own = self.command, self.own
        changes = {name: value for name, value in self.options if name not in own and name != "command"}
        known = command.setting_types(own)
        for name, value in changes.items():
            if name not in known:
                near = nearest(name, [*known, *command.options])
                hint = f"did you mean {near!r}?" if near is not None else f"it has {', '.join(sorted(known))}"
                raise ValueError(f"{command.owner(own)} has no setting {name!r}: {hint}")
            changes[name] = _typed(name, value, known[name])
        return command.settings(own, changes)

    def check(self) -> None:
        """Raises ValueError for a graph or an architecture that cannot be trained."""
        self.command.check(self.own, self.settings())

    def folder(self, out: Path, seed: int) -> Path:
        """Where its run of ``seed`` is kept in a sweep's folder."""
        return out / POINTS / self.key / f"seed{seed}"

    def failure(self, out: Path, seed: int) -> Path:
        """Where the failure of ``seed`` is kept."""
        return out / FAILURES / f"{self.key}-seed{seed}.json"


@dataclass(frozen=True)
class Outcome:
    """What became of one seed of a point: ``status`` is "done", "failed", "interrupted" or "busy" (another process is
    writing it); ``seconds`` of the group of seeds it was trained with, divided by their number."""

    point: Point
    seed: int
    status: str
    seconds: float
    message: str = ""


def run_point(
    point: Point, seeds: Sequence[int], out: str, checkpoint_every: float | None = None, search: Search = SEARCH
) -> list[Outcome]:
    """Train and score ``point`` for ``seeds``, each into its folder, on one thread; never raises but for a kill.

    Finished seeds are only read, interrupted ones taken up again. A failure is written into the sweep's folder. When
    seeds that train together fail, each is tried alone, so that the others are kept.
    """
    from threadpoolctl import threadpool_limits

    if "torch" in sys.modules or point.command.needs_torch(point.own):
        import torch

        torch.set_num_threads(1)
    root = Path(out)
    began = time.perf_counter()
    with threadpool_limits(1), stop_on_signals(root / STOP_FILE) as stop:

        def outcome(seed: int, status: str, message: str = "") -> Outcome:
            return Outcome(point, seed, status, (time.perf_counter() - began) / len(seeds), message)

        try:
            if stop.asked:
                raise Interrupted("stopped before it began")
            how = How(Restart(resume=True, checkpoint_every=checkpoint_every), search, Watch(stop=stop))
            point.command.train(point.own, point.settings(), seeds, lambda seed: point.folder(root, seed), how)
        except Interrupted as error:
            return [outcome(seed, "interrupted", str(error)) for seed in seeds]
        except Locked as error:
            return [outcome(seed, "busy", str(error)) for seed in seeds]
        except Exception as error:
            if len(seeds) > 1:
                return [alone for seed in seeds for alone in run_point(point, [seed], out, checkpoint_every, search)]
            write_failure(point, seeds[0], root, error)
            return [outcome(seeds[0], "failed", _line(error))]
        for seed in seeds:
            point.failure(root, seed).unlink(missing_ok=True)
        return [outcome(seed, "done") for seed in seeds]


def write_failure(point: Point, seed: int, out: Path, error: BaseException) -> None:
    """Record why a run failed, so that it is not tried again unasked."""
    path = point.failure(out, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "options": dict(point.options),
        "seed": seed,
        "error": type(error).__name__,
        "message": _line(error),
        "traceback": traceback.format_exception(error)[-8:],
    }
    if isinstance(error, ProcessDied):
        record |= {
            "signal": error.signal,
            "exit_code": None if error.signal else error.code,
            "peak_memory_bytes": error.peak,
        }
    write_text(path, f"{to_json(record, indent=2)}\n")


def read_failure(point: Point, seed: int, out: Path) -> str | None:
    """The message of a recorded failure, None where there is none; a damaged record says that it is."""
    path = point.failure(out, seed)
    if not path.is_file():
        return None
    try:
        return str(from_json(path.read_text(encoding="utf-8"))["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"failed; {path} is damaged"


def is_done(point: Point, seed: int, out: Path, search: Search = SEARCH) -> bool:
    """Whether a run is finished, with the scores that are wanted."""
    scores = read_scores(point, seed, out)
    return scores is not None and not point.command.stale(point.own, point.settings(), scores, search)


def read_scores(point: Point, seed: int, out: Path) -> dict[str, Any] | None:
    """The scores of a finished run, None where it is not finished or something of it is damaged."""
    folder = RunDir(point.folder(out, seed))
    try:
        return folder.read_scores() if point.command.finished(folder) and folder.is_final("scores.json") else None
    except ValueError:
        return None


def _typed(name: str, value: Any, kind: type) -> Any:
    """``value`` as an option of type ``kind``: whole floats for integers and integers for floats are taken."""
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise ValueError(f"{name} must be a number that 64 bits hold; got one of {value.bit_length()} bits")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer() and abs(value) < LARGEST:
        return int(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a name in quotes"}
        raise ValueError(f"{name} must be {names.get(kind, kind.__name__)}; got {value!r}")
    return value


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
