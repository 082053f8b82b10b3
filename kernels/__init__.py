"""How to train it fast: softmax cross-entropy over the whole vocabulary, in PyTorch.

The public map of the package; each operation is defined in the file of its name.
"""

from .csr import CsrTarget, csr_target
from .graph_cross_entropy import graph_cross_entropy

__all__ = ["CsrTarget", "csr_target", "graph_cross_entropy"]
