"""Between Node2Vec and a Transformer: what norms and units add to a linear net, and how a block leaves the plateau."""

from .escape import escape_time, sign_flip_energy
from .escape_modes import JacobianModes, UnitModes, jacobian_modes, unit_growth
from .normed_flow import PreNormTrajectory, pre_norm_descent, pre_norm_equation, pre_norm_flow
from .normed_gram import normed_gram_equation, normed_gram_flow
from .norms import gain_at_plateau, layer_norm, norm_clock, normed_plateau
from .pre_norm import PreNormNet, Sublayer, pre_norm_features, pre_norm_logits

__all__ = [
    "JacobianModes",
    "PreNormNet",
    "PreNormTrajectory",
    "Sublayer",
    "UnitModes",
    "escape_time",
    "gain_at_plateau",
    "jacobian_modes",
    "layer_norm",
    "norm_clock",
    "normed_gram_equation",
    "normed_gram_flow",
    "normed_plateau",
    "pre_norm_descent",
    "pre_norm_equation",
    "pre_norm_features",
    "pre_norm_flow",
    "pre_norm_logits",
    "sign_flip_energy",
    "unit_growth",
]
