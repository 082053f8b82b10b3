"""Presets of ``fiedler recall``: which conditions are trained, named after what they show.

All are of a size for two CPU cores; the sizes and protocols of arXiv 2605.12426 are not known to us, so these are our
own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .settings import RecallSettings

BASE = RecallSettings()
# Entities, relations and width at which the R^K blocks of a single layer fit two hops but not three.
HOPS = RecallSettings(
    subjects=32, relations=3, width=12, neurons=48, weight_decay=0.1, learning_rate=5e-3, steps=6000, batch=512,
    records=10,
)  # fmt: skip
MOST_HOPS, MOST_LAYERS = 4, 4
# Two hops, with two fifths of the facts in no composition that is shown.
BRIDGE = RecallSettings(
    subjects=24, relations=3, hops=2, held_out=0.1, held_out_facts=0.4, layers=2, width=32, neurons=64, init_std=0.02,
    weight_decay=1.0, learning_rate=3e-3, steps=400, records=4,
)  # fmt: skip


@dataclass(frozen=True)
class RecallPreset:
    """``conditions`` by name, the first of them the one the summary leads with; ``seeds``: how many; ``map``: whether
    its conditions are a map over hops and layers."""

    about: str
    conditions: Mapping[str, RecallSettings]
    seeds: int = 5
    map: bool = False


def hop_conditions(base: RecallSettings, hops: int = MOST_HOPS, layers: int = MOST_LAYERS) -> dict[str, RecallSettings]:
    """Every number of hops with every depth, answered at once; and in one layer with chain of thought."""
    found = {
        f"hops_{k}_layers_{depth}": replace(base, hops=k, layers=depth)
        for k in range(1, hops + 1)
        for depth in range(1, layers + 1)
    }
    written = {f"hops_{k}_chain_of_thought": replace(base, hops=k, chain_of_thought=True) for k in range(2, hops + 1)}
    return {**found, **written}


PRESETS: dict[str, RecallPreset] = {
    "structure": RecallPreset(
        "trained, with frozen subject embeddings, and with frozen codes too",
        {
            "trained": BASE,
            "frozen_subjects": replace(BASE, frozen=True),
            "frozen_embeddings": replace(BASE, frozen=True, frozen_codes=True),
        },
    ),
    "parts": RecallPreset(
        "what the predicted structure depends on",
        {
            "trained": BASE,
            "weight_decay_1": replace(BASE, weight_decay=1.0),
            "weight_decay_0.1": replace(BASE, weight_decay=0.1),
            "width_64": replace(BASE, width=64),
            "no_layer_norm": replace(BASE, layer_norm=False),
        },
        seeds=3,
    ),
    "attributes": RecallPreset(
        "fewer attributes, and attributes of each relation's own",
        {
            "trained": BASE,
            "attributes_40": replace(BASE, attributes=40),
            "disjoint_attributes": replace(BASE, shared=False),
        },
        seeds=3,
    ),
    "bridge": RecallPreset(
        "two hops through facts shown alone only",
        {
            "one_and_two_hops": BRIDGE,
            "identity": replace(BRIDGE, zero_hop="identity"),
            "permuted": replace(BRIDGE, zero_hop="permuted"),
            "small_start": replace(BRIDGE, init_std=0.005, weight_decay=3.0),
            "small_start_identity": replace(BRIDGE, init_std=0.005, weight_decay=3.0, zero_hop="identity"),
            "chain_of_thought": replace(BRIDGE, chain_of_thought=True),
        },
    ),
    "multi-hop": RecallPreset(
        "questions of several hops, by depth and with chain of thought", hop_conditions(HOPS), seeds=2, map=True
    ),
}
