"""Do neurons of the perceptron act as gates that open for some relations only?

In the construction of arXiv 2605.12426 (sec. 4) a neuron is ReLU(+-(P_r^T e_s)_i + B (1[relation = r] - 1)): it is
silent on all questions of other relations. Measured at the last token, on all questions (r, s): how much of a neuron's
activity belongs to one relation, and whether the answers to that relation alone go wrong once its neurons are silenced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..model import RecallModel
from .answers import all_answers, answer_tokens

Floats = NDArray[np.float64]

ONE_RELATION = 0.9  # share of a neuron's energy in one relation from which it counts as a gate of that relation alone
OPEN = 0.5  # share of a relation's questions on which a neuron must be active to count as open for it
SHUFFLE_SEED = 2
CONTROL_SEED = 3


@dataclass(frozen=True, eq=False)
class GateScores:
    """Of neurons that are ever active, whose share among all is ``live``; NaN for those about relations where there is
    only one, and everywhere where no neuron is active.

    ``active``: share of questions on which a neuron is active, mean; ``open_relations``: share of the relations for
    which it is open, mean. With f the largest share of a neuron's energy (sum of squared activity) in one relation:
    ``selectivity`` is the mean of (R f - 1) / (R - 1), 1 for the gates of the construction and 0 for neurons that do
    not tell relations apart, ``majority`` the share of neurons with f > 1/2 and ``one_relation`` that with f >=
    ONE_RELATION. ``variance_explained``: mean share of the variance of a neuron that its relation alone explains.
    """

    live: float
    active: float
    open_relations: float
    selectivity: float
    majority: float
    one_relation: float
    variance_explained: float


@dataclass(frozen=True, eq=False)
class Ablation:
    """Accuracy with the ``neurons`` most selective for a relation silenced, mean over relations: on that relation
    (``own``) and on the others (``others``, NaN for one relation); ``random_own`` and ``random_others``: with as many
    neurons drawn at random."""

    neurons: int
    own: float
    others: float
    random_own: float
    random_others: float


def neuron_activity(model: RecallModel) -> Floats | None:
    """(R, N, H): activity of the H neurons of all layers at the last token of every question; None for an architecture
    that shows none."""
    subjects, found = model.subjects, []
    for relation in range(model.vocabulary.relations):
        asked = torch.full((len(subjects),), relation, device=subjects.device)
        with torch.no_grad(), model.neurons() as seen:
            model.answers(subjects, asked)
        if not seen:
            return None
        found.append(torch.cat(seen, dim=1).cpu().numpy().astype(np.float64))
    return np.stack(found)


def gate_scores(activity: Floats) -> GateScores:
    """How selective the neurons with ``activity`` (R, N, H) are."""
    relations, live = len(activity), (activity != 0).any(axis=(0, 1))
    seen = activity[:, :, live]
    if not live.any():
        return GateScores(0.0, *[float("nan")] * 6)
    on = seen != 0
    largest = relation_energy(seen).max(axis=0)
    selectivity, explained = float("nan"), float("nan")
    if relations > 1:
        selectivity = float((relations * largest - 1).mean() / (relations - 1))
        between, total = seen.mean(axis=1).var(axis=0), seen.var(axis=(0, 1))
        explained = float(np.divide(between, total, out=np.zeros_like(total), where=total > 0).mean())
    return GateScores(
        live=float(live.mean()),
        active=float(on.mean()),
        open_relations=float((on.mean(axis=1) >= OPEN).mean()),
        selectivity=selectivity,
        majority=float((largest > 0.5).mean()) if relations > 1 else float("nan"),
        one_relation=float((largest >= ONE_RELATION).mean()) if relations > 1 else float("nan"),
        variance_explained=explained,
    )


def shuffle_relations(activity: Floats) -> Floats:
    """``activity`` (R, N, H) with the questions in random order, the same for all neurons: the null of selectivity."""
    rows = activity.reshape(-1, activity.shape[2])
    return np.random.default_rng(SHUFFLE_SEED).permutation(rows).reshape(activity.shape)


def relation_energy(activity: Floats) -> Floats:
    """(R, H): the share of each neuron's energy in each relation, 0 for neurons that are never active."""
    energy = (activity**2).sum(axis=1)
    total = energy.sum(axis=0)
    return np.divide(energy, total, out=np.zeros_like(energy), where=total > 0)


def ablate_gates(model: RecallModel, activity: Floats, table: NDArray[np.integer]) -> Ablation:
    """Silence, for one relation after the other, the floor(H / R) neurons (one at least) with the largest share of
    their energy in it; ``table`` (R, N): the facts."""
    share, wanted = relation_energy(activity), answer_tokens(model.vocabulary, table)
    relations, count = len(share), max(1, share.shape[1] // len(share))
    rng = np.random.default_rng(CONTROL_SEED)
    found = np.empty((2, relations, relations))  # chosen or random, silenced relation, asked relation
    for relation in range(relations):
        chosen = np.argsort(-share[relation], kind="stable")[:count]
        for kind, neurons in enumerate((chosen, rng.choice(share.shape[1], count, replace=False))):
            silent = torch.zeros(share.shape[1], dtype=torch.bool)
            silent[neurons] = True
            with model.silenced(silent):
                found[kind, relation] = (all_answers(model, model.subjects) == wanted).mean(axis=1)
    own = found[:, np.eye(relations, dtype=bool)].mean(axis=1)
    others = found[:, ~np.eye(relations, dtype=bool)].mean(axis=1) if relations > 1 else np.full(2, np.nan)
    return Ablation(count, float(own[0]), float(others[0]), float(own[1]), float(others[1]))
