"""Hyper-parameters of the neural models: nets of one layer or more, and causal language models."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..suggest import choose
from .geometry import check_geometry
from .options import check_steps
from .switches import Switches

OPTIMISERS = ("adamw", "sgd")
SCHEDULES = ("constant", "cosine")
COSINE_FLOOR = 0.1  # the cosine schedule ends at this share of the learning rate
LARGEST_COUNT = 10**6


@dataclass(frozen=True)
class NeuralSettings:
    """``arch``: "one-layer", "linear", "mlp", or a word for ``models.architectures.read_config``; ``config``: the JSON
    of a config file, which then replaces the word.

    ``init_std``: of every weight; ``embedding_std``: of the embeddings, 0 for the same. ``position_std``: of learned
    positions, 0 for the same; a net has one vector of it, which is added to what it reads, or none. ``optimiser``:
    "adamw" on the mean loss of a node, or "sgd", plain gradient descent on the sum over nodes, a step of which is
    ``learning_rate`` of gradient-flow time. ``schedule``: "constant", or "cosine" down to a tenth. ``weight_decay``:
    AdamW's, decoupled; for "sgd" the l of L + (l/2) ||weights||^2. ``dropout``: in training only; recorded losses are
    without it.
    ``other_tokens``: entries of the vocabulary beside the nodes ([EDGE] is the first of them), which the softmax runs
    over too. ``edge_token``: False lets a language model read u alone, so that its attention sees one token. ``bias``:
    of the layers of "one-layer" and "mlp"; ``biases``: of a language model. ``activation``: of its perceptrons,
    "" for its own. ``layer_norm``, ``positions``, ``attention``, ``perceptron``, ``residual``, ``biases``, ``tied``,
    ``frozen``: see ``Switches``; nets have only the last two, and "linear" the residuals. ``state_size``,
    ``expand``: of Mamba. ``geometry``, ``geometry_strength``: how tied embeddings are moved toward the predicted ones,
    see ``models.guidance``; "none" for all models that the theory is tested on.
    """

    steps: int = 1000
    learning_rate: float = 0.01
    width: int = 32
    heads: int = 1
    layers: int = 1
    init_std: float = 0.02
    weight_decay: float = 0.0
    dropout: float = 0.0
    embedding_std: float = 0.0
    position_std: float = 0.0
    optimiser: str = "adamw"
    schedule: str = "constant"
    other_tokens: int = 1
    edge_token: bool = True
    bias: bool = False
    biases: bool = True
    layer_norm: bool = True
    positions: bool = True
    attention: bool = True
    perceptron: bool = True
    activation: str = ""
    residual: bool = True
    tied: bool = True
    frozen: bool = False
    state_size: int = 16
    expand: int = 2
    arch: str = "gpt2"
    config: str = ""
    geometry: str = "none"
    geometry_strength: float = 1.0

    def __post_init__(self) -> None:
        if min(self.steps, self.width, self.heads, self.layers) < 1:
            raise ValueError("steps, width, heads and layers must be at least 1")
        check_steps(self.steps)
        if max(self.width, self.heads, self.layers, self.state_size, self.expand, self.other_tokens) > LARGEST_COUNT:
            raise ValueError(f"width, heads, layers, state_size, expand and other_tokens must be <= {LARGEST_COUNT}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        for name in ("learning_rate", "init_std"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number; got {value}")
        for name in ("weight_decay", "embedding_std", "position_std"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be >= 0; got {value}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1); got {self.dropout}")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"unknown optimiser {self.optimiser!r}; {choose(self.optimiser, OPTIMISERS)}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.schedule!r}; {choose(self.schedule, SCHEDULES)}")
        if min(self.state_size, self.expand) < 1:
            raise ValueError("state_size and expand must be at least 1")
        self._check_parts()
        self._check_geometry()

    def _check_parts(self) -> None:
        fewest = 0 if self.is_net or not self.edge_token else 1
        if self.other_tokens < fewest:
            raise ValueError(f"other_tokens must be at least {fewest}; got {self.other_tokens}")
        parts = ("layer_norm", "positions", "attention", "perceptron", "biases", "edge_token")
        missing = [name for name in parts if not getattr(self, name)]
        if not self.residual and self.arch != "linear":
            missing.append("residual")
        if self.is_net and (missing or self.activation):
            raise ValueError(f"the {self.arch} model has no {(missing or ['activation'])[0]} to change; leave it out")
        if self.arch == "one-layer" and self.layers != 1:
            raise ValueError(f"the one-layer model has one layer; use linear or mlp for {self.layers}")
        if self.bias and self.arch not in ("one-layer", "mlp"):
            raise ValueError(f"bias is a setting of the one-layer and mlp models, not of {self.arch}")

    def _check_geometry(self) -> None:
        check_geometry(self.geometry, self.geometry_strength, frozen=self.frozen)
        if self.geometry != "none" and not self.tied:
            raise ValueError(f"geometry={self.geometry} is for tied embeddings; leave tied=false out")

    @property
    def is_net(self) -> bool:
        """Whether it is a net of our own rather than a causal language model."""
        return self.arch in ("one-layer", "linear", "mlp")

    @property
    def switches(self) -> Switches:
        """The parts a causal language model has."""
        names = [part.name for part in fields(Switches)]
        return Switches(**{name: getattr(self, name) for name in names})

    @property
    def first_embedding_std(self) -> float:
        """Standard deviation of the initial embeddings."""
        return self.embedding_std or self.init_std

    @property
    def time_per_step(self) -> float | None:
        """Gradient-flow time of a step; None for AdamW and for a changing learning rate."""
        return self.learning_rate if self.optimiser == "sgd" and self.schedule == "constant" else None

    def rate(self, step: int) -> float:
        """The learning rate of the step after ``step``."""
        if self.schedule == "constant":
            return self.learning_rate
        falling = 0.5 * (1 + np.cos(np.pi * step / self.steps))
        return float(self.learning_rate * (COSINE_FLOOR + (1 - COSINE_FLOOR) * falling))
