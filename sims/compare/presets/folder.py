"""A finished preset read from its folder."""

from __future__ import annotations

from pathlib import Path

from ...disk.files import folder_name
from ...draw.sources import Source, open_run, source_of_run
from ..comparison import Comparison
from ..folder import COMPARISON, comparison_from
from .definitions import Cell, Preset, get_preset
from .run import merge_parts

PRESET = "the folder of a `fiedler compare --preset`"


def read_preset(path: Path) -> tuple[Preset, list[tuple[Cell, Comparison]], Source]:
    """Every cell of the preset that ``fiedler compare --preset`` left in ``path``. Raises as ``read_comparison``."""
    preset, cells, source = read_preset_parts(path)
    return preset, [(cell, merge_parts(cell, parts)) for cell, parts in cells], source


def read_preset_parts(path: Path) -> tuple[Preset, list[tuple[Cell, list[Comparison]]], Source]:
    """The same with the comparisons of a cell apart, one for each weighting of its lines, as their folders are."""
    folder, config = open_run(path, ("preset",), PRESET)
    preset, results = get_preset(config["preset"], config.get("graph"), config.get("options")), []
    for cell in preset.cells:
        parts = []
        for weights, models in cell.parts():
            part, of_part = open_run(path / folder_name(f"{cell.name} {weights}"), ("models", "seeds"), COMPARISON)
            parts.append(comparison_from(part, of_part, [one.model() for one in models]))
        results.append((cell, parts))
    return preset, results, source_of_run(folder)
