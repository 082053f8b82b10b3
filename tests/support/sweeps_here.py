"""Sweeps whose points run in this process, where what a test patches is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

import pytest

import fiedler.sims.sweep.run as engine
from fiedler.sims.sweep.backend import Place


def sweep_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points run one after the other, in the main thread, until ``monkeypatch`` is undone."""
    monkeypatch.setattr(engine, "in_child", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(engine, "opened_backend", lambda *_: nullcontext(Place("local", _submit, lambda: 1)))


def _submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    answer: Future[Any] = Future()
    answer.set_result(function(*arguments))
    return answer
