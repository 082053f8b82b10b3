"""Small finished comparisons, made once a test session, for the tests of what is drawn and written about them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fiedler.sims.compare.comparison import Comparison
from fiedler.sims.compare.run import compare
from fiedler.sims.models.registry import get_model
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

BOTH = ("node2vec", "transformer")
STEPS = {"node2vec": 150, "node2vec-untied": 150, "transformer": 40}  # enough for several decades of energies


@lru_cache
def small_comparison(
    word: str, models: tuple[str, ...] = BOTH, seeds: int = 2, weight_decay: float | None = None
) -> Comparison:
    """The graph ``word`` compared without a folder; nothing in the result is to be changed."""
    settings: list[tuple[Any, Any]] = []
    for name in models:
        model = get_model(name)
        settings.append((model, model.make_settings(steps=STEPS[name], weight_decay=weight_decay)))
    return compare(Task(parse(word)), settings, range(seeds))
