"""Cross-entropy of a linear layer over the whole vocabulary, whose logits are never stored."""

from .causal_lm import causal_lm_loss
from .cross_entropy import LinearCrossEntropyOutput, linear_cross_entropy, linear_cross_entropy_plan
from .modules import LinearCrossEntropy, LinearCrossEntropyLoss
from .options import Options, Plan
from .row_terms import check_targets
from .vocabulary.parallel import vocab_parallel_linear_cross_entropy

__all__ = [
    "LinearCrossEntropy",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOutput",
    "Options",
    "Plan",
    "causal_lm_loss",
    "check_targets",
    "linear_cross_entropy",
    "linear_cross_entropy_plan",
    "vocab_parallel_linear_cross_entropy",
]
