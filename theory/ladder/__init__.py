"""Between Node2Vec and a Transformer: linear nets of any depth on top of the embeddings, and what they conserve."""

from .balance import LadderBalance, ladder_balance
from .descent import ladder_descent
from .flow import LadderTrajectory, ladder_equation, ladder_flow
from .net import LinearNet, ladder_logits
from .one_layer import OneLayerTrajectory, one_layer_descent, one_layer_equation, one_layer_flow, one_layer_logits

__all__ = [
    "LadderBalance",
    "LadderTrajectory",
    "LinearNet",
    "OneLayerTrajectory",
    "ladder_balance",
    "ladder_descent",
    "ladder_equation",
    "ladder_flow",
    "ladder_logits",
    "one_layer_descent",
    "one_layer_equation",
    "one_layer_flow",
    "one_layer_logits",
]
