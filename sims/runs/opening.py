"""Opening a run's folder: checked, locked, taken up or made, and cleaned; the one way for every kind of run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..disk.lock import locked
from .control import Restart
from .folder import RunDir
from .take_up import take_up

RUNS = "runs"  # in the folder of several runs, each in one of its own


@contextmanager
def opened(out: Path, config: Mapping[str, Any], restart: Restart, *, runs: Sequence[Path] = ()) -> Iterator[RunDir]:
    """The run folder ``out``, locked within the context and holding ``config``. ``runs``: folders of the runs that will
    be made inside it; where it is overwritten, those that an earlier one left under ``runs`` are removed.

    Raises ValueError for a folder in use or with another config than the resumed run's, before anything is written.
    """
    with ExitStack() as held:
        for path in (out, *runs):
            RunDir.check(path, overwrite=restart.takes_folder)
        open_all({out: config}, restart, held)
        yield RunDir(out)


def open_all(configs: Mapping[Path, Mapping[str, Any]], restart: Restart, held: ExitStack) -> dict[Path, bool]:
    """Open every folder with its config, locked until ``held`` ends; whether a run was taken up in it. Nothing is
    written unless all can be taken. Raises as ``opened``."""
    for path in configs:
        RunDir.check(path, overwrite=restart.takes_folder)
    for path in configs:
        held.enter_context(locked(path))
    begun = {path: restart.resume and take_up(RunDir(path), config) for path, config in configs.items()}
    for path, config in configs.items():
        if not begun[path]:
            # What an overwritten one ran goes before its config does: a kill in between leaves a folder of the old.
            for run in sorted((path / RUNS).glob("*-seed*")) if restart.overwrite else ():
                RunDir.remove(run)
            RunDir.create(path, config, overwrite=restart.takes_folder)
        RunDir(path).clean()
    return begun
