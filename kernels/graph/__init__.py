"""Cross-entropy of embeddings against sparse soft targets over the nodes of a graph, untied and tied."""

from .cross_entropy import graph_cross_entropy
from .csr import CsrTarget, csr_target
from .tied_cross_entropy import tied_graph_cross_entropy

__all__ = [
    "CsrTarget",
    "csr_target",
    "graph_cross_entropy",
    "tied_graph_cross_entropy",
]
