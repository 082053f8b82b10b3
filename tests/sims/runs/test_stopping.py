"""Requests to stop: signals, a second Ctrl-C, and the file that reaches other machines."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextvars import ContextVar
from pathlib import Path

import pytest

from fiedler.sims.runs import stopping
from fiedler.sims.runs.stopping import Interrupted, StopRequest, heeding, stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_only_asks(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert stop.asked
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    def twice() -> None:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.asked
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        twice()


def test_other_threads_leave_the_handlers_alone() -> None:
    found = []

    def work() -> None:
        with stop_on_signals() as stop:
            found.append((signal.getsignal(signal.SIGINT), stop.asked))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, False)]


def test_a_file_asks_too_and_is_not_looked_for_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    file = tmp_path / "stop"
    request = StopRequest(file)
    assert not request.asked
    file.touch()
    assert not request.asked  # it has just looked
    now[0] += 2 * stopping.LOOK_SECONDS
    assert request.asked
    file.unlink()
    assert request.asked  # once asked, always


def test_a_signal_within_two_contexts_asks_for_both() -> None:
    with stop_on_signals() as outer:
        with stop_on_signals() as inner:
            signal.raise_signal(signal.SIGINT)
            assert inner.asked
            assert outer.asked
        with stop_on_signals() as later:
            assert later.asked
    with stop_on_signals() as fresh:
        assert not fresh.asked


def test_a_long_computation_is_left_where_somebody_asks_to_stop() -> None:
    stop, release = StopRequest(), threading.Event()
    threading.Timer(0.1, lambda: setattr(stop, "signalled", True)).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        heeding(stop, lambda: release.wait(30))
    assert time.monotonic() - began < 2
    release.set()


def test_what_is_computed_comes_back_and_what_is_raised_is_raised() -> None:
    where = ContextVar("where", default="nowhere")
    where.set("here")
    for stop in (None, StopRequest()):
        assert heeding(stop, where.get) == "here"
        with pytest.raises(ZeroDivisionError):
            heeding(stop, lambda: 1 / 0)
