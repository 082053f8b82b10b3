"""Training Node2Vec by full-batch gradient descent on the full softmax, tied (VV') or untied (VU').

The run of arXiv 2510.26745: V entries N(0, init_std^2), width m, plain gradient descent on the loss summed over nodes,
no negative sampling. Two exact rewritings make the loop cheap and change no result beyond rounding:
- the gradient is (R + R') V, so V(t) keeps the row space of V(0): one QR of V(0) replaces m columns by min(n, m);
- the tied logits are symmetric, so exp(K) is too and P + P' = exp(K)_ij (1/s_i + 1/s_j) for the row sums s; with row
  weights W P + P' W = exp(K)_ij (w_i/s_i + w_j/s_j).
Seeds are trained together as one batch of matrices. float64 throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..scores.line_scores import MOST_NODES
from ..suggest import choose
from .options import check_steps
from .protocol import Diverged, Final, Snapshot

Floats = NDArray[np.float64]

# exp of anything up to here is finite with room for row sums; larger logits take the shifted softmax.
PLAIN_EXP_LIMIT = 600.0
CHUNK = 64  # most steps between two checks of that limit and of finiteness
CHUNK_ENTRIES = 1 << 24  # entries of logits in a chunk of steps: a fraction of a second, in which nothing can interrupt
ONE_THREAD_BELOW = 256  # nodes: a second BLAS thread costs more than it saves on smaller matrices

INITS = ("gaussian", "orthogonal")


@dataclass(frozen=True)
class Node2VecSettings:
    """Hyper-parameters; the defaults are the paper's. ``init``: "gaussian" entries, or "orthogonal" rows of the same
    norm init_std * sqrt(width), which needs width >= n (tied) or 2 n (untied). ``weight_decay``: l of the objective
    L + l ||V||^2 (tied) or L + l/2 (||V||^2 + ||U||^2) (untied)."""

    steps: int = 10_000
    learning_rate: float = 0.01
    width: int = 100
    init_std: float = 1.0
    init: str = "gaussian"
    weight_decay: float = 0.0
    tied: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.width < 1:
            raise ValueError(f"steps and width must be at least 1; got {self.steps} and {self.width}")
        check_steps(self.steps)
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a positive number; got {self.learning_rate}")
        if not (np.isfinite(self.init_std) and self.init_std > 0):
            raise ValueError(f"init_std must be a positive number; got {self.init_std}")
        if not (np.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be >= 0; got {self.weight_decay}")
        if self.init not in INITS:
            raise ValueError(f"unknown init {self.init!r}; {choose(self.init, INITS)}")


@dataclass(frozen=True, eq=False)
class Node2VecState:
    """Every seed's embedding at one step: ``embedding`` and ``context`` (seeds, n, r), up to one rotation per seed
    (``rotation`` (seeds, m, r) or None undoes it); ``loss`` (seeds,), mean cross-entropy per node, with row weights
    sum_i w_i loss_i / sum_i w_i."""

    step: int
    embedding: Floats
    context: Floats
    loss: Floats
    rotation: Floats | None

    def full_embedding(self) -> Floats:
        """V in its own coordinates, (seeds, n, m)."""
        return self._full(self.embedding)

    def full_context(self) -> Floats:
        """U in its own coordinates, (seeds, n, m); equal to V when tied."""
        return self._full(self.context)

    def _full(self, factor: Floats) -> Floats:
        return factor if self.rotation is None else factor @ self.rotation.transpose(0, 2, 1)


def initial_embedding(n: int, settings: Node2VecSettings, seed: int) -> Floats:
    """V(0) (n, m), or V(0) over U(0) (2n, m) when untied, from ``numpy.random.default_rng(seed)``."""
    rows = n if settings.tied else 2 * n
    rng = np.random.default_rng(seed)
    if settings.init == "gaussian":
        return settings.init_std * rng.standard_normal((rows, settings.width))
    if settings.width < rows:
        raise ValueError(f"orthogonal init needs width >= {rows} for {n} nodes; got {settings.width}")
    q, r = np.linalg.qr(rng.standard_normal((settings.width, rows)))
    # The signs make Q uniform over orthogonal frames (QR alone fixes the sign of R's diagonal).
    return settings.init_std * np.sqrt(settings.width) * (q * np.sign(np.diag(r))).T


class Node2VecTraining:
    """All ``seeds`` in training at one ``step``, on the dense row-stochastic ``target`` (n, n).

    ``row_weight`` (n,): w >= 0 of the loss sum_i w_i loss_i that is descended, R = diag(w) (T - P); None for ones.
    ``chunk``: the most steps ``advance`` takes at once; where a run is cut between chunks changes no bit of it.
    """

    def __init__(
        self,
        target: Floats,
        settings: Node2VecSettings,
        seeds: Sequence[int],
        row_weight: Floats | None = None,
    ) -> None:
        n = len(target)
        self.target, self.settings, self.seeds, self.row_weight = target, settings, tuple(seeds), row_weight
        self.step = 0
        self.chunk = max(1, min(CHUNK, CHUNK_ENTRIES // n**2))
        start = np.stack([initial_embedding(n, settings, seed) for seed in seeds])
        self._state, self._rotation = _compress(start)
        eta, decay = settings.learning_rate, settings.weight_decay
        self._descend: _TiedDescent | _UntiedDescent
        if settings.tied:
            self._descend = _TiedDescent(target, eta, decay, self._state.shape, row_weight)
        else:
            self._descend = _UntiedDescent(target, eta, decay, row_weight)

    def threads(self) -> AbstractContextManager[object]:
        """The BLAS threads that suit the size, for the time of the context."""
        limits: AbstractContextManager[object] = threadpool_limits(1 if len(self.target) < ONE_THREAD_BELOW else None)
        return limits

    def advance(self, count: int) -> None:
        """Take ``count`` steps, at most ``chunk``. Raises Diverged, with the state as it was."""
        self._state = _advance(self._descend, self._state, count, self.step)
        self.step += count

    def current(self) -> Node2VecState:
        """The state now. Raises Diverged where the loss of a seed is not finite."""
        n = len(self.target)
        state = self._state
        v, u = (state, state) if self.settings.tied else (state[:, :n], state[:, n:])
        loss = _mean_loss(v, u, self.target, self.row_weight)
        if not np.isfinite(loss).all():
            raise Diverged(f"training diverged before step {self.step}", "lower the learning rate", self.step)
        return Node2VecState(self.step, v.copy(), u.copy(), loss, self._rotation)

    def snapshots(self) -> list[Snapshot]:
        """Every seed now, its embedding up to a rotation. Raises Diverged."""
        now = self.current()
        small = len(self.target) <= MOST_NODES
        return [
            Snapshot(seed, self.step, v, float(loss), v @ u.T if small else None)
            for seed, v, u, loss in zip(self.seeds, now.embedding, now.context, now.loss, strict=True)
        ]

    def finals(self) -> list[Final]:
        """Every seed's embedding, its context when untied, and logits."""
        now = self.current()
        v, u, tied = now.full_embedding(), now.full_context(), self.settings.tied
        return [Final(v[i], None if tied else u[i], v[i] @ u[i].T) for i in range(len(self.seeds))]

    def state(self) -> list[dict[str, NDArray[Any]]]:
        """For each seed, what ``restore`` needs: the embedding (over the context when untied) and its rotation."""
        kept: list[dict[str, NDArray[Any]]] = []
        for i in range(len(self.seeds)):
            rotation = {} if self._rotation is None else {"rotation": self._rotation[i]}
            kept.append({"embedding": self._state[i], **rotation})
        return kept

    def restore(self, step: int, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go on from ``state()`` of ``step``."""
        self._state = np.stack([state["embedding"] for state in states])
        if self._rotation is not None:
            self._rotation = np.stack([state["rotation"] for state in states])
        self.step = step


def train_node2vec(
    target: Floats,
    settings: Node2VecSettings,
    seeds: Sequence[int],
    record_steps: Sequence[int] | NDArray[np.int64],
    row_weight: Floats | None = None,
) -> Iterator[Node2VecState]:
    """Yield the state of all seeds at each of the ascending ``record_steps`` (<= settings.steps).

    ``target``: dense row-stochastic (n, n); ``row_weight`` (n,) or None for ones. Raises FloatingPointError when a seed
    diverges, naming the step.
    """
    training = Node2VecTraining(target, settings, seeds, row_weight)
    with training.threads():
        for step in record_steps:
            while training.step < step:
                training.advance(min(training.chunk, int(step) - training.step))
            yield training.current()


def _compress(start: Floats) -> tuple[Floats, Floats | None]:
    if start.shape[2] <= start.shape[1]:
        return start, None
    q, r = np.linalg.qr(start.transpose(0, 2, 1))
    return np.ascontiguousarray(r.transpose(0, 2, 1)), q


def _advance(descend: _TiedDescent | _UntiedDescent, state: Floats, count: int, done: int) -> Floats:
    """``count`` steps: with the plain exponential where it cannot overflow, else again with the shifted softmax. Which
    of the two is chosen for each seed by itself, so that a seed's numbers do not depend on the others."""
    after = np.empty_like(state)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        plain = descend.largest_logit(state) < PLAIN_EXP_LIMIT
        if plain.all():
            after = descend.plain_steps(state.copy(), count)
        elif plain.any():
            after[plain] = descend.plain_steps(state[plain], count)
        again = ~(plain & np.isfinite(after).all(axis=(1, 2)))
        if again.any():
            after[again] = descend.safe_steps(state[again], count)
    if not np.isfinite(after).all():
        message = f"training diverged between steps {done} and {done + count}"
        raise Diverged(message, "lower the learning rate", done)
    return after


class _TiedDescent:
    """V <- (I + eta (R + R') - 2 eta l I) V, with preallocated buffers: at n = 15 a step is a dozen NumPy calls."""

    def __init__(
        self, target: Floats, eta: float, decay: float, shape: tuple[int, ...], row_weight: Floats | None
    ) -> None:
        n = len(target)
        self.target, self.eta, self.decay, self.rate = target, eta, decay, _rate(eta, row_weight)
        self.weight = None if row_weight is None else row_weight[:, None]
        wanted = target if self.weight is None else self.weight * target
        self.fixed = (1 - 2 * eta * decay) * np.eye(n) + eta * (wanted + wanted.T)
        self.ones = np.ones((n, 1))
        self.kernel, self.mixer = np.empty((shape[0], n, n)), np.empty((shape[0], n, n))
        self.sums, self.other = np.empty((shape[0], n, 1)), np.empty(shape)

    def largest_logit(self, v: Floats) -> Floats:
        return np.asarray((v * v).sum(axis=2).max(axis=1))

    def plain_steps(self, v: Floats, count: int) -> Floats:
        if len(v) == 1:  # two-dimensional calls go straight to BLAS
            return self._plain(v[0], self.other[0], self.kernel[0], self.mixer[0], self.sums[0], count)[None]
        k = len(v)
        return self._plain(v, self.other[:k], self.kernel[:k], self.mixer[:k], self.sums[:k], count)

    def _plain(self, v: Floats, other: Floats, kernel: Floats, mixer: Floats, sums: Floats, count: int) -> Floats:
        product: Callable[..., Floats] = np.dot if v.ndim == 2 else np.matmul
        fixed, ones, rate = self.fixed, self.ones, self.rate
        exp, divide, add, multiply, subtract = np.exp, np.divide, np.add, np.multiply, np.subtract
        sums_row = sums.swapaxes(-1, -2)
        for _ in range(count):
            product(v, v.swapaxes(-1, -2), out=kernel)
            exp(kernel, out=kernel)
            product(kernel, ones, out=sums)
            divide(rate, sums, out=sums)
            add(sums, sums_row, out=mixer)
            multiply(mixer, kernel, out=mixer)
            subtract(fixed, mixer, out=mixer)
            product(mixer, v, out=other)
            v, other = other, v
        return v.copy()

    def safe_steps(self, v: Floats, count: int) -> Floats:
        for _ in range(count):
            r = self.target - _softmax(v @ v.transpose(0, 2, 1))
            if self.weight is not None:
                r *= self.weight
            v = v + self.eta * ((r + r.transpose(0, 2, 1)) @ v - 2 * self.decay * v)
        return v


class _UntiedDescent:
    """V <- V + eta (R U - l V), U <- U + eta (R' V - l U), V stacked over U."""

    def __init__(self, target: Floats, eta: float, decay: float, row_weight: Floats | None) -> None:
        self.target, self.eta, self.decay, self.n = target, eta, decay, len(target)
        self.rate = _rate(eta, row_weight)

    def largest_logit(self, state: Floats) -> Floats:
        norms = np.sqrt((state * state).sum(axis=2))
        return np.asarray(norms[:, : self.n].max(axis=1) * norms[:, self.n :].max(axis=1))

    def plain_steps(self, state: Floats, count: int) -> Floats:
        return self._steps(state, count, np.exp)

    def safe_steps(self, state: Floats, count: int) -> Floats:
        return self._steps(state, count, lambda z: np.exp(z - z.max(axis=2, keepdims=True)))

    def _steps(self, state: Floats, count: int, exponential: Callable[[Floats], Floats]) -> Floats:
        n, rate, keep = self.n, self.rate, 1 - self.eta * self.decay
        for _ in range(count):
            v, u = state[:, :n], state[:, n:]
            e = exponential(v @ u.transpose(0, 2, 1))
            e /= e.sum(axis=2, keepdims=True)
            r = rate * (self.target - e)
            after = keep * state
            after[:, :n] += r @ u
            after[:, n:] += r.transpose(0, 2, 1) @ v
            state = after
        return state


def _rate(eta: float, row_weight: Floats | None) -> float | Floats:
    """eta w as a column, or the number eta where all weights are one: the same bits as without any."""
    return eta if row_weight is None else eta * row_weight[:, None]


def _softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


@np.errstate(over="ignore", invalid="ignore")  # the caller reports an overflow
def _mean_loss(v: Floats, u: Floats, target: Floats, row_weight: Floats | None) -> Floats:
    z = v @ u.transpose(0, 2, 1)
    top = z.max(axis=2, keepdims=True)
    lse = np.log(np.exp(z - top).sum(axis=2)) + top[..., 0]
    rows = lse - (target * z).sum(axis=2)
    return np.asarray(rows.mean(axis=1) if row_weight is None else rows @ row_weight / row_weight.sum())
