"""What `fiedler headroom` compares: a Transformer as it is, and the same moved toward the predicted geometry.

Strengths were chosen by eye from a scan of 0.1, 1, 3, 10 and 30 on seeds that no result uses: 100 to 103 on the
15-cycle and path-star:4x5 for tiny graphs, 100 alone on path-star:50x5 for paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..models.registry import Model, get_model
from ..paths.settings import PathSettings

BASE = "base"
REFERENCE = "node2vec-trained"  # Node2Vec itself, trained on the graph alone

# geometry, strength; of a tiny graph's Transformer and of one that learns paths
VARIANTS: Mapping[str, tuple[str, float]] = {
    "init": ("init", 10.0),
    "align": ("align", 1.0),
    "node2vec": ("node2vec", 1.0),
}
PATH_VARIANTS: Mapping[str, tuple[str, float]] = {
    "init": ("init", 3.0),
    "align": ("align", 1.0),
    "node2vec": ("node2vec", 0.1),
}
TITLES = {
    BASE: "Transformer",
    "init": "+ geometry at the start",
    "align": "+ alignment penalty",
    "node2vec": "+ Node2Vec loss",
    REFERENCE: "Node2Vec itself",
}
# The set-up of the tiny graphs' Transformer in the release of arXiv 2510.26745.
BASE_WORD = "transformer:learning_rate=0.01,position_std=1,other_tokens=9"
PATHS_GRAPH = "path-star:100x5"
PATHS = PathSettings(layers=2, width=32, heads=4, learning_rate=4e-3, steps=600, records=24)


def model_variants(word: str = BASE_WORD) -> list[Model]:
    """The model of ``word`` and its three variants, under their names here. Raises as ``get_model``, and ValueError
    for a word with a geometry of its own and for a model without this setting."""
    base = get_model(word)
    if "geometry" not in base.setting_types():
        raise ValueError(f"the {word} model has no geometry to set: give transformer, one-layer, mlp, mamba or hf:NAME")
    if base.make_settings().geometry != "none":
        raise ValueError(f"{word} already sets a geometry; leave it out, every variant sets its own")
    joint = "," if ":" in word.removeprefix("hf:") else ":"
    found = [replace(base, name=BASE)]
    for name, (geometry, strength) in VARIANTS.items():
        variant = get_model(f"{word}{joint}geometry={geometry},geometry_strength={strength:g}")
        found.append(replace(variant, name=name))
    return found


def path_variants(base: PathSettings) -> dict[str, PathSettings]:
    """``base`` and its three variants."""
    return {
        BASE: base,
        **{
            name: replace(base, geometry=geometry, geometry_strength=strength)
            for name, (geometry, strength) in PATH_VARIANTS.items()
        },
    }
