"""One writer for a folder: a lock that the system takes back when its holder dies, however it dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = ".lock"


class Locked(ValueError):
    """Another process, or another call in this one, is writing the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``, which is made with its parents where it is absent.

    The lock file stays: removing it would let two processes hold locks of two files of one name. On network file
    systems the lock holds as far as theirs do (flock). Raises Locked, a ValueError, where it is held, and
    ValueError where the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout  # not of the base install, which writes no folder

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_FILE, timeout=0, is_singleton=False)
        lock.acquire()
    except Timeout:
        raise Locked(
            f"another process is writing {folder} (it holds {folder / LOCK_FILE}): wait for it, or give another --out"
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{folder} cannot be made a run folder ({reason}): give another --out") from error
    try:
        yield
    finally:
        lock.release()
