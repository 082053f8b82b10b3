"""Between Node2Vec and a Transformer: linear nets of any depth on top of the embeddings, their flows, closed forms and
limits, and what they conserve."""

from .balance import LadderBalance, ladder_balance
from .descent import ladder_descent
from .end_to_end import EndToEndTrajectory, end_to_end_equation, end_to_end_flow
from .flow import LadderTrajectory, ladder_equation, ladder_flow
from .fourier import LadderModesTrajectory, cayley_ladder_flow
from .gram_flow import LadderGramTrajectory, ladder_gram_equation, ladder_gram_flow
from .limit import LadderLimit, ladder_limit
from .net import LinearNet, ladder_logits
from .one_layer import OneLayerTrajectory, one_layer_descent, one_layer_equation, one_layer_flow, one_layer_logits
from .reduced import ReducedLadderTrajectory, reduced_ladder_flow
from .saddle_escape import escape_time
from .spectral import SpectralMap, spectral_map

__all__ = [
    "EndToEndTrajectory",
    "LadderBalance",
    "LadderGramTrajectory",
    "LadderLimit",
    "LadderModesTrajectory",
    "LadderTrajectory",
    "LinearNet",
    "OneLayerTrajectory",
    "ReducedLadderTrajectory",
    "SpectralMap",
    "cayley_ladder_flow",
    "end_to_end_equation",
    "end_to_end_flow",
    "escape_time",
    "ladder_balance",
    "ladder_descent",
    "ladder_equation",
    "ladder_flow",
    "ladder_gram_equation",
    "ladder_gram_flow",
    "ladder_limit",
    "ladder_logits",
    "one_layer_descent",
    "one_layer_equation",
    "one_layer_flow",
    "one_layer_logits",
    "reduced_ladder_flow",
    "spectral_map",
]
