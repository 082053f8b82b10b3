"""What a run of factual recall is: the facts, the model and the training, in one frozen value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..models.options import MAX_STEPS, Option, check_steps

ZERO_HOP = ("", "identity", "permuted")
CODE_SCALE = 6.0  # of frozen codes: short ones cannot grow, and all the training goes into the norm before them
MOST_QUESTIONS = 5_000_000  # rows of token ids; a whole vocabulary and relations^hops multiply fast
NEWEST_SCORE = "intervention_correction"  # of the analysis of one hop, which that of earlier versions did not have

# The options of `fiedler recall` that are settings, in the order of its help; two are the construction's alone.
OPTIONS = {
    "subjects": Option("Number N of subjects.", short="-n", least=2),
    "relations": Option("Number R of relations.", short="-r", least=1),
    "attributes": Option("Attributes of a relation (default: as many as subjects).", least=2),
    "shared": Option("Give each relation attributes of its own.", name="disjoint"),
    "hops": Option("Ask questions of up to so many hops.", least=1),
    "chain_of_thought": Option("Write the entities in between before the answer."),
    "held_out": Option("Share of the longest questions that is never shown."),
    "held_out_facts": Option("Share of the facts that no question of two hops or more that is shown goes through."),
    "zero_hop": Option(
        "Ask every entity alone, too: identity (answered by itself), permuted (by another one: the control).",
        choices=("identity", "permuted"),
    ),
    "frozen": Option("Keep subject embeddings as drawn.", name="frozen_subjects"),
    "frozen_codes": Option("Keep output embeddings as drawn."),
    "arch": Option(
        "gpt2, gpt-neox, llama, ... or a config file of transformers.", choices=("gpt2", "gpt-neox", "llama")
    ),
    "layers": Option("Blocks.", least=1),
    "heads": Option("Attention heads.", least=1),
    "width": Option("Embedding dimension (with --construct: of subject vectors).", least=1),
    "neurons": Option("Of each perceptron.", least=1),
    "code_dimension": Option("With --construct: length k of attribute codes.", least=1, kind=int),
    "coherence": Option("With --construct: largest inner product of two codes.", kind=float),
    "steps": Option("Training steps.", least=1, most=MAX_STEPS),
    "batch": Option("Questions a step, 0 for all.", least=0),
    "learning_rate": Option("Peak step size."),
    "weight_decay": Option("Weight decay of AdamW."),
    "init_std": Option("Standard deviation of initial weights."),
    "records": Option("How often a run is measured.", least=1),
}


@dataclass(frozen=True)
class RecallSettings:
    """Hyper-parameters of one run, the same on every seed.

    Facts: R ``relations``, each a random bijection from N ``subjects`` to ``attributes`` (0: as many as subjects;
    fewer: a bijection modulo their number, so that each is used equally often). ``shared``: all relations answer with
    the same attributes; False gives each relation its own. ``hops`` K > 1: entities are subjects and attributes at
    once, and questions s, r_1 ... r_h of every length h <= K are asked for g_{r_h}(... g_{r_1}(s));
    ``chain_of_thought``: the model writes the entities in between before the answer; ``held_out``: share of the K-hop
    questions that are never shown. ``held_out_facts``: share of the facts that are shown alone only: longer questions
    shown go through none of them, and those of K hops that go through nothing else are asked apart (the split of arXiv
    2405.15071). ``zero_hop``: every entity u alone is a question, too, answered by u ("identity", the bridge of arXiv
    2509.24653) or by p(u), p a random permutation ("permuted", its control); "" for none.
    Model: ``arch`` (a word or config file for ``build_causal_lm``) of ``layers`` blocks, ``heads``, embedding dimension
    ``width``, ``neurons`` in each perceptron with ReLU; ``layer_norm``, ``attention``; ``frozen``: subject embeddings
    stay as drawn; ``frozen_codes``: output embeddings too, each number CODE_SCALE times as large. With both, the facts
    are left to the matrices in between: an associative memory.
    Training: AdamW on ``batch`` questions a step (0: all of them), linear warm-up over ``warmup`` steps, then a cosine
    to ``floor`` times the ``learning_rate``; decoupled ``weight_decay`` of every weight. ``records``: how often the run
    is measured, beside its start.

    Raises ValueError for a value out of range.
    """

    subjects: int = 200
    relations: int = 4
    attributes: int = 0
    shared: bool = True
    hops: int = 1
    chain_of_thought: bool = False
    held_out: float = 0.0
    held_out_facts: float = 0.0
    zero_hop: str = ""
    arch: str = "gpt2"
    layers: int = 1
    heads: int = 1
    width: int = 128
    neurons: int = 256
    layer_norm: bool = True
    attention: bool = True
    frozen: bool = False
    frozen_codes: bool = False
    init_std: float = 0.05
    steps: int = 2000
    batch: int = 0
    learning_rate: float = 3e-3
    weight_decay: float = 3.0
    warmup: int = 100
    floor: float = 0.05
    records: int = 20

    def __post_init__(self) -> None:
        for name in ("subjects", "relations", "hops", "layers", "heads", "width", "neurons", "steps", "records"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        check_steps(self.steps)
        for name in ("attributes", "batch", "warmup"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0; got {getattr(self, name)}")
        for name in ("learning_rate", "init_std"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number; got {value}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be >= 0; got {self.weight_decay}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must be a share of the learning rate in [0, 1]; got {self.floor}")
        for name in ("held_out", "held_out_facts"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be a share in [0, 1); got {getattr(self, name)}")
        if self.zero_hop not in ZERO_HOP:
            raise ValueError(f"zero_hop must be identity, permuted or empty; got {self.zero_hop!r}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        if not (self.attributes == 0 or 2 <= self.attributes <= self.subjects) or self.subjects < 2:
            raise ValueError(
                f"attributes must be 2 ... {self.subjects} (one for each of at least two subjects), or 0 for as many; "
                f"got {self.attributes} for {self.subjects} subjects"
            )
        self._check_hops()
        if self.questions > MOST_QUESTIONS:
            raise ValueError(f"{self.questions:.1e} questions are above {MOST_QUESTIONS:.0e}: fewer subjects or hops")

    def _check_hops(self) -> None:
        if self.hops == 1:
            for name in ("chain_of_thought", "held_out", "held_out_facts", "zero_hop"):
                if getattr(self, name):
                    raise ValueError(f"{name} is for questions of two hops or more; raise hops")
            return
        if not self.shared or self.attributes not in (0, self.subjects):
            raise ValueError("several hops need one set of entities: leave shared and attributes as they are")
        if self.frozen or self.frozen_codes:
            raise ValueError("frozen embeddings are the control of one hop; leave frozen, frozen_codes or hops out")

    @property
    def attribute_count(self) -> int:
        """A, the attributes of one relation."""
        return self.attributes or self.subjects

    @property
    def questions(self) -> int:
        """All questions of 1 ... K hops, of none too where they are asked."""
        return self.subjects * sum(self.relations**h for h in range(0 if self.zero_hop else 1, self.hops + 1))

    def rate(self, step: int) -> float:
        """The learning rate of step ``step`` (from 0)."""
        warmup = min(self.warmup, self.steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        share = (step - warmup) / max(1, self.steps - warmup)
        return self.learning_rate * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share)))


def outdated(settings: RecallSettings, scores: Mapping[str, Any]) -> bool:
    """Whether the ``scores`` of an analysed run are an earlier version's, without everything that is measured now."""
    return settings.hops == 1 and NEWEST_SCORE not in scores
