"""How to train it fast: softmax cross-entropy over the whole vocabulary, in PyTorch and Triton.

The public map of the package; each operation is defined in the file of its name. Importing it does not import Triton.
"""

# With the source tree on sys.path, transformers finds this folder when it looks for a package of that name, and imports
# it: it is empty then, for the operators would be registered twice.
if __name__ != "kernels":
    from .causal_lm import causal_lm_loss
    from .csr import CsrTarget, csr_target
    from .graph_cross_entropy import graph_cross_entropy
    from .linear_cross_entropy import LinearCrossEntropyOutput, linear_cross_entropy, linear_cross_entropy_plan
    from .modules import LinearCrossEntropy, LinearCrossEntropyLoss
    from .options import Options, Plan
    from .row_terms import check_targets
    from .sharded_graph_cross_entropy import sharded_graph_cross_entropy, tied_sharded_graph_cross_entropy
    from .sharded_target import ShardedTarget, sharded_target
    from .tied_graph_cross_entropy import tied_graph_cross_entropy
    from .vocab_parallel import vocab_parallel_linear_cross_entropy

    __all__ = [
        "CsrTarget",
        "LinearCrossEntropy",
        "LinearCrossEntropyLoss",
        "LinearCrossEntropyOutput",
        "Options",
        "Plan",
        "ShardedTarget",
        "causal_lm_loss",
        "check_targets",
        "csr_target",
        "graph_cross_entropy",
        "linear_cross_entropy",
        "linear_cross_entropy_plan",
        "sharded_graph_cross_entropy",
        "sharded_target",
        "tied_graph_cross_entropy",
        "tied_sharded_graph_cross_entropy",
        "vocab_parallel_linear_cross_entropy",
    ]
