"""The KKT certificate of the optimum, computed again from the stored Gram matrix K and the graph's target alone.

    S = sym(diag(w) (T - P)),  P = row-softmax(K + 1 a'):   S K = l K   and   S <= l I.

In a common eigenbasis each direction has a Gram eigenvalue (of K) or a dual slack (of l I - S), never both:
complementary slackness. a is the free column bias of l = 0; it is not stored, and found here by Newton's method on the
convex loss. At l = 0 everything is on the complement of the constant vectors of the components, and logits between
components are -infinity. float64; shares no code with ``theory.certificate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, null_space
from scipy.special import log_softmax, softmax

from ..compare.comparison import Comparison
from ..compare.folder import COMPARISON, read_comparison
from ..compare.model_comparison import ModelComparison
from ..draw.sources import Unsuitable
from .drawn import Drawn, letter_panels, only_one
from .style import Column, look

Floats = NDArray[np.float64]

RANGE = 1e-8  # of the largest eigenvalue: above it a direction is in the range of K, whose zeros are rounding
ZERO = 1e-17  # exact zeros are drawn here
NEWTON_STEPS, NEWTON_TOLERANCE = 100, 1e-13
HALVINGS = 40


@dataclass(frozen=True, eq=False)
class DualCertificate:
    """By direction, those of the range of K first, (k,) each: ``gram`` v'Kv and ``slack``, ||(l I - S) v|| in the range
    of K and the eigenvalue of l I - S outside. ``spectrum`` (k,): eigenvalues of S, descending. ``violation``: the
    largest of max(0, eig(S) - l), ||(S - l I) V|| / max(1, ||V||) and, at l = 0, the error of the column sums."""

    gram: Floats
    slack: Floats
    spectrum: Floats
    rank: int
    violation: float


def column_bias(gram: Floats, target: Floats, weight: Floats) -> Floats:
    """The a (n,), mean zero, that minimises sum_i w_i [lse(K_i + a) - T_i . (K_i + a)]; a is determined up to a
    constant."""

    def loss(a: Floats) -> float:
        return float(-(weight[:, None] * target * log_softmax(gram + a, axis=1)).sum())

    a = np.zeros(len(gram))
    for _ in range(NEWTON_STEPS):
        p = softmax(gram + a, axis=1)
        slope = weight @ (p - target)
        if np.abs(slope).max() <= NEWTON_TOLERANCE:
            break
        bend = np.diag(weight @ p) - p.T @ (weight[:, None] * p)
        step = np.linalg.lstsq(bend, -slope, rcond=None)[0]
        size, now = 1.0, loss(a)
        while loss(a + size * step) > now and size > 0.5**HALVINGS:
            size /= 2
        a = a + size * step
    return np.asarray(a - a.mean())


def dual_certificate(
    gram: Floats, target: Floats, weight: Floats, decay: float, components: NDArray[np.int64], *, biased: bool = True
) -> DualCertificate:
    """The certificate of ``gram`` (n, n). ``biased``: find the column bias of l = 0; without it the logits are K."""
    n, free = len(gram), decay == 0
    s, columns = np.zeros((n, n)), 0.0
    for label in np.unique(components):
        nodes = np.flatnonzero(components == label)
        part = np.ix_(nodes, nodes)
        bias = column_bias(gram[part], target[part], weight[nodes]) if free and biased else np.zeros(len(nodes))
        rest = weight[nodes, None] * (target[part] - softmax(gram[part] + bias, axis=1))
        s[part] = (rest + rest.T) / 2
        columns = max(columns, float(np.abs(rest.sum(axis=0)).max())) if free else 0.0
    ones = np.stack([components == label for label in np.unique(components)]).astype(np.float64)
    basis = null_space(ones) if free else np.eye(n)
    k, dual = basis.T @ gram @ basis, basis.T @ s @ basis
    values, vectors = eigh((k + k.T) / 2)
    inside = values > RANGE * max(1.0, float(values.max(initial=0.0)))
    range_, rest_ = vectors[:, inside][:, ::-1], vectors[:, ~inside]
    slack_matrix = decay * np.eye(len(dual)) - dual
    outside, turn = eigh(rest_.T @ slack_matrix @ rest_)
    rest_ = rest_ @ turn
    directions = np.hstack([range_, rest_])
    held = np.einsum("ij,ik,kj->j", directions, k, directions)
    slack = np.concatenate([np.linalg.norm(slack_matrix @ range_, axis=0), outside])
    spectrum = np.linalg.eigvalsh(dual)[::-1]
    factor = range_ * np.sqrt(held[: range_.shape[1]])
    miss = np.linalg.norm(slack_matrix @ factor) / max(1.0, float(np.linalg.norm(factor)))
    violation = max(0.0, float(spectrum[0]) - decay, float(miss), columns)
    return DualCertificate(held, slack, np.asarray(spectrum), range_.shape[1], violation)


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Of the optimum of a comparison; beside it the dual matrix of the first Node2Vec run's own embedding. Raises
    Unsuitable for a graph of one mode."""
    comparison, source = read_comparison(only_one(folders, COMPARISON))
    task, optimum = comparison.task, comparison.certified
    weight = np.ones(task.graph.n) if task.row_weight is None else task.row_weight
    decay, labels = optimum.weight_decay, optimum.components
    found = dual_certificate(optimum.gram, task.target, weight, decay, labels)
    if len(found.spectrum) < 2:
        raise Unsuitable(f"{task.title} has too few nodes for a certificate to be drawn")
    trained = _trained(comparison)
    shape = (1, 2) if column.wide else (2, 1)
    figure, (left, right) = plt.subplots(*shape, figsize=(column.width, 2.5 if column.wide else 4.4))
    index = np.arange(1, len(found.gram) + 1)
    for number, (values, label) in enumerate(((found.gram, "Gram eigenvalue"), (found.slack, "dual slack"))):
        style = look(number)
        left.plot(index, np.maximum(np.abs(values), ZERO), ls="none", marker=style.marker, color=style.color,
                  mfc="white" if number else style.color, label=label)  # fmt: skip
    left.axvline(found.rank + 0.5, color="#555555", lw=0.8, ls=":")
    left.set(yscale="log", xlabel="direction", ylabel="absolute value", title="complementary slackness")
    left.legend(loc="center right")
    right.axhline(decay, color="black", lw=0.8)
    right.plot(index, found.spectrum, ls="none", marker=look(0).marker, color=look(0).color, label="optimum")
    if trained is not None:
        v = np.asarray(trained.runs[0].final.embedding, dtype=np.float64)
        own = dual_certificate(v @ v.T, task.target, weight, decay, labels, biased=False)
        label = f"{trained.model.title}, seed {trained.runs[0].seed}"
        right.plot(index, own.spectrum, ls="none", marker=look(1).marker, color=look(1).color, mfc="none", ms=4.5,
                   label=label)  # fmt: skip
    right.set(xlabel="index", ylabel="eigenvalue of $S$", title=f"$S \\leq {decay:g}$" + (" $I$" if decay else ""))
    right.legend(loc="lower left")
    letter_panels((left, right))
    kept = optimum.certificate
    neither = int((found.slack[found.rank :] <= RANGE).sum())
    caption = (
        f"Certificate of the optimum of VV' on {task.title}, weight decay {decay:g}, computed again from the "
        "stored Gram "
        "matrix and the target. (a) In the common eigenbasis of K and S = sym(W(T - P)): every direction has a Gram "
        f"eigenvalue (rank {found.rank}, left of the dotted line) or a slack in S <= l I, never both"
        f"{f' ({neither} have neither)' if neither else ''}; what should be zero is rounding. (b) "
        "Eigenvalues of S of the optimum and of a trained embedding: none above l. Largest violation "
        f"{found.violation:.1e} here, {kept.max_violation:.1e} when it was solved, duality gap {kept.duality_gap:.1e}."
    )
    return Drawn(figure, f"{task.title}: certificate of the optimum", caption, (source,))


def _trained(comparison: Comparison) -> ModelComparison | None:
    """The first model that descends the objective itself, with the optimum's own weight decay."""
    for one in comparison.models:
        clock = one.model.time_per_step(one.settings)
        if one.model.name.startswith("node2vec") and one.model.tied and clock is not None and (
            one.optimum is not None and one.optimum.weight_decay == comparison.certified.weight_decay
        ):  # fmt: skip
            return one
    return None
