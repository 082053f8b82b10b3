"""Moving a network's token embeddings E toward the predicted geometry: interventions, not tests of the theory.

    init        E(0) = N(0, s^2) + strength s sqrt(m) V* R / rms(V*)
    align       loss + strength q(E),  q(E) = min_c ||c K - K*||^2 / ||K*||^2 = 1 - CKA(E, V*)^2
    node2vec    loss + strength J(E),  J(E) = sum_i w_i [lse_j (e_i . e_j) - T_i . (E e_i)] / sum_i w_i

K and K* are the Gram matrices E E' and V* V'* centred in each component, V* the certified tied optimum (n, r), R a
random rotation into the width m, s the model's own standard deviation, rms the root of the mean squared row norm. With
strength 1, "init" starts with as much energy in the geometry as in the noise. q is ``theory.gram_error`` squared, 0 at
the optimum and blind to scale and rotation; CKA is the linear centred kernel alignment of Kornblith et al. 2019. J is
Node2Vec's own loss on the edges, which knows nothing of the optimum; T, w are the task's target and row weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fiedler.theory import TiedOptimum

from .geometry import PENALTIES

if TYPE_CHECKING:
    from ..tasks.task import Task


@dataclass(frozen=True, eq=False)
class Guidance:
    """One way of guiding n embeddings. ``reference`` (n, r): V*; ``averaging`` (n, c): one column a component, its
    indicator over the root of its size, so that A A' averages; ``target`` (n, n) and ``weights`` (n,), which sum to
    one: of "node2vec" alone, else empty. float32 on one device."""

    geometry: str
    strength: float
    reference: Tensor
    averaging: Tensor
    target: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Guidance:
        """The same on another device."""
        moved = (x.to(device) for x in (self.reference, self.averaging, self.target, self.weights))
        return Guidance(self.geometry, self.strength, *moved)

    def start(self, embedding: Tensor) -> Tensor:
        """The first embeddings (n, m) for those the model drew, ``embedding``; the rotation comes from torch's current
        random state. Unchanged but for "init"."""
        if self.geometry != "init":
            return embedding
        rows = rotate(self.reference, embedding.shape[1])
        return embedding + self.strength * _rms(embedding) / _rms(rows) * rows

    @property
    def adds_loss(self) -> bool:
        """Whether ``penalty`` is anything but zero."""
        return self.geometry in PENALTIES and self.strength > 0

    def penalty(self, embedding: Tensor) -> Tensor:
        """What is added to the loss per node at ``embedding`` (n, m), a scalar."""
        if self.geometry == "align":
            return self.strength * squared_gram_error(embedding, self.reference, self.averaging)
        if self.geometry == "node2vec":
            return self.strength * node2vec_loss(embedding, self.target, self.weights)
        return embedding.new_zeros(())


def make_guidance(geometry: str, strength: float, task: Task) -> Guidance | None:
    """The guidance of ``task``; None for "none". Raises ValueError for a task whose predicted geometry is zero (a
    complete graph)."""
    if geometry == "none":
        return None
    from ..tasks.optimum import task_optimum

    optimum = task_optimum(task)
    if optimum.rank == 0:
        raise ValueError(f"the predicted geometry of {task.graph.name} is zero: leave geometry={geometry} out")
    return guidance_toward(optimum, geometry, strength, task.target, task.row_weight)


def guidance_toward(
    optimum: TiedOptimum,
    geometry: str,
    strength: float,
    target: NDArray[np.float64],
    row_weight: NDArray[np.float64] | None = None,
) -> Guidance:
    """The guidance toward ``optimum``, whose task has the row-stochastic ``target`` (n, n) and ``row_weight`` (n,)."""
    counts = np.bincount(optimum.components)
    averaging = np.eye(len(counts))[optimum.components] / np.sqrt(counts)
    weight = np.ones(len(target)) if row_weight is None else row_weight
    used = geometry == "node2vec"
    return Guidance(
        geometry,
        strength,
        torch.tensor(optimum.embedding(), dtype=torch.float32),
        torch.tensor(averaging, dtype=torch.float32),
        torch.tensor(target if used else np.zeros((0, 0)), dtype=torch.float32),
        torch.tensor(weight / weight.sum() if used else np.zeros(0), dtype=torch.float32),
    )


def rotate(reference: Tensor, width: int) -> Tensor:
    """V* R (n, width) from torch's current random state: R has orthonormal rows, which keeps the Gram matrix, or where
    the rank r exceeds the width orthonormal columns times sqrt(r / width), which keeps it on average."""
    rank = reference.shape[1]
    q, r = torch.linalg.qr(torch.randn(max(rank, width), min(rank, width), dtype=torch.float64))
    q = q * torch.sign(torch.diagonal(r))  # uniform over all such matrices
    rotation = q.T if rank <= width else q * math.sqrt(rank / width)
    return (reference.double() @ rotation).to(reference.dtype)


def squared_gram_error(embedding: Tensor, reference: Tensor, averaging: Tensor) -> Tensor:
    """q(E) of the module, without an (n, n) matrix: <K, K*> = ||V*' E||^2, ||K|| = ||E' E||, E centred."""
    centred = embedding - averaging @ (averaging.T @ embedding)
    shared = (reference.T @ centred).square().sum()
    own, size = (centred.T @ centred).square().sum(), (reference.T @ reference).square().sum()
    return 1 - shared.square() / (own * size)


def node2vec_loss(embedding: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """J(E) of the module, for ``weights`` that sum to one."""
    logits = embedding @ embedding.T
    return (weights * (torch.logsumexp(logits, dim=1) - (target * logits).sum(dim=1))).sum()


def _rms(rows: Tensor) -> Tensor:
    return rows.square().sum(dim=1).mean().sqrt()
