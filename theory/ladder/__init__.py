"""Between Node2Vec and a Transformer: linear nets of any depth on top of the embeddings, their flows, closed forms and
limits, what they conserve, and what norms and units add."""

from .balance import LadderBalance, ladder_balance
from .descent import ladder_descent
from .end_to_end import EndToEndTrajectory, end_to_end_equation, end_to_end_flow
from .escape import escape_time, sign_flip_energy
from .escape_modes import JacobianModes, UnitModes, jacobian_modes, unit_growth
from .flow import LadderTrajectory, ladder_equation, ladder_flow
from .fourier import LadderModesTrajectory, cayley_ladder_flow
from .gram_flow import LadderGramTrajectory, ladder_gram_equation, ladder_gram_flow
from .limit import LadderLimit, ladder_limit
from .mode_costs import cheapest_net, mode_cost, representation_cost
from .net import LinearNet, ladder_logits
from .normed_flow import (
    PreNormTrajectory,
    pre_norm_descent,
    pre_norm_descents,
    pre_norm_equation,
    pre_norm_flow,
)
from .normed_gram import normed_gram_equation, normed_gram_flow
from .norms import gain_at_plateau, layer_norm, norm_clock, normed_plateau
from .one_layer import OneLayerTrajectory, one_layer_descent, one_layer_equation, one_layer_flow, one_layer_logits
from .pre_norm import PreNormNet, Sublayer, pre_norm_features, pre_norm_logits
from .reduced import ReducedLadderTrajectory, reduced_ladder_flow
from .saddle_escape import saddle_escape_time
from .sharpness import ladder_sharpness
from .spectral import SpectralMap, spectral_map

__all__ = [
    "EndToEndTrajectory",
    "JacobianModes",
    "LadderBalance",
    "LadderGramTrajectory",
    "LadderLimit",
    "LadderModesTrajectory",
    "LadderTrajectory",
    "LinearNet",
    "OneLayerTrajectory",
    "PreNormNet",
    "PreNormTrajectory",
    "ReducedLadderTrajectory",
    "SpectralMap",
    "Sublayer",
    "UnitModes",
    "cayley_ladder_flow",
    "cheapest_net",
    "end_to_end_equation",
    "end_to_end_flow",
    "escape_time",
    "gain_at_plateau",
    "jacobian_modes",
    "ladder_balance",
    "ladder_descent",
    "ladder_equation",
    "ladder_flow",
    "ladder_gram_equation",
    "ladder_gram_flow",
    "ladder_limit",
    "ladder_logits",
    "ladder_sharpness",
    "layer_norm",
    "mode_cost",
    "norm_clock",
    "normed_gram_equation",
    "normed_gram_flow",
    "normed_plateau",
    "one_layer_descent",
    "one_layer_equation",
    "one_layer_flow",
    "one_layer_logits",
    "pre_norm_descent",
    "pre_norm_descents",
    "pre_norm_equation",
    "pre_norm_features",
    "pre_norm_flow",
    "pre_norm_logits",
    "reduced_ladder_flow",
    "representation_cost",
    "saddle_escape_time",
    "sign_flip_energy",
    "spectral_map",
    "unit_growth",
]
