"""What a run of the path tasks is: the model, the data and the training, in one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..models.geometry import check_geometry
from ..models.options import MAX_STEPS, Option, check_steps
from ..suggest import choose

RECIPES = ("mixed", "staged", "edges")
OBJECTIVES = ("full", "hardest")
EDGE_DIRECTIONS = ("both", "forward", "backward")
TASKS = ("forward", "reverse")
SPLITS = ("leaf", "first-token")
EDGE_TARGETS = ("sampled", "exact")

# The options of `fiedler paths` that are settings, in the order of its help.
OPTIONS = {
    "arch": Option(
        "gpt2, gpt-neox, llama, mamba, ... or a config file of transformers.",
        choices=("gpt2", "gpt-neox", "llama", "mamba"),
    ),
    "layers": Option("Blocks.", least=1),
    "width": Option("Embedding dimension.", least=1),
    "heads": Option("Attention heads.", least=1),
    "pause": Option("[PAUSE] tokens between the leaf and its path.", least=0),
    "recipe": Option("mixed (edges and paths), staged (edges first) or edges.", choices=RECIPES),
    "objective": Option("full path, or hardest: the first node after the root alone.", choices=OBJECTIVES),
    "edges": Option("both, forward (away from the root) or backward.", choices=EDGE_DIRECTIONS),
    "edge_targets": Option(
        "sampled (one neighbour for each edge drawn) or exact (the node's whole neighbour distribution).",
        choices=EDGE_TARGETS,
    ),
    "task": Option("forward (root to leaf) or reverse.", choices=TASKS),
    "split": Option("Hold out by leaf, or whole arms: first-token (tree-stars).", choices=SPLITS),
    "teacherless": Option("Hide the targets from the model: '$' in their place."),
    "frozen": Option("Keep token embeddings as drawn (associative memory) in every condition."),
    "steps": Option("Training steps.", least=1, most=MAX_STEPS),
    "edge_batch": Option("Edges a step.", least=1),
    "path_batch": Option("Paths a step.", least=1),
    "path_share": Option(
        "Share of the paths among a step's examples, whose number stays: 0.5, as many paths as edges (default: by the "
        "two numbers)."
    ),
    "context_arms": Option("Arms of the graphs in prompts (in-context conditions).", least=2),
    "learning_rate": Option("Peak step size."),
    "weight_decay": Option("Weight decay of AdamW."),
    "init_std": Option("Standard deviation of initial weights."),
    "records": Option("How often a run is measured.", least=1),
}


@dataclass(frozen=True)
class PathSettings:
    """Hyper-parameters of one run, the same on every seed.

    Model: ``arch`` (a word or config file for ``build_causal_lm``), ``layers``, ``width``, ``heads``, ``init_std``;
    ``state_size`` and ``expand`` are Mamba's; ``frozen``: token embeddings stay as drawn (associative memory).
    Data: ``pause`` tokens; ``recipe`` "mixed" (edges and paths in every step), "staged" (edges in the first
    ``edge_share`` of the steps, paths in the rest) or "edges" (no paths); ``objective`` "full" or "hardest" (only the
    first node after the root is a target); ``edges``, ``task``, ``split``, ``teacherless``: see ``paths.examples`` and
    ``paths.star``; ``edge_targets`` "sampled" or "exact": see ``paths.neighbours``. ``in_context``: a fresh path-star
    of ``context_arms`` arms in each prompt in place of edges and paths.
    Training: AdamW, ``steps`` steps of ``edge_batch`` and ``path_batch`` rows drawn with replacement (in context as
    many prompts as hold the same number of tokens); ``path_share``: of a step with both, of as many rows in all, so
    large a part are paths (None: by the two numbers); linear warm-up over ``warmup`` steps, then a cosine to ``floor``
    times the ``learning_rate``; the second stage has ``path_learning_rate`` (None: the same). ``records``: how often
    the run is measured, beside its start. ``geometry``, ``geometry_strength``: how the embeddings of the nodes are
    moved toward the geometry predicted from the edges, see ``models.guidance``.

    Raises ValueError for a value out of range.
    """

    arch: str = "gpt2"
    layers: int = 3
    width: int = 128
    heads: int = 4
    init_std: float = 0.02
    state_size: int = 16
    expand: int = 2
    frozen: bool = False
    pause: int = 4
    recipe: str = "mixed"
    edge_share: float = 0.5
    objective: str = "full"
    edges: str = "both"
    task: str = "forward"
    split: str = "leaf"
    teacherless: bool = False
    in_context: bool = False
    context_arms: int = 10
    steps: int = 800
    edge_batch: int = 256
    path_batch: int = 75
    learning_rate: float = 2e-3
    path_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup: int = 100
    floor: float = 0.1
    records: int = 16
    edge_targets: str = "sampled"
    geometry: str = "none"
    geometry_strength: float = 1.0
    path_share: float | None = None

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "state_size", "expand", "steps", "edge_batch", "path_batch",
                     "records"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        check_steps(self.steps)
        for name in ("pause", "warmup"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0; got {getattr(self, name)}")
        if self.context_arms < 2:
            raise ValueError(f"context_arms must be at least 2; got {self.context_arms}")
        for name in ("learning_rate", "init_std", "path_learning_rate"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number; got {value}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be >= 0; got {self.weight_decay}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must be a share of the learning rate in [0, 1]; got {self.floor}")
        if not 0 < self.edge_share < 1:
            raise ValueError(f"edge_share must be in (0, 1); got {self.edge_share}")
        if self.path_share is not None and not 0 < self.path_share < 1:
            raise ValueError(f"path_share must be a share of a step's examples in (0, 1); got {self.path_share}")
        words = {"recipe": RECIPES, "objective": OBJECTIVES, "edges": EDGE_DIRECTIONS, "task": TASKS, "split": SPLITS,
                 "edge_targets": EDGE_TARGETS}  # fmt: skip
        for name, known in words.items():
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; {choose(getattr(self, name), known)}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        if self.recipe == "staged" and self.edge_steps in (0, self.steps):
            raise ValueError(f"{self.steps} steps leave one of the two stages empty; give more steps")
        if self.in_context and self.frozen:
            raise ValueError("frozen embeddings are the control of in-weights runs; leave frozen or in_context out")

        self._check_geometry()

    def _check_geometry(self) -> None:
        check_geometry(self.geometry, self.geometry_strength, frozen=self.frozen)
        if self.geometry != "none" and (self.in_context or self.edges != "both"):
            raise ValueError(f"geometry={self.geometry} needs edges in the weights, in both directions; leave it out")

    @property
    def edge_steps(self) -> int:
        """The steps on edges alone, before paths come: 0 unless staged, all for recipe "edges"."""
        if self.recipe == "mixed":
            return 0
        return self.steps if self.recipe == "edges" else round(self.edge_share * self.steps)

    @property
    def mixed_rows(self) -> tuple[int, int]:
        """How many edges and how many paths there are in a step that has both, at least one of each."""
        if self.path_share is None:
            return self.edge_batch, self.path_batch
        whole = self.edge_batch + self.path_batch
        paths = min(max(round(self.path_share * whole), 1), whole - 1)
        return whole - paths, paths

    def rate(self, step: int) -> float:
        """The learning rate of step ``step`` (from 0); each stage has its own warm-up and cosine."""
        second = self.recipe == "staged" and step >= self.edge_steps
        peak = self.path_learning_rate or self.learning_rate if second else self.learning_rate
        start = self.edge_steps if second else 0
        end = self.edge_steps if self.recipe == "staged" and not second else self.steps
        done, warmup = step - start, min(self.warmup, end - start)
        if done < warmup:
            return peak * (done + 1) / warmup
        share = (done - warmup) / max(1, end - start - warmup)
        return peak * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share)))
