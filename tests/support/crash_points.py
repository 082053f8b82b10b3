"""Dying at a chosen file-system operation: before it, or just after, which together are every instant that matters."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from fiedler.sims.disk.jsonlog import JsonLog

OPERATIONS = ("replace", "unlink", "mkdir", "rmdir", "fsync")
DIED = 99


class Countdown:
    """Counts operations; with ``fatal`` the process ends at that one, before it is done (or, ``after``, once it is)."""

    def __init__(self, fatal: int | None = None, after: bool = False) -> None:
        self.count, self.fatal, self.after = 0, fatal, after

    def around(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            last = self.count == self.fatal
            if last and not self.after:
                os._exit(DIED)
            try:
                return operation(*arguments, **options)
            finally:
                if last:
                    os._exit(DIED)

        return counted


@contextmanager
def counted_operations(countdown: Countdown) -> Iterator[None]:
    """Count what is done to the file system, and every line of a log, of which half is written before the end."""
    append = JsonLog.append

    def half(log: JsonLog, record: Any) -> None:
        countdown.count += 1
        if countdown.count == countdown.fatal:
            if countdown.after:
                append(log, record)
            else:
                stream: io.BufferedRandom = log._stream  # type: ignore[assignment]
                stream.write(b'{"step": 1, "los')
                stream.flush()
            os._exit(DIED)
        append(log, record)

    patches = [mock.patch.object(os, name, countdown.around(getattr(os, name))) for name in OPERATIONS]
    patches.append(mock.patch.object(JsonLog, "append", half))
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def die_at(work: Callable[[], object], fatal: int, after: bool) -> bool:
    """Do ``work`` in a child that dies at operation ``fatal``; whether it came so far. A child that fails is a bug."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with counted_operations(Countdown(fatal, after)):
                work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DIED), f"the child failed: {code}"
    return code == DIED
