"""The side of a process that answers calls (``child`` is the other): in its main thread, which alone hears signals."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO

import cloudpickle

from .child import BEGUN, read_frame, write_frame

IDLE_SECONDS = 30.0  # without a call, after which it ends by itself
ORPHAN_SECONDS = 2.0  # for a call that heeds SIGTERM to save what it has, once whoever asked is gone
INTERRUPTED = 130

Waiting = queue.SimpleQueue[bytes | None]


def serve() -> None:
    """Answer calls until there are none for a while, or whoever makes them is gone. Never returns."""
    calls, answers = _streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between calls Ctrl-C is for whoever makes them
    waiting, busy = Waiting(), threading.Event()
    threading.Thread(target=_listen, args=(calls, waiting, busy), daemon=True).start()
    code = 0
    try:
        while (call := waiting.get(timeout=IDLE_SECONDS)) is not None:
            busy.set()
            write_frame(answers, BEGUN)
            answer = _answer(call)
            busy.clear()
            write_frame(answers, answer)
    except queue.Empty:
        pass
    except OSError:  # nobody reads the answer
        code = 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    os._exit(code)  # threads may still compute what nobody wants any more


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Those of the messages; what is printed goes to standard error, and nothing is read from standard input."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return calls, answers


def _listen(calls: BinaryIO, waiting: Waiting, busy: threading.Event) -> None:
    while (content := read_frame(calls)) is not None:
        waiting.put(content)
    waiting.put(None)
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)


def _answer(content: bytes) -> bytes:
    try:
        folder, path, call = cloudpickle.loads(content)
        sys.path[:] = path
        with contextlib.suppress(OSError):  # a cluster's machine may not have it
            os.chdir(folder)
        function, arguments = cloudpickle.loads(call)
        return _packed(True, function(*arguments))
    except Exception as error:  # whatever it is, it is for whoever asked
        error.add_note(f"in process {os.getpid()}:\n{traceback.format_exc()}")
        try:
            answer = _packed(False, error)
            cloudpickle.loads(answer)  # one with fields of its own may be written and not read
        except Exception:
            answer = _packed(False, RuntimeError(f"{type(error).__name__}: {error}"))
        return answer


def _packed(returned: bool, value: Any) -> bytes:
    return bytes(cloudpickle.dumps((returned, value)))
