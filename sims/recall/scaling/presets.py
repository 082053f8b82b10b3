"""What is searched: the conditions, the presets of ``fiedler recall`` that search smallest dimensions, and where a
search begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..settings import RecallSettings
from .construction import CONSTRUCTIONS
from .dimension import THRESHOLD

CHAIN = "chain_of_thought"
# What is drawn once and not trained, beside the settings.
TRAINED: Mapping[str, Mapping[str, Any]] = {
    "trained": {"frozen": False, "frozen_codes": False},
    "frozen_subjects": {"frozen": True, "frozen_codes": False},
    "frozen_embeddings": {"frozen": True, "frozen_codes": True},
}
CONDITIONS = (*CONSTRUCTIONS, *TRAINED)  # of one hop
HOP_CONDITIONS = ("trained", CHAIN)  # of several: answered at once, or every entity on the way written first
SUBJECTS, RELATIONS = (16, 32, 64, 128, 256), (1, 2, 4, 8)
# Few neurons and hardly any decay: what is not memorised then lacks dimension, not time.
SCALING = RecallSettings(
    subjects=64, relations=4, neurons=32, learning_rate=2e-2, weight_decay=0.01, steps=2000, records=80
)


@dataclass(frozen=True)
class ScalingPreset:
    """``conditions`` at every number of ``subjects``, of ``relations`` and, with each of these, of ``hops``; as
    ``run_scaling`` takes them. ``seeds``: how many."""

    about: str
    settings: RecallSettings
    conditions: tuple[str, ...]
    subjects: tuple[int, ...]
    relations: tuple[int, ...]
    hops: tuple[int, ...] = (1,)
    lower: tuple[float, ...] = ()
    threshold: float = THRESHOLD
    seeds: int = 3


SCALING_PRESETS: dict[str, ScalingPreset] = {
    "scaling": ScalingPreset(
        "the smallest dimension that memorises, against subjects and relations", SCALING, CONDITIONS, SUBJECTS,
        RELATIONS,
    ),
    "threshold": ScalingPreset(
        "recall against dimension, up to 1,024 subjects, and on which axis the curves collapse",
        # Half the steps of scaling, for it is those that fail that take them all. With 1,024 facts a step in place of
        # all, 512 subjects end at 0.86 where they reach 0.99 otherwise.
        replace(SCALING, steps=1000, records=40),
        ("associative", *TRAINED), (*SUBJECTS, 512, 1024), RELATIONS, lower=(0.5,),
    ),
    "hop-threshold": ScalingPreset(
        "the smallest dimension over hops, at once and with chain of thought",
        replace(
            SCALING, subjects=16, relations=2, batch=256, learning_rate=1e-2, init_std=0.2, steps=1000, records=20
        ),
        HOP_CONDITIONS, (16,), (1, 2, 3),
        hops=(1, 2, 3, 4), threshold=0.9,  # an answer of K written steps is right only if every step is
    ),
}  # fmt: skip


def sized(name: str, base: RecallSettings, subjects: int, relations: int, hops: int) -> RecallSettings:
    """``base`` with the sizes, and with a chain of thought where ``name`` asks for one; with one hop there is nothing
    to write before the answer."""
    written = name == CHAIN and hops > 1
    return replace(base, subjects=subjects, relations=relations, hops=hops, chain_of_thought=written)


def frozen_as(name: str, settings: RecallSettings) -> RecallSettings:
    """``settings`` with what the condition ``name`` freezes."""
    return replace(settings, **TRAINED.get(name, {}))


def expected_width(name: str, subjects: int, relations: int, hops: int = 1) -> float | None:
    """Where the search of a condition begins, None for the middle of what is allowed: the laws that SCALING was
    measured to have, rounded. It costs time where it is wrong, and changes no answer where recall is monotone."""
    n, r = float(subjects), relations / 4
    if name == "frozen_embeddings":
        return float(max(1.2 * n**0.67, 0.185 * n) * r**0.17)
    if name == "frozen_subjects":
        return float(2.5 * n**0.3 * r**0.4)
    if name in HOP_CONDITIONS:
        return float(2.7 * n**0.17 * r**0.44 * (1.5 ** (hops - 1) if name == "trained" else 1))
    return None
