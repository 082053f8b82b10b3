"""What storing a graph costs, counted, and codes that attain it or cost less."""

from __future__ import annotations

import numpy as np

from fiedler.theory import (
    associative_matrix,
    cycle_storage,
    geometric_norm_bound,
    incidence_code,
    parse,
    path_star_code,
    path_star_storage,
    shifted_adjacency_code,
)

from ..cell import At


def norms(at: At, graph: str) -> dict[str, float]:
    """For margin one, both directions stored. ``associative``: the norm of the table in parts of sqrt(2 |E|); ``tied``:
    a lower bound of positions' norm in parts of sqrt(n); ``untied``: the norm of an untied code, the halves of the
    singular vectors of A, whose scores are exactly A, in parts of sqrt(2 n)."""
    chosen = parse(graph)
    table = associative_matrix(chosen)
    nuclear = float(np.linalg.svd(table.toarray(), compute_uv=False).sum())
    return {
        "associative": float(np.linalg.norm(table.toarray()) / np.sqrt(2 * chosen.edge_count)),
        "tied": geometric_norm_bound(chosen) / float(np.sqrt(chosen.n)),
        "untied": float(np.sqrt(2 * nuclear) / np.sqrt(2 * chosen.n)),
    }


def codes(at: At, graph: str) -> dict[str, float]:
    """Positions whose inner products are the table: the largest error off the diagonal of the incidence code and of the
    shifted adjacency code, and the dimension of the second less the number of edges."""
    chosen = parse(graph)
    table = associative_matrix(chosen).toarray()
    incidence, shifted = incidence_code(chosen).toarray(), shifted_adjacency_code(chosen)
    apart = ~np.eye(chosen.n, dtype=np.bool_)
    return {
        "incidence_error": float(np.abs(incidence @ incidence.T - table)[apart].max()),
        "incidence_dimension": float(incidence.shape[1] / chosen.edge_count),
        "shifted_error": float(np.abs(shifted @ shifted.T - table)[apart].max()),
        "saved": float(chosen.edge_count - shifted.shape[1]),
    }


def path_star_bits(at: At, arms: int, length: int) -> dict[str, float]:
    """Associative over geometric bits and norms, one direction and both, of the compressed code."""
    return _ratios(*(path_star_storage(arms, length, compressed=True, both_directions=both) for both in (False, True)))


def path_star_positions(at: At, arms: int, length: int) -> dict[str, float]:
    """The code with one coordinate an arm: pairs of nodes at distance one that are no edge, or the other way round;
    its levels over l; the bits of positions in parts of |V| d log2 l."""
    code, graph = path_star_code(arms, length), parse(f"path-star:{arms}x{length}")
    squares = ((code[:, None] - code[None]) ** 2).sum(axis=-1)
    wrong = (squares == 1) != (graph.adjacency.toarray() > 0)
    counted = path_star_storage(arms, length).geometric_bits
    return {
        "wrong": float(wrong.sum()),
        "levels": float((code.max() + 1) / length),
        "bits": counted / (graph.n * code.shape[1] * float(np.log2(length))),
    }


def cycle_bits(at: At, nodes: int) -> dict[str, float]:
    """The same for a cycle."""
    return _ratios(*(cycle_storage(nodes, both_directions=both) for both in (False, True)))


def _ratios(one_way: object, both: object) -> dict[str, float]:
    return {
        f"{name}_{direction}": float(getattr(cost, f"{name}_ratio"))
        for direction, cost in (("forward", one_way), ("both", both))
        for name in ("bits", "norm")
    }
