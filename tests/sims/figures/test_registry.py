"""What the list of figures says can be done: its presets exist and every drawing function is there."""

from __future__ import annotations

import shlex
from importlib import import_module

import pytest

from fiedler.sims.compare.presets import definitions as presets
from fiedler.sims.figures import registry
from fiedler.sims.figures.registry import KINDS, Kind, get_kind
from fiedler.sims.paths import presets as path_presets
from fiedler.sims.recall import presets as recall_presets
from fiedler.sims.recall.scaling.presets import SCALING_PRESETS

KNOWN = {
    "compare": presets.PRESETS,
    "paths": path_presets.PRESETS,
    "recall": [*recall_presets.PRESETS, *SCALING_PRESETS],
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_figure_can_be_drawn_and_its_folder_made(kind: Kind) -> None:
    assert callable(getattr(import_module(f"{registry.__package__}.{kind.module}"), kind.function))
    assert kind.shows
    for command in kind.commands:
        words = shlex.split(command)
        assert words[0] == "fiedler"
        if "--preset" in words:
            assert words[words.index("--preset") + 1] in KNOWN[words[1]]
    preset = kind.options.get("preset")
    if preset and kind.module in ("path_accuracy", "path_maps"):
        assert set(kind.options["needs"]) <= set(path_presets.PRESETS[preset].conditions)


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(ValueError, match="unknown figure 'width_chek': did you mean 'width-check'"):
        get_kind("width_chek")
