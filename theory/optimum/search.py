"""The search for an optimum as an anytime method: a primal point and a dual bound, whose distance only falls.

The convex problem in the Gram matrix (or the logits) is solved over a factor F (Burer and Monteiro, 2003): a stationary
point without violated directions of the optimality conditions is the global optimum, whatever its rank. Rounds of

- preconditioned L-BFGS (``lbfgs``, ``preconditioner``), the factor turned to its principal columns and dead ones cut,
- a dual bound (``certificate``, ``sparse_dual``), the best of which is kept,
- violated directions opened as new columns (``openings``),
- where the living columns are few numbers, dense Newton steps to rounding (``newton``),

until the relative gap (objective - bound) / objective is small enough, the time is up or the caller asks to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..checks import Array
from .certificate import tied_dual_value, untied_dual_value
from .lbfgs import LBFGS, ROUNDING, SINGLE_ROUNDING
from .newton import GOAL, MOST_UNKNOWNS, STEPS, gradient_norm, newton, newton_work, unknowns
from .objectives import DENSE_SPECTRUM, Objective, TiedObjective, start_rank
from .openings import fading, openings, violated
from .preconditioner import laplacian_inverse, slack_inverse
from .row_pass import Stopped, pass_work
from .sparse_dual import sparse_dual_value, sparse_untied_dual_value
from .threads import one_blas_thread

FIRST_STEPS, LEAST_STEPS, MOST_STEPS = 40, 25, 400  # of L-BFGS in a round
# Counts of operations, in seconds on one core: of a round at least, where that is not more than MOST_STEPS; of a step
# beside its pass; of the eigenvalue problems of a round for a cubed node, or, without them, of a bound in steps.
ROUND_WORK, STEP_WORK, SPECTRUM_WORK, SPARSE_WORK = 0.04, 3e-4, 2e-9, 20
# Gradient of an exact point, relative to the row weights: aimed at, and accepted where rounding allows no better (a
# hundredth of the 1e-7 that certificates promise).
STATIONARY, ACCEPTED = 1e-11, 1e-9
EXACT_GAP = 1e-10  # above, a stationary point is not called exact
# Squared singular values of F below it are cut between rounds, and opened again where that was wrong; a step along a
# new direction is of order one.
DEAD = 1e-5
NOTHING = 1e-8  # a largest square below it is on its way to zero, with all of F
# Before Newton steps, which would chase columns on their way to zero, those that are fading are cut (``openings``).
# Each attempt that cut too much doubts it more: an optimum with tiny eigenvalues is not cut and opened for ever.
DOUBT = 10.0
NO_ENERGY = 1e-12  # of the largest column, or of one: zero to rounding
POLISH_GAP, SMALL = 1e-4, 300  # relative gap below which Newton steps are tried, and unknowns up to which always
OPENINGS_IN_POLISH, NEWTON_BURST = 8, 6  # Newton steps between two looks at which columns live
# Of the gradient: a burst that leaves less converges, and is followed by another; one that leaves more is idle.
SWIFT, IDLE = 1e-3, 0.5
MOST_OPENED = 60  # columns in one round
LOOK = 8  # steps whose gain is compared with the rounding of float32
ENOUGH = 0.5  # a round ends when the gap is expected to be below this part of the tolerance
GAIN = 1e-3  # of what the last round gained: a direction that promises less is left for later
# Nodes from which the logits of passes are float32, until the relative gap is below what that resolves.
SINGLE_FROM, SINGLE_GAP = 300, 1e-4
PATIENCE, LEAST_NEWTON = 2.0, 3  # of the work so far that Newton steps may have taken, and how many at least
REPAIR_EACH = 500
BOUND_TIME = 0.15  # of the time so far that the eigenvalues of one bound may take
TELL_EACH = 0.2  # seconds between two states that the caller is told
STALLS, HOPELESS = 6, 30  # rounds without headway before an exact answer, or any, is given up
HEADWAY = 0.7
EQUAL = 1e-13  # of the objective: rounding
FLAT = 1e-30  # of a gradient: zero
UNSEEN = 1e-24  # of the objective: a step that promises less follows rounding
INVISIBLE = 1e-11  # of the objective: a round that lowers it by less is no headway


@dataclass(frozen=True)
class SolverState:
    """Where a search is: ``seconds`` since it began, the certified ``relative_gap``, the ``rank`` of the factor, the
    ``loss_per_node`` of the point, and the ``remaining`` seconds to the tolerance at the rate of late (infinite where
    the gap does not fall)."""

    seconds: float
    relative_gap: float
    rank: int
    loss_per_node: float
    remaining: float


Watch = Callable[[SolverState], bool | None]


@dataclass(frozen=True, eq=False)
class Solution:
    """``factor`` (rows, r) with orthogonal columns, ``bias`` (n,) (zeros with decay), the objective's ``value`` there,
    a lower ``bound`` on the optimum, ``converged`` to the tolerance, and ``stopped_by``: "tolerance", "rounding" (no
    further headway in float64), "time limit" or "request"."""

    factor: Array
    bias: Array
    value: float
    bound: float
    converged: bool
    stopped_by: str

    @property
    def relative_gap(self) -> float:
        return relative_gap(self.value, self.bound)


def relative_gap(value: float, bound: float) -> float:
    """(value - bound) / value, at least zero; of a loss, which is positive. Infinite while one of them is unknown."""
    if not (np.isfinite(value) and np.isfinite(bound)):
        return np.inf
    return max(0.0, value - bound) / value if value > 0 else 0.0


class Search:
    """One search, from its start to ``run``'s answer."""

    def __init__(
        self, objective: Objective, tolerance: float, deadline: float = np.inf, watch: Watch | None = None
    ) -> None:
        self.objective, self.tolerance, self.deadline, self.watch = objective, tolerance, deadline, watch
        self.began = self.told = perf_counter()
        self.dense = objective.n <= DENSE_SPECTRUM
        self.bound = -np.inf
        self.value, self.point, self.stop = np.inf, (np.zeros((0, 0)), np.zeros(0)), ""
        self.history: list[tuple[float, float]] = []
        self.doubt, self.bounds, self.work, self.polishing = 1.0, 0, 0.0, 0.0
        self.measured = (np.inf, 0.0)  # the last gap, and what a step promised then
        objective.check = self.check

    def run(self) -> Solution:
        with one_blas_thread():
            reason = self._rounds()
        self.objective.check = None
        f, b = self.objective.centred(*self.point)
        f = _principal(f) if self.tolerance == 0 and f.shape[1] else f
        bias = self.objective.column_bias(f, b)
        bias = np.zeros(self.objective.n) if bias is None else bias - bias.mean()
        if reason == "exact" and self.gap > EXACT_GAP:  # a decay so small that the gradient says little
            reason = "rounding"
        converged = reason in ("tolerance", "exact")
        return Solution(f, bias, self.value, self.bound, converged, "tolerance" if converged else reason)

    @property
    def gap(self) -> float:
        return relative_gap(self.value, self.bound)

    def check(self) -> None:
        """Raises Stopped when the time is up or the caller asks; tells the caller how far it is."""
        now = perf_counter()
        if now >= self.deadline:
            self.stop = "time limit"
            raise Stopped
        if self.watch is not None and now - self.told >= TELL_EACH:
            self.told = now
            if self.watch(self.state()):
                self.stop = "request"
                raise Stopped

    def state(self) -> SolverState:
        loss = (self.value - self.objective.penalty(self.point[0])) / self.objective.scale
        return SolverState(
            perf_counter() - self.began, self.gap, self.point[0].shape[1], float(loss), self._remaining()
        )

    def _remaining(self) -> float:
        if self.tolerance <= 0 or len(self.history) < 2:
            return np.inf
        (t0, g0), (t1, g1) = self.history[-min(4, len(self.history))], self.history[-1]
        if not 0 < g1 < g0:
            return np.inf
        return max(0.0, np.log(g1 / self.tolerance) * (t1 - t0) / np.log(g0 / g1))

    def _rounds(self) -> str:
        objective = self.objective
        descent: LBFGS | None = None
        try:
            f, b = objective.start(start_rank(objective.n))
            f = objective.alike(f)
            self._offer(f, b, objective.evaluate(f, b)[0])
            single = objective.n >= SINGLE_FROM
            objective.dtype = np.float32 if single else np.float64
            rounding = SINGLE_ROUNDING if single else ROUNDING
            descent = LBFGS(objective.evaluate, f, b, laplacian_inverse(objective), rounding)
            steps, stalls, last = FIRST_STEPS, 0, np.inf
            while True:
                before = descent.value
                self._descend(descent, steps)
                lowered = before - descent.value
                self._turn(descent)
                self._offer(descent.f, descent.b, descent.value, refined=self.single)
                promise = descent.promise
                self._certify(descent.f, descent.b)
                self.measured = (self.gap, promise)
                if self._reached():
                    return self.stop
                if self.single and (self.gap < SINGLE_GAP or descent.stalled):
                    self._double(descent)
                exact = self._polish(descent)
                if self._reached() or (exact and self.tolerance == 0):
                    return self.stop or "exact"
                self._open(descent, GAIN * lowered)
                if self.dense:
                    descent.replace_preconditioner(slack_inverse(objective, descent.f, descent.b))
                slope = descent.gradient_norm / objective.scale
                headway, fell = min(self.gap, slope), lowered > INVISIBLE * abs(descent.value)
                stalls, last = (0, headway) if headway < HEADWAY * last else (stalls + int(not fell), last)
                ended = self.tolerance == 0 or descent.stalled or slope < STATIONARY or stalls >= HOPELESS
                if stalls >= STALLS and ended:
                    return "exact" if self.tolerance == 0 and self._is_exact(ACCEPTED) else "rounding"
                steps = self._next_round(descent.f.shape[1], steps)
        except Stopped:
            return self._last(descent)

    @property
    def single(self) -> bool:
        return self.objective.dtype == np.float32

    def _descend(self, descent: LBFGS, steps: int) -> None:
        """A round of L-BFGS, in float32 as long as it gains more than is lost to rounding."""
        for k in range(1, steps + 1):
            if descent.gradient_norm <= FLAT * self.objective.scale or descent.stalled:
                return  # further steps would only underflow
            if k % LOOK == 1:
                last = descent.value
            descent.step()
            self.check()
            if descent.promise < UNSEEN * abs(descent.value):
                return
            if k % LOOK == 0:
                if self.single and last - descent.value < descent.rounding * abs(last):
                    self._double(descent)
                if self._expected_gap(descent) < ENOUGH * self.tolerance:
                    return

    def _expected_gap(self, descent: LBFGS) -> float:
        """What a bound would find: the violations of the conditions fall like the root of what a step promises."""
        gap, promise = self.measured
        return gap * float(np.sqrt(descent.promise / promise)) if promise > 0 else np.inf

    def _double(self, descent: LBFGS) -> None:
        """Go on in float64."""
        self.objective.dtype, descent.rounding = np.float64, ROUNDING
        descent.move(descent.f, descent.b)

    def _next_round(self, columns: int, steps: int) -> int:
        """As long for steps as for what stands between them, by the count of operations: not by the clock, so that the
        same problem has the same answer to the last bit."""
        n = self.objective.n
        each = STEP_WORK + pass_work(n, columns)
        between = SPECTRUM_WORK * float(n) ** 3 if self.dense else SPARSE_WORK * each
        self.work += steps * each + between
        return int(np.clip(max(between, ROUND_WORK) / each, LEAST_STEPS, MOST_STEPS))

    def _turn(self, descent: LBFGS) -> None:
        """F with orthogonal columns, dead ones cut."""
        f, _ = self.objective.centred(descent.f, descent.b)
        if f.shape[1] == 0:
            return
        _, values, turn = np.linalg.svd(f, full_matrices=False)
        energy = values**2
        keep = energy > DEAD * np.clip(float(energy[0]), NOTHING, 1.0)
        descent.rotate(turn[keep].T)
        descent.move(*self.objective.centred(descent.f, descent.b))

    def _open(self, descent: LBFGS, least: float) -> None:
        room = min(MOST_OPENED, len(descent.f) - descent.f.shape[1])
        if room <= 0:
            return
        columns = openings(self.objective, descent.f, descent.b, room, least=least, dense=self.dense)
        if columns is not None:
            descent.append(self.objective.alike(columns))

    def _offer(self, f: Array, b: Array, value: float, *, refined: bool = False) -> None:
        """Keep the point if it is the best; ``refined``: its value is found in float64 first."""
        objective = self.objective
        if refined:
            single, objective.dtype = objective.dtype, np.float64
            value = objective.evaluate(f, b)[0]
            objective.dtype = single
        if value < self.value:
            self.value, self.point = value, (f.copy(), b.copy())

    @property
    def repairs(self) -> bool:
        """Whether the next bound is worth another eigenvalue problem: above REPAIR_EACH nodes every third is."""
        return self.objective.n <= REPAIR_EACH or self.bounds % 3 == 0

    def _certify(self, f: Array, b: Array) -> None:
        self.bounds += 1
        self.objective.accuracy = 0.1 * self.tolerance
        self.objective.seconds = BOUND_TIME * (perf_counter() - self.began)
        self.bound = max(self.bound, self._dual_value(f, b))
        self.history.append((perf_counter() - self.began, self.gap))

    def _dual_value(self, f: Array, b: Array) -> float:
        objective = self.objective
        if not self.dense:
            tied = isinstance(objective, TiedObjective)
            return (sparse_dual_value if tied else sparse_untied_dual_value)(objective, f, b)
        p, target = objective.softmax(f, b), objective.target.dense()
        if isinstance(objective, TiedObjective):
            enough = self.value * (1 - self.tolerance) if self.tolerance > 0 else np.inf
            return tied_dual_value(target, objective.w, objective.decay, p, f if self.repairs else None, enough)
        return untied_dual_value(target, objective.w, objective.decay, p)

    def _last(self, descent: LBFGS | None) -> str:
        """After a stop: the last point if it is the best, and a bound if there is none yet, without asking again."""
        objective = self.objective
        objective.check = None
        if descent is not None:
            self._offer(descent.f, descent.b, descent.value, refined=self.single)
        if not np.isfinite(self.value):
            objective.dtype = np.float64
            nothing = np.zeros((objective.rows, 0)), np.zeros(objective.n if objective.masses else 0)
            self._offer(*nothing, objective.evaluate(*nothing)[0])
        if not np.isfinite(self.bound):
            self._certify(*self.point)
        return self.stop

    def _reached(self) -> bool:
        if self.tolerance > 0 and self.gap <= self.tolerance:
            self.stop = "tolerance"
        return bool(self.stop)

    def _polish(self, descent: LBFGS) -> bool:
        """Newton steps where the living columns are few numbers; whether they end at an exact optimum."""
        if not (self.dense and self._newton_room(0)):  # which is the most: fading columns need not be looked for
            return False
        alive = ~fading(self.objective, descent.f, descent.b, self.doubt)
        room = self._newton_room(int(alive.sum()))
        return room > 0 and self._newton_rounds(descent, alive, room)

    def _newton_room(self, columns: int) -> int:
        """How many Newton steps with so many columns the work so far allows; 0 where they are not worth a try."""
        size = unknowns(self.objective, columns)
        room = int((PATIENCE * self.work - self.polishing) / newton_work(self.objective, columns))
        far = self.gap > POLISH_GAP and size > SMALL
        return 0 if far or size > MOST_UNKNOWNS or room < LEAST_NEWTON else min(room, STEPS)

    def _newton_rounds(self, descent: LBFGS, alive: NDArray[np.bool_], room: int) -> bool:
        objective = self.objective
        f, b = objective.centred(descent.f[:, alive], descent.b)
        swift = False
        for _ in range(OPENINGS_IN_POLISH):
            steps = NEWTON_BURST if swift else min(room, NEWTON_BURST)
            self.polishing += steps * newton_work(objective, f.shape[1])
            before = gradient_norm(objective, f, b)
            f, b = newton(objective, f, b, steps)
            after = gradient_norm(objective, f, b)
            swift, room = after <= SWIFT * before, room - steps
            if room <= 0 and not swift:
                break
            f, opened = self._living(_principal(f), b)
            if not opened and (after <= GOAL * objective.scale or after > IDLE * before):
                break
        value = objective.evaluate(f, b)[0]
        if value > self.value + EQUAL * abs(self.value):
            self.doubt *= DOUBT  # a living column was cut
            return False
        self.value, self.point = value, (f, b)  # of two equal values the one with the smaller gradient
        self._certify(f, b)
        descent.move(f, b, keep=False)
        return self._is_exact(STATIONARY)

    def _living(self, f: Array, b: Array) -> tuple[Array, bool]:
        """F without fading columns, with those that are missing; and whether any were."""
        objective = self.objective
        f = f[:, ~fading(objective, f, b, self.doubt)]
        room = min(MOST_OPENED, objective.n - f.shape[1])
        columns = openings(objective, f, b, room, dense=True) if room > 0 else None
        if columns is None or unknowns(objective, f.shape[1] + columns.shape[1]) > MOST_UNKNOWNS:
            return f, False
        return np.concatenate([f, objective.alike(columns)], axis=1), True

    def _is_exact(self, goal: float) -> bool:
        """Whether the best point is stationary to ``goal`` and no direction is violated."""
        objective, point = self.objective, self.point
        if not self.dense:
            return False
        return gradient_norm(objective, *point) <= goal * objective.scale and not violated(objective, *point)


def _principal(f: Array) -> Array:
    """F with orthogonal columns, those that are zero to rounding dropped."""
    left, values, _ = np.linalg.svd(f, full_matrices=False)
    keep = values**2 > NO_ENERGY * max(1.0, float((values**2).max(initial=0.0)))
    return np.asarray(left[:, keep] * values[keep])
