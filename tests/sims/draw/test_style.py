"""Colours: one place for the maps, and shades that are told apart and seen on white."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import fiedler.sims
from fiedler.sims.draw.colours import DIVERGING, SEQUENTIAL
from fiedler.sims.draw.style import shade


def test_maps_are_named_in_one_place() -> None:
    root = Path(fiedler.sims.__file__).parent.resolve()
    named = re.compile(rf"""["']({SEQUENTIAL}|{DIVERGING})["']""", re.IGNORECASE)
    files = [path for path in root.rglob("*.py") if named.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in files] == ["colours.py"]


def test_shades_run_from_dark_to_light_and_stay_seen() -> None:
    for count in (1, 2, 9):
        light = [float(np.dot(shade(k, count)[:3], (0.2126, 0.7152, 0.0722))) for k in range(count)]
        assert light == sorted(light)
        assert len(set(light)) == count
        assert light[-1] < 0.8
