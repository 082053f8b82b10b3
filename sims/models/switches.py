"""Which parts a causal language model has: what the ablations of arXiv 2510.26745 switch.

Without torch, for settings are read where no model is; ``ablation`` changes the modules.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Switches:
    """Which parts a model has. ``layer_norm``: False puts the identity for every norm. ``positions``: False leaves no
    trace of where a token stands. ``attention``: False leaves each token alone with itself. ``perceptron``: False lets
    perceptrons add nothing. ``residual``: False passes on a sublayer's output without its input. ``biases``: False
    fixes every bias at zero, of norms too. ``tied``: one matrix embeds and unembeds. ``frozen``: neither is trained,
    which is the associative control."""

    layer_norm: bool = True
    positions: bool = True
    attention: bool = True
    perceptron: bool = True
    residual: bool = True
    biases: bool = True
    tied: bool = True
    frozen: bool = False
