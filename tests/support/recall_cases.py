"""Facts of the analyses of factual recall, and how close their numbers come."""

from __future__ import annotations

from fiedler.theory import random_facts

SUBJECTS, RELATIONS, CODE_WIDTH = 80, 3, 16
ROUNDING = 1e-9  # of float64 solves with condition numbers up to 1e4
FLOAT32 = 1e-5  # of planted embeddings, which the model holds in float32
SMALLEST_RIDGE = 1e-3  # what the penalty 1e-4 shrinks maps by at most: 1e-4 / (smallest / mean eigenvalue ~ 0.1)
# Guessing gives 1/80 a question; 240 of them stay below this but once in 1e4 runs (binomial).
AT_CHANCE = 0.06
FACTS = random_facts(SUBJECTS, RELATIONS, seed=3)
