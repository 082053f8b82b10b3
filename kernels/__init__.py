"""How to train it fast: softmax cross-entropy over the whole vocabulary, in PyTorch and Triton.

The public map of the package; each operation is defined in the room of its concept. Importing it does not import
Triton.
"""

# With the source tree on sys.path, transformers finds this folder when it looks for a package of that name, and imports
# it: it is empty then, for the operators would be registered twice.
if __name__ != "kernels":
    try:
        import torch as _torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = 'fiedler.kernels needs torch, which is not installed: pip install "fiedler[kernels]"'
        raise ImportError(message, name="torch") from None

    from .adoption import patch, unpatch
    from .graph import CsrTarget, csr_target, graph_cross_entropy, tied_graph_cross_entropy
    from .linear import (
        LinearCrossEntropy,
        LinearCrossEntropyLoss,
        LinearCrossEntropyOutput,
        Options,
        Plan,
        causal_lm_loss,
        check_targets,
        linear_cross_entropy,
        linear_cross_entropy_plan,
        vocab_parallel_linear_cross_entropy,
    )
    from .sharded import ShardedTarget, sharded_graph_cross_entropy, sharded_target, tied_sharded_graph_cross_entropy

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
        "patch",
        "sharded_graph_cross_entropy",
        "sharded_target",
        "tied_graph_cross_entropy",
        "tied_sharded_graph_cross_entropy",
        "unpatch",
        "vocab_parallel_linear_cross_entropy",
    ]
