"""Which settings each neural model reads: the one table from which words and options that give others are refused.

Measured, not assumed: tests/sims/models/test_settings_read.py trains every model with every setting changed.
"""

from __future__ import annotations

from dataclasses import fields

from .neural_settings import NeuralSettings

CHOSEN = ("arch", "config")  # which model it is
TRAINING = ("steps", "learning_rate", "weight_decay", "optimiser", "schedule", "width", "init_std", "embedding_std",
            "other_tokens", "tied", "frozen", "geometry", "geometry_strength")  # fmt: skip
NET = (*TRAINING, "dropout", "position_std")
MAMBA = (*TRAINING, "layers", "state_size", "edge_token", "biases", "layer_norm", "residual", "activation")
# Of a causal language model: which it reads, only its architecture knows, and refuses itself what it has no part for.
LANGUAGE = (*MAMBA, "heads", "dropout", "position_std", "positions", "attention", "perceptron")
READ = {
    "one-layer": (*NET, "bias"),
    "linear": (*NET, "layers", "residual"),
    "mlp": (*NET, "layers", "bias"),
    "mamba": (*MAMBA, "expand"),
    "mamba2": (*MAMBA, "heads", "expand"),
}
OTHERS = tuple(name for name in LANGUAGE if name != "state_size")
# Settings that are read with another one alone, and the value of it with which they are not.
NEEDED = {"geometry_strength": ("geometry", "none")}


def unread_settings(arch: str) -> tuple[str, ...]:
    """The settings that a model of architecture ``arch`` does not read."""
    read = READ.get(arch, OTHERS)
    return tuple(one.name for one in fields(NeuralSettings) if one.name not in (*read, *CHOSEN))
