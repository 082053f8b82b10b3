"""The streams of random numbers that a run's seed is split into, all in one list."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class Stream(IntEnum):
    """What a seed is used for: a number beside the seed, as in ``default_rng((seed, Stream.PATH_SPLIT))``, so that no
    two uses draw the same numbers. The numbers stay as they are: other ones would be other runs.

    9 is shared: interventions draw from (seed, 9), codes of a construction from (seed, width, 9).
    As seeds of other lengths they never coincide.
    """

    PATH_TOKENS = 1
    PATH_SPLIT = 2
    PATH_PROMPTS = 3
    PATH_BATCHES = 4
    RECALL_HELD_OUT = 7
    RECALL_BATCHES = 8
    RECALL_INTERVENTIONS_AND_CODES = 9
    RECALL_TRANSFER = 10
    RECALL_HELD_OUT_FACTS = 11
    RECALL_PERMUTED = 12
