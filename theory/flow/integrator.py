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

STACK = 256  # states whose velocities are taken at once, for a Jacobian by differences
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
    vectorized: bool = False,
) -> Integration:
    """Follow dy/dt = velocity(y) from ``start`` (any shape) at t = 0 to ``end`` >= 0, or to a terminal event.

    ``times``: ascending times <= ``end`` whose states are wanted. ``dense_output`` keeps every step, so that ``at``
    answers for any time: 60 bytes an entry a step. ``implicit_limit``: largest state for which implicit steps may be
    taken; 0 forbids them. ``vectorized``: the velocity takes stacks (k, *shape) as well. Raises ValueError for bad
    times, a repeated event name or an rtol outside [1e-13, 1e-2], for a velocity of another shape than the start's,
    RuntimeError when the integrator gives up.
    """
    wanted = np.empty(0) if times is None else check_times(times, LAST_TIME)
    if not 0 <= check_real(end, "the end") <= LAST_TIME or (wanted.size and wanted[-1] > end):
        raise ValueError(
            f"the end must be a finite time >= 0, <= {LAST_TIME:.0e} and >= every requested time; got {shown(end)}"
        )
    check_tolerance(rtol, "rtol")
    check_flag(dense_output, "dense_output")
    check_whole_number(implicit_limit, "implicit_limit", 0)
    check_flag(vectorized, "vectorized")
    events = _events(events)
    start, velocity0 = _start(velocity, start)
    clock = _Clock(start, velocity0, float(end))
    watch = _Watch(start, events, clock.tau(wanted), dense_output)
    if end > 0 and watch.stopped_by is None:
        steps, switched = _run(velocity, clock, watch, rtol, implicit_limit, vectorized)
    else:
        watch.hold(0.0)
        steps, switched = 0, None
    return Integration(
        clock.end if watch.stopped_by is None else clock.time(watch.tau),
        watch.state,
        wanted[: watch.filled],
        watch.states[: watch.filled],
        {name: clock.time(tau) for name, tau in watch.event_taus.items()},
        watch.stopped_by,
        steps,
        None if switched is None else clock.time(switched),
        start,
        clock.unit,
        OdeSolution(watch.knots, watch.pieces) if watch.pieces else None,
    )


def _run(
    velocity: Callable[[Array], Array],
    clock: _Clock,
    watch: _Watch,
    rtol: float,
    implicit_limit: int,
    vectorized: bool,
) -> tuple[int, float | None]:
    """Step to the last tau, to a terminal event or to rest: the number of steps, and the tau of the switch or None."""
    start = watch.state
    absolute = max(ABSOLUTE_TOLERANCE * (float(np.abs(start).max()) or 1.0), SMALLEST_TOLERANCE)
    tolerances = {"rtol": rtol, "atol": absolute}

    def rhs(tau: float, y: Array) -> Array:
        return np.asarray(clock.unit * np.exp(tau) * velocity(y.reshape(start.shape)).ravel())

    def stacked(tau: float, y: Array) -> Array:  # a state a column
        if y.shape[1] == 1:
            return rhs(tau, y)[:, None]
        out = np.empty_like(y)
        for k in range(0, y.shape[1], STACK):
            part = y[:, k : k + STACK]
            out[:, k : k + STACK] = velocity(part.T.reshape(-1, *start.shape)).reshape(part.shape[1], -1).T
        out *= clock.unit * np.exp(tau)
        return out

    steps, switched, watched_from = 0, None, 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # trial steps that are too long are refused and shortened
        solver = DOP853(rhs, 0.0, start.ravel().copy(), clock.last, **tolerances)
        while solver.status == "running":
            message = solver.step()
            if solver.status == "failed":
                raise RuntimeError(f"the flow could not be integrated to t = {clock.end:g}: {message}")
            steps += 1
            tell(float(solver.t) / clock.last)  # of the logarithm of time, in which steps are about even
            watch.step(solver)
            if watch.stopped_by is not None:
                break
            if switched is not None:
                speed, size = np.linalg.norm(velocity(watch.state)), np.linalg.norm(watch.state)
                if speed <= AT_REST * size / clock.t0:
                    watch.hold(clock.last)
                    break
            elif start.size <= implicit_limit and steps % WATCHED == 0:
                advance, watched_from = watch.tau - watched_from, watch.tau
                if _pays_to_switch(start.size, advance, clock.last - watch.tau):
                    switched = watch.tau
                    differences = {"fun": stacked, "vectorized": True} if vectorized else {"fun": rhs}
                    solver = BDF(t0=switched, y0=solver.y, t_bound=clock.last, **differences, **tolerances)
                    solver.newton_tol = max(solver.newton_tol, NEWTON_TOLERANCE)
    return steps, switched


def _pays_to_switch(size: int, advance: float, left: float) -> bool:
    """Whether implicit steps of ``size`` numbers are faster, the last WATCHED explicit ones having made ``advance``
    in tau, and enough of the span is ``left`` to be worth the change."""
    pace = WATCHED / advance
    worthwhile = max(PACE_AT_LEAST, PACE_PER_SQUARED_SIZE * size**2)
    return pace > worthwhile and pace * left > worthwhile


class _Clock:
    """tau = log(1 + t / unit) from t = 0 to ``end``, where tau is ``last``. ``t0``: the module's; ``unit``: the earlier
    of it and the end."""

    def __init__(self, start: Array, velocity0: Array, end: float) -> None:
        speed, size = float(np.linalg.norm(velocity0)), float(np.linalg.norm(start))
        self.t0 = size / speed if speed > 0 and size > 0 else 1.0
        self.unit = min(end, self.t0) or 1.0  # an end of zero: nothing moves, in any unit
        self.end = end
        self.last = float(np.log1p(end / self.unit))

    def tau(self, times: Array) -> Array:
        return np.minimum(np.log1p(times / self.unit), self.last)

    def time(self, tau: float) -> float:
        return np.inf if tau == np.inf else min(float(self.unit * np.expm1(tau)), self.end)


class _Watch:
    """What is asked of a flow, gathered step by step, everything in tau.

    ``tau``, ``state``: how far the flow has come. ``event_taus``: when each event first happened, infinity before it
    does; ``stopped_by``: the terminal one. ``states``: those at the ``wanted`` taus, of which the first ``filled`` are
    known. ``knots``, ``pieces``: ends and interpolants of all steps, where ``dense_output`` asks for them.
    """

    def __init__(self, start: Array, events: Sequence[Event], wanted: Array, dense_output: bool) -> None:
        self.tau, self.state = 0.0, start
        self.event_taus = {event.name: 0.0 if event.measure(start) >= 0 else np.inf for event in events}
        self.pending = [event for event in events if self.event_taus[event.name] == np.inf]
        terminal = (event.name for event in events if event.terminal and self.event_taus[event.name] == 0)
        self.stopped_by = next(terminal, None)
        self.wanted, self.states, self.filled = wanted, np.empty((len(wanted), *start.shape)), 0
        self.dense_output = dense_output
        self.knots: list[float] = [0.0]
        self.pieces: list[Callable[[float], Array]] = []

    def step(self, solver: DOP853 | BDF) -> None:
        """Take in the step that ``solver`` has just made; an interpolant, which costs velocities, only if needed."""
        self.tau, self.state = float(solver.t), solver.y.reshape(self.state.shape)
        crossed = [event for event in self.pending if event.measure(self.state) >= 0]
        due = self.filled < len(self.wanted) and self.wanted[self.filled] <= self.tau
        if not (self.dense_output or crossed or due):
            return
        piece = solver.dense_output()
        if self.dense_output:
            self.knots.append(self.tau)
            self.pieces.append(piece)
        if crossed:
            self._cross(crossed, piece, float(solver.t_old))
        self._fill(piece)

    def hold(self, until: float) -> None:
        """Leave the state as it is, at rest, up to the tau ``until``."""
        piece = _Constant(self.state.ravel())
        if self.dense_output and self.knots[-1] < until:
            self.knots.append(until)
            self.pieces.append(piece)
        self.tau = until
        self._fill(piece)

    def _cross(self, crossed: list[Event], piece: Callable[[float], Array], low: float) -> None:
        """Date the events ``crossed`` in the step from ``low`` that ``piece`` interpolates; step back to the first that
        is terminal, before the others that come after it."""
        shape = self.state.shape
        for event in crossed:
            self.event_taus[event.name] = _crossing(event, piece, low, self.tau, shape)
        self.pending = [event for event in self.pending if event not in crossed]
        final = min((e for e in crossed if e.terminal), key=lambda e: self.event_taus[e.name], default=None)
        if final is None:
            return
        self.stopped_by, self.tau = final.name, self.event_taus[final.name]
        self.state = piece(self.tau).reshape(shape)
        for event in crossed:
            if self.event_taus[event.name] > self.tau:
                self.event_taus[event.name] = np.inf

    def _fill(self, piece: Callable[[float], Array]) -> None:
        while self.filled < len(self.wanted) and self.wanted[self.filled] <= self.tau:
            self.states[self.filled] = piece(self.wanted[self.filled]).reshape(self.state.shape)
            self.filled += 1


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


def _start(velocity: Callable[[Array], Array], start: ArrayLike) -> tuple[Array, Array]:
    """``start`` and the velocity there, two arrays of one shape."""
    check_callable(velocity, "velocity")
    start = check_array(start, "start")
    if start.size == 0:
        raise ValueError(f"start must hold at least one number; got shape {start.shape}")
    velocity0 = check_array(velocity(start), "velocity(start)")
    if velocity0.shape != start.shape:
        raise ValueError(f"velocity(start) must have the shape of start, {start.shape}; got {velocity0.shape}")
    return start, velocity0


class _Constant:
    """The interpolant of a state at rest: (size,) at a time, (size, k) at k times."""

    def __init__(self, state: Array) -> None:
        self.state = state.copy()

    def __call__(self, tau: float | Array) -> Array:
        return self.state if np.ndim(tau) == 0 else np.repeat(self.state[:, None], np.size(tau), axis=1)


def _crossing(event: Event, piece: Callable[[float], Array], low: float, high: float, shape: tuple[int, ...]) -> float:
    """The tau in [low, high] at which ``event`` happens in the step that ``piece`` interpolates."""

    def value(tau: float) -> float:
        return event.measure(piece(tau).reshape(shape))

    if value(low) >= 0:  # the polynomial meets the states up to rounding
        return low
    return high if value(high) < 0 else float(brentq(value, low, high, xtol=ROOT_TOLERANCE))
