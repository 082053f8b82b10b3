"""The certified optimum of tied Node2Vec on the blocks of a graph's symmetry: its cost does not grow with n.

The objective f(K) = L(K) + l tr K is convex and unchanged by averaging over the coherent algebra, so some optimum lies
in the algebra: K = sum_c x_c A_c with blocks M_b >= 0. Conditions, gauge and bias at l = 0 are those of theory.optimum,
and the certificate is that of theory.certificate with every eigenvalue taken over the blocks.

Without decay an interior-point method solves the convex problem in the blocks; with decay a descent over factors does,
because the mean direction then makes the cone's boundary curved, and the interior point refines it where needed. Newton
steps on the face of the cone that holds the optimum (symmetry.face) then drop eigenvalues that are zero at the optimum,
and prove the rank where float64 resolves the slack.
Limits: row weights may only differ between node types; at l = 0 the graph must be connected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError

from ..checks import Array
from ..optimum.certificate import Certificate
from ..optimum.rank import RankRange
from ..optimum.tied import ATTAINED_TOLERANCE
from ..softmax import check_row_weight, check_weight_decay
from .blocks import BlockAlgebra
from .certificate import connectivity, reduced_certificate
from .face import find_face
from .factor_descent import descend
from .interior_point import minimise_over_blocks
from .problem import ReducedProblem, check_colour_target
from .ranges import block_rank_range

UNKNOWNS_LIMIT = 2500  # numbers in the blocks: a Newton step takes seconds there
GOOD_ENOUGH = 1e-7  # KKT violation above which the other method is tried too
ACCEPTED = 1e-6  # KKT violation above which there is no answer


@dataclass(frozen=True, eq=False)
class ReducedOptimum:
    """The optimum on the blocks. ``gram`` (q,): K on the colours; ``bias`` (r,): the free column bias of each node type
    (zeros with decay). ``eigenvalues`` (descending, blocks apart) and ``multiplicities``: non-zero eigenvalues of the
    centred Gram matrix; ``rank_range``: what is proved of their number. ``loss``: L, without weight decay, summed over
    nodes."""

    gram: Array
    bias: Array
    loss: float
    weight_decay: float
    total_weight: float
    attained: bool
    eigenvalues: Array
    multiplicities: NDArray[np.int64]
    rank_range: RankRange
    certificate: Certificate
    method: str

    @property
    def loss_per_node(self) -> float:
        """L / sum_i w_i."""
        return self.loss / self.total_weight

    @property
    def rank(self) -> int:
        """Rank of the centred Gram matrix."""
        return int(self.multiplicities.sum())


def reduced_tied_optimum(
    algebra: BlockAlgebra, target: ArrayLike, *, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> ReducedOptimum:
    """The certified tied optimum for a target (q,) on the algebra's colours; ``row_weight`` (r,) per node type.

    Raises ValueError for a target whose rows do not sum to one, too many unknowns or, without decay, a disconnected
    graph; RuntimeError when no optimum is found.
    """
    decay, target = check_weight_decay(weight_decay), check_colour_target(algebra, target)
    w = check_row_weight(row_weight, len(algebra.type_sizes))
    unknowns = sum(d * (d + 1) // 2 for d in algebra.dimensions)
    if unknowns > UNKNOWNS_LIMIT:
        raise ValueError(f"the blocks hold {unknowns} numbers, above {UNKNOWNS_LIMIT}: use the general optimum")
    if decay == 0 and connectivity(algebra, target, w) <= 0:
        raise ValueError("without weight decay the reduced optimum needs a connected, undirected graph")
    problem = ReducedProblem(algebra, target, w, decay)
    routes = (_descent, _interior) if decay > 0 else (_interior, _descent)
    best, point, errors = None, None, []
    for route in routes:
        try:
            factors, free, method = route(problem)
        except (RuntimeError, LinAlgError) as error:
            errors.append(str(error))
            continue
        candidate = _describe(problem, factors, free, method)
        if best is None or candidate.certificate.max_violation < best.certificate.max_violation:
            best, point = candidate, (factors, free)
        if best.certificate.max_violation <= GOOD_ENOUGH:
            break
    if best is None or point is None or best.certificate.max_violation > ACCEPTED:
        reached = "" if best is None else f" (KKT violation {best.certificate.max_violation:.1e})"
        raise RuntimeError(f"no certified optimum on the blocks{reached}; add weight decay or label smoothing")
    return _on_its_face(problem, best, *point)


def _interior(problem: ReducedProblem) -> tuple[list[Array], Array, str]:
    blocks, duals, free = minimise_over_blocks(problem)
    factors = [complementary(m, z) for m, z in zip(blocks, duals, strict=True)]
    return factors, free, "interior point on the blocks of the symmetry"


def _descent(problem: ReducedProblem) -> tuple[list[Array], Array, str]:
    factors, free = descend(problem)
    slopes = problem.slopes(problem.gradient(problem.join([f @ f.T for f in factors], free)))
    factors = [complementary(f @ f.T, z) for f, z in zip(factors, slopes, strict=True)]
    return factors, free, "descent over factors of the blocks of the symmetry"


def _on_its_face(problem: ReducedProblem, found: ReducedOptimum, factors: list[Array], free: Array) -> ReducedOptimum:
    """The optimum polished on the smallest face that holds it, with what is proved of its rank."""
    factors, free, proved = find_face(problem, factors, free)
    polished = _describe(problem, factors, free, found.method)
    if polished.certificate.max_violation <= max(found.certificate.max_violation, GOOD_ENOUGH / 100):
        found = polished
    if proved and found is polished:
        return replace(found, rank_range=RankRange(found.rank, found.rank))
    blocks, z = problem.algebra.to_blocks(found.gram), found.gram + found.bias[problem.algebra.column_type]
    return replace(found, rank_range=block_rank_range(problem, blocks, z, found.certificate.duality_gap, found.loss))


def _describe(problem: ReducedProblem, factors: list[Array], free: Array, method: str) -> ReducedOptimum:
    algebra = problem.algebra
    factors = [problem.frame @ factors[0], *factors[1:]]
    blocks = tuple(f @ f.T for f in factors)
    gram, bias = algebra.to_colours(blocks), problem.bias_frame @ free
    z = gram + bias[algebra.column_type]
    loss = problem.loss(z) * problem.total
    values, multiplicities = _centred_spectrum(algebra, blocks)
    return ReducedOptimum(
        gram,
        bias,
        loss,
        problem.decay,
        problem.total,
        problem.decay > 0 or _in_range(factors[0], np.sqrt(algebra.type_sizes) * bias),
        values,
        multiplicities,
        RankRange(0, algebra.n),
        reduced_certificate(problem, factors, problem.masses(z) / algebra.valency, loss),
        method,
    )


def complementary(m: Array, z: Array) -> Array:
    """F with F F' = M without the directions that belong to the dual: those where the eigenvalue of M is below Z's."""
    values, modes = np.linalg.eigh(m)
    keep = values > np.maximum(np.einsum("ij,ik,kj->j", modes, z, modes), 0.0)
    return np.asarray(modes[:, keep] * np.sqrt(values[keep]))


def _centred_spectrum(algebra: BlockAlgebra, blocks: tuple[Array, ...]) -> tuple[Array, NDArray[np.int64]]:
    """Non-zero eigenvalues of the centred element, descending, with multiplicities."""
    off = np.eye(algebra.dimensions[0]) - np.multiply.outer(algebra.constant(), algebra.constant())
    each = [np.linalg.eigvalsh(b) for b in (off @ blocks[0] @ off, *blocks[1:])]
    values = np.concatenate(each)
    counts = np.concatenate([np.full(len(v), m) for v, m in zip(each, algebra.multiplicity, strict=True)])
    # What the eigenvalue solver adds to the exact zeros of the factors is rounding of the largest value.
    keep = values > 1e-10 * max(1.0, float(values.max(initial=0.0)))
    order = np.argsort(-values[keep], kind="stable")
    return values[keep][order], counts[keep][order].astype(np.int64)


def _in_range(factor: Array, bias: Array) -> bool:
    """Whether the bias, which has mean zero over nodes, lies in the column space of the trivial block."""
    outside = bias
    if factor.shape[1]:
        basis, _ = np.linalg.qr(factor)
        outside = bias - basis @ (basis.T @ bias)
    return bool(np.linalg.norm(outside) <= ATTAINED_TOLERANCE * max(1.0, float(np.linalg.norm(bias))))
