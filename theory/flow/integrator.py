"""One adaptive integrator for every gradient flow of the package: dy/dt = velocity(y), y an array of any shape.

Clock: tau = log(1 + t / t0), so dy/dtau = (t + t0) velocity(y), with t0 = ||y|| / ||velocity(y)|| at the start. The
flow first moves on the scale t0, where tau is linear in t, and slows down like a power of t (mean directions and
separations diverge like log t), so that each factor of e in time takes about as many steps as the last.

Method: SciPy's DOP853 (explicit, order 8) until stiffness holds it back: the state keeps directions that relax at the
rate of the largest logits, which grow, while it moves ever more slowly. Once explicit steps per factor of e in time
exceed what an implicit one costs (PACE, in proportion to the square of the state size), SciPy's BDF takes over for the
rest of the span, with the Jacobian by finite differences. Karate from K(0) = 100 I to t = 1000: 42,000 explicit steps,
or 400 explicit and then 200 implicit ones. States of more than IMPLICIT_LIMIT entries stay explicit (the Jacobian is
dense). After the switch entries of the state are only resolved to about ``rtol`` of the largest, and a state whose
velocity is rounding (AT_REST) is held for the rest of the span; explicit steps multiply the state from the left and
follow decayed modes further down. Rounding, about 1e-14 t in the state for each factor of e in time, is what limits the
accuracy, and shortens the steps, from t = 10,000 or so: ask for an ``rtol`` of 1e-8 to go there.

float64. Time t is that of the flow: one gradient step of size eta is t = eta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import BDF, DOP853, OdeSolution
from scipy.optimize import brentq

from ..checks import (
    Array,
    check_array,
    check_callable,
    check_flag,
    check_real,
    check_reals,
    check_text,
    check_type,
    check_whole_number,
    shown,
)
from .progress import tell

RELATIVE_TOLERANCE = 1e-10  # one digit below the 1e-9 the predictions are compared at
ABSOLUTE_TOLERANCE = 1e-12  # of the largest entry at t = 0, or of one when all are zero
SMALLEST_TOLERANCE = 1e-300  # SciPy divides by it

IMPLICIT_LIMIT = 4000  # entries of the state: its dense Jacobian takes 128 MB, and BDF holds three such matrices
WATCHED = 50  # explicit steps over which the pace is measured
# Explicit steps per unit of tau from which BDF is faster, measured on path-star:4x5 (441 entries) and karate (1156).
PACE_AT_LEAST, PACE_PER_SQUARED_SIZE = 300.0, 1.5e-3
# BDF iterates to this part of its error tolerance; SciPy's own choice at rtol = 1e-10, 2e-5, is below rounding here.
NEWTON_TOLERANCE = 1e-2
AT_REST = 1e-13  # velocity against ||y|| / t0: a few hundred roundings of the terms that cancel in it
LONGEST_DECAY = 1e4  # exp(-745) is the smallest float64
LAST_TIME = 1e15  # of anything: rounding, 1e-14 t, is all there is beyond
LAST_FLOW_TIME = 1e8  # of a flow of embeddings: six digits are left then, and steps grow no longer
ROOT_TOLERANCE = 1e-13  # of tau, for the time of an event; the state there is no better than ``rtol``


@dataclass(frozen=True)
class Event:
    """Something to watch for: it has happened when ``measure(state)`` >= 0, and its time is the first such t.

    ``terminal``: stop the integration there. The sign is looked at after every step: something that comes and goes
    within one step is missed (steps resolve the flow, so this needs a very shallow crossing).
    """

    name: str
    measure: Callable[[Array], float]
    terminal: bool = False

    def __post_init__(self) -> None:
        check_text(self.name, "name")
        check_callable(self.measure, "measure")
        check_flag(self.terminal, "terminal")


@dataclass(frozen=True, eq=False)
class Integration:
    """A solved flow from t = 0 to ``end``.

    ``states`` (k, *shape): at those of the requested ``times`` (k,) that are not later than ``end``; ``end_state``
    (*shape). ``event_times``: first time of every event by name, infinity for those that did not happen.
    ``stopped_by``: the terminal event that ended it, None when the requested end was reached. ``steps``: accepted
    steps. ``implicit_from``: time of the switch to implicit steps, None without one.
    """

    end: float
    end_state: Array
    times: Array
    states: Array
    event_times: dict[str, float]
    stopped_by: str | None
    steps: int
    implicit_from: float | None
    _start: Array
    _clock: float
    _dense: OdeSolution | None

    def at(self, times: ArrayLike) -> Array:
        """States at ascending ``times`` (k,) in [0, ``end``], (k, *shape), from the polynomial of each step.

        Raises ValueError for a time outside, RuntimeError when integrated without ``dense_output``."""
        t = check_times(times, LAST_TIME)
        if t[-1] > self.end:
            raise ValueError(f"time {t[-1]:g} lies after the end of the integration, {self.end:g}; integrate further")
        if self.end == 0:
            return np.repeat(self._start[None], len(t), axis=0)
        if self._dense is None:
            raise RuntimeError("nothing was kept to interpolate in; integrate with dense_output=True")
        return np.asarray(self._dense(np.log1p(t / self._clock)).T.reshape(len(t), *self._start.shape))


def integrate(
    velocity: Callable[[Array], Array],
    start: Array,
    end: float,
    *,
    times: ArrayLike | None = None,
    events: Sequence[Event] = (),
    dense_output: bool = False,
    rtol: float = RELATIVE_TOLERANCE,
    implicit_limit: int = IMPLICIT_LIMIT,
) -> Integration:
    """Follow dy/dt = velocity(y) from ``start`` (any shape) at t = 0 to ``end`` >= 0, or to a terminal event.

    ``times``: ascending times <= ``end`` whose states are wanted. ``dense_output`` keeps every step, so that ``at``
    answers for any time: 60 bytes an entry a step. ``implicit_limit``: largest state for which implicit steps may be
    taken; 0 forbids them. Raises ValueError for bad times, a repeated event name or an rtol outside [1e-13, 1e-2],
    for a velocity of another shape than the start's, RuntimeError when the integrator gives up.
    """
    wanted = np.empty(0) if times is None else check_times(times, LAST_TIME)
    if not 0 <= check_real(end, "the end") <= LAST_TIME or (wanted.size and wanted[-1] > end):
        raise ValueError(
            f"the end must be a finite time >= 0, <= {LAST_TIME:.0e} and >= every requested time; got {shown(end)}"
        )
    check_tolerance(rtol, "rtol")
    check_flag(dense_output, "dense_output")
    check_whole_number(implicit_limit, "implicit_limit", 0)
    events = _events(events)
    check_callable(velocity, "velocity")
    start = check_array(start, "start")
    if start.size == 0:
        raise ValueError(f"start must hold at least one number; got shape {start.shape}")
    first = check_array(velocity(start), "velocity(start)")
    if first.shape != start.shape:
        raise ValueError(f"velocity(start) must have the shape of start, {start.shape}; got {first.shape}")
    happened = {event.name: 0.0 if event.measure(start) >= 0 else np.inf for event in events}
    stopped = next((event.name for event in events if event.terminal and happened[event.name] == 0), None)
    if end == 0 or stopped is not None:
        at_start = wanted[wanted == 0]
        states = np.repeat(start[None], len(at_start), axis=0)
        return Integration(0.0, start, at_start, states, happened, stopped, 0, None, start, 1.0, None)

    speed, size = float(np.linalg.norm(first)), float(np.linalg.norm(start))
    scale = size / speed if speed > 0 and size > 0 else 1.0
    clock = min(float(end), scale)
    tau_end = float(np.log1p(end / clock))
    tau_wanted = np.minimum(np.log1p(wanted / clock), tau_end)
    absolute = max(ABSOLUTE_TOLERANCE * (float(np.abs(start).max()) or 1.0), SMALLEST_TOLERANCE)
    tolerances = {"rtol": rtol, "atol": absolute}

    def rhs(tau: float, y: Array) -> Array:
        return np.asarray(clock * np.exp(tau) * velocity(y.reshape(start.shape)).ravel())

    pending = [event for event in events if happened[event.name] == np.inf]
    states, filled = np.empty((len(wanted), *start.shape)), 0
    knots: list[float] = [0.0]
    pieces: list[Callable[[float], Array]] = []
    steps, switched, watched_from, at_rest = 0, None, 0.0, False
    with np.errstate(over="ignore", invalid="ignore"):  # trial steps that are too long are refused and shortened
        solver = DOP853(rhs, 0.0, start.ravel().copy(), tau_end, **tolerances)
        while solver.status == "running":
            message = solver.step()
            if solver.status == "failed":
                raise RuntimeError(f"the flow could not be integrated to t = {end:g}: {message}")
            steps += 1
            tau, state = float(solver.t), solver.y.reshape(start.shape)
            tell(tau / tau_end)  # of the logarithm of time, in which steps are about even
            crossed = [event for event in pending if event.measure(state) >= 0]
            due = filled < len(wanted) and tau_wanted[filled] <= tau
            piece = solver.dense_output() if dense_output or crossed or due else _Constant(solver.y)
            for event in crossed:
                happened[event.name] = _crossing(event, piece, float(solver.t_old), tau, start.shape)
            final = min((e for e in crossed if e.terminal), key=lambda e: happened[e.name], default=None)
            if final is not None:
                tau, stopped = happened[final.name], final.name
                for event in crossed:
                    happened[event.name] = happened[event.name] if happened[event.name] <= tau else np.inf
            pending = [event for event in pending if event not in crossed]
            while filled < len(wanted) and tau_wanted[filled] <= tau:
                states[filled] = piece(tau_wanted[filled]).reshape(start.shape)
                filled += 1
            if dense_output:
                knots.append(float(solver.t))
                pieces.append(piece)
            if stopped is not None:
                break
            if switched is not None:
                at_rest = bool(np.linalg.norm(velocity(state)) <= AT_REST * np.linalg.norm(state) / scale)
                if at_rest:
                    break
            elif start.size <= implicit_limit and steps % WATCHED == 0:
                pace, watched_from = WATCHED / (tau - watched_from), tau
                worthwhile = max(PACE_AT_LEAST, PACE_PER_SQUARED_SIZE * start.size**2)
                if pace > worthwhile and pace * (tau_end - tau) > worthwhile:
                    switched = tau
                    solver = BDF(rhs, tau, solver.y, tau_end, **tolerances)
                    solver.newton_tol = max(solver.newton_tol, NEWTON_TOLERANCE)
    final_state = solver.y if stopped is None else piece(tau)
    if at_rest and stopped is None:
        states[filled:], filled = final_state.reshape(start.shape), len(wanted)
        if dense_output and knots[-1] < tau_end:
            knots.append(tau_end)
            pieces.append(_Constant(final_state))
    return Integration(
        float(end) if stopped is None else _time(tau, clock, end),
        final_state.reshape(start.shape),
        wanted[:filled],
        states[:filled],
        {name: _time(value, clock, end) for name, value in happened.items()},
        stopped,
        steps,
        None if switched is None else _time(switched, clock, end),
        start,
        clock,
        OdeSolution(knots, pieces) if dense_output else None,
    )


def check_times(times: ArrayLike, last: float = LAST_FLOW_TIME) -> Array:
    """Return ``times`` as a float64 array (k,); raises ValueError unless it is ascending, >= 0 and <= ``last``."""
    t = np.atleast_1d(check_reals(times, "times"))
    if t.ndim != 1 or t.size == 0 or not (t[0] >= 0 and t[-1] <= last) or not (t[1:] >= t[:-1]).all():
        raise ValueError(
            f"times must be a non-empty ascending list of finite numbers >= 0, <= {last:.0e}; got {shown(times)}"
        )
    return t


def check_decay_span(decay: float, times: Array) -> None:
    """ValueError for explicit steps through so much weight decay that everything is zero long before the end."""
    if decay * times[-1] > LONGEST_DECAY:
        raise ValueError(
            f"weight_decay times the last time is {decay * times[-1]:.1e}, above {LONGEST_DECAY:.0e}: all has decayed "
            "to zero by then; end earlier"
        )


def check_tolerance(value: float, name: str) -> float:
    """A relative tolerance that float64 can meet and that still means something."""
    number = check_real(value, name)
    if not 1e-13 <= number <= 1e-2:
        raise ValueError(f"{name} must lie between 1e-13 and 1e-2; got {shown(value)}")
    return number


def _events(events: Sequence[Event]) -> tuple[Event, ...]:
    if not isinstance(events, Sequence) or isinstance(events, str):
        raise TypeError(f"events must be a list of Event; got {shown(events)}")
    for event in events:
        check_type(event, Event, "every one of events", "make one with Event, energy_reaches, stationary, ...")
    if len({event.name for event in events}) < len(events):
        raise ValueError("two events have the same name; name them apart")
    return tuple(events)


class _Constant:
    """The interpolant of a state at rest: (size,) at a time, (size, k) at k times."""

    def __init__(self, state: Array) -> None:
        self.state = state.copy()

    def __call__(self, tau: float | Array) -> Array:
        return self.state if np.ndim(tau) == 0 else np.repeat(self.state[:, None], np.size(tau), axis=1)


def _time(tau: float, clock: float, end: float) -> float:
    return np.inf if tau == np.inf else min(float(clock * np.expm1(tau)), float(end))


def _crossing(event: Event, piece: Callable[[float], Array], low: float, high: float, shape: tuple[int, ...]) -> float:
    """The tau in [low, high] at which ``event`` happens in the step that ``piece`` interpolates."""

    def value(tau: float) -> float:
        return event.measure(piece(tau).reshape(shape))

    if value(low) >= 0:  # the polynomial meets the states up to rounding
        return low
    return high if value(high) < 0 else float(brentq(value, low, high, xtol=ROOT_TOLERANCE))
