"""The peers of bench_any_graph, each as a path of points with the seconds it took to reach them.

All minimise the same objective from the same small random factor with the same number of columns, on one thread, and
none has a certificate: points are kept as it runs, outside its clock, and judged afterwards by ours.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from any_graphs import FOREIGN, Unavailable
from fiedler.theory.optimum.objectives import TiedObjective

KEEP_EVERY = 1.1  # a point is kept when the clock has grown by this factor: what a reported time is rounded up by
FIRST = 0.002  # seconds before the first
TORCH_LIMIT = 3000  # nodes: autograd holds several matrices of logits
CONE_LIMIT = 100
MEMORY = 20


@dataclass(eq=False)
class Trace:
    """Points (F, a) in the order they were reached, and the seconds to each."""

    seconds: list[float] = field(default_factory=list)
    points: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


class Clock:
    """Seconds without those spent on keeping points."""

    def __init__(self, limit: float) -> None:
        self.path, self.limit = Trace(), limit
        self.began, self.next = time.perf_counter(), FIRST

    def keep(self, f: np.ndarray, a: np.ndarray, *, last: bool = False) -> bool:
        """Whether the time is up."""
        now = time.perf_counter()
        seconds = now - self.began
        if last or seconds >= self.next:
            self.path.seconds.append(seconds)
            self.path.points.append((f.copy(), a.copy()))
            self.next = max(FIRST, seconds) * KEEP_EVERY
            self.began += time.perf_counter() - now
        return seconds > self.limit


def start(n: int, rank: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, rank)) / np.sqrt(rank)


def scipy_lbfgs(objective: TiedObjective, rank: int, limit: float) -> Trace:
    """SciPy's L-BFGS-B over (V, a), each value and gradient by the same pass over blocks of rows as ours."""
    n = objective.n

    def unpack(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x[: n * rank].reshape(n, rank), x[n * rank :]

    def flat(x: np.ndarray) -> tuple[float, np.ndarray]:
        f, a = unpack(x)
        if not objective.masses:
            value, df, _ = objective.evaluate(f, a[:0])
            return value, df.ravel()
        value, df, da = objective.evaluate(f, a + (f * f).sum(axis=1) / 2)
        return value, np.concatenate([(df + da[:, None] * f).ravel(), da])

    def keep(x: np.ndarray) -> None:
        if clock.keep(*unpack(x)):
            raise StopIteration

    options = {"maxiter": 10**7, "maxfun": 10**7, "ftol": 0.0, "gtol": 1e-11 * n, "maxcor": MEMORY}
    x = np.concatenate([start(n, rank).ravel(), np.zeros(n if objective.masses else 0)])
    clock, last = Clock(limit), np.inf
    while True:  # where its line search fails a fresh memory helps
        found = minimize(flat, x, jac=True, method="L-BFGS-B", callback=keep, options=options)
        x, up = found.x, clock.keep(*unpack(found.x), last=True)
        if up or not found.fun < last:
            return clock.path
        last = found.fun


def torch_lbfgs(objective: TiedObjective, rank: int, limit: float) -> Trace:
    """torch.optim.LBFGS with its strong Wolfe line search, in float64, by autograd through the dense logits."""
    n, decay = objective.n, objective.decay
    if n > TORCH_LIMIT:
        raise Unavailable(f"dense logits with autograd, left out above {TORCH_LIMIT} nodes")
    target, w = torch.from_numpy(objective.target.dense()), torch.from_numpy(objective.w)
    v = torch.from_numpy(start(n, rank)).requires_grad_()
    a = torch.zeros(n, dtype=torch.float64, requires_grad=objective.masses)
    optimiser = torch.optim.LBFGS(
        [v, a] if objective.masses else [v],
        max_iter=10,
        history_size=MEMORY,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        z = v @ v.T + a
        loss = w @ (torch.logsumexp(z, dim=1) - (target * z).sum(dim=1)) + decay * (v * v).sum()
        loss.backward()
        return loss

    clock, last, same = Clock(limit), np.inf, 0
    while same < 5:
        value = float(optimiser.step(closure).detach())
        same, last = (same + 1, last) if value >= last else (0, value)
        if not np.isfinite(value) or clock.keep(v.detach().numpy(), a.detach().numpy()):
            break
    clock.keep(v.detach().numpy(), a.detach().numpy(), last=True)
    return clock.path


def cone_solver(objective: TiedObjective, limit: float, peer_python: str) -> tuple[str, Trace]:
    """CVXPY's Clarabel, or SCS: the convex problem itself, with n^2 exponential cones. Its name and one point."""
    if objective.n > CONE_LIMIT:
        raise Unavailable(f"n^2 exponential cones, left out above {CONE_LIMIT} nodes")
    with tempfile.TemporaryDirectory() as folder:
        problem, answer = Path(folder) / "problem.npz", Path(folder) / "answer.npz"
        np.savez(problem, target=objective.target.dense(), decay=objective.decay)
        command = [peer_python, str(FOREIGN), "cone", str(problem), str(answer)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"not finished in {limit:g} s") from None
        if done.returncode != 0:
            raise Unavailable((done.stderr.strip().splitlines() or ["no answer"])[-1])
        found = np.load(answer)
        return str(found["solver"]), Trace([float(found["seconds"])], [(found["factor"], found["bias"])])
