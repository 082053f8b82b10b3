"""How far a long computation has come, told to whoever listens; where nobody does it costs a look-up.

A context variable rather than an argument, so that a caller hears of an integration many calls below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[float], None] | None] = ContextVar("fiedler_progress", default=None)


@contextmanager
def listening(callback: Callable[[float], None]) -> Iterator[None]:
    """Inside it ``callback`` is told the fraction done, in [0, 1], of every integration that this thread makes."""
    token = _listener.set(callback)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def part(index: int, count: int) -> Iterator[None]:
    """Inside it what is told is the fraction of part ``index`` of ``count`` equal ones."""
    outer = _listener.get()
    if outer is None:
        yield
        return
    with listening(lambda fraction: outer((index + fraction) / count)):
        yield


def tell(fraction: float) -> None:
    """Say how far the computation that runs now has come."""
    listener = _listener.get()
    if listener is not None:
        listener(min(max(fraction, 0.0), 1.0))
