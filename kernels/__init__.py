"""How to train it fast: softmax cross-entropy over the whole vocabulary, in PyTorch.

The public map of the package; each operation is defined in the file of its name.
"""

from .graph_cross_entropy import csr_target, graph_cross_entropy

__all__ = ["csr_target", "graph_cross_entropy"]
