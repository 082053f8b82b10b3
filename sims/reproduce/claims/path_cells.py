"""The set-up that all path claims change one thing of."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...paths.settings import PathSettings
from ..claim import Cell

STAR = "path-star:50x5"
CHANCE = 1 / 50
# Settings that came after claims had been measured, at what these went without: they are in no cell that has none.
LATER = {"path_share": None}
BASE = PathSettings(layers=2, width=128, steps=500, edge_batch=128, path_batch=38, records=25)


def cell(name: str, graph: str = STAR, base: PathSettings = BASE, **changes: Any) -> Cell:
    """A run of ``base`` with ``changes``; every setting is in the cell, so that a changed default is noticed."""
    whole = dataclasses.asdict(dataclasses.replace(base, **changes))
    settings = {key: value for key, value in whole.items() if key not in LATER or value != LATER[key]}
    return Cell(name, {"measure": "paths.run", "graph": graph, "settings": tuple(sorted(settings.items()))})
