"""Small multiples of the embedding: nodes where the last step's plane has them, one scale a row, in both widths."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.figures.films import read_reels
from figure_runs import comparison_folder, draw, paths_folder
from figures import assert_legible


@pytest.mark.parametrize("width", ["single", "double"])
def test_legible(width: str) -> None:
    drawn, figure = draw("evolution", paths_folder(), comparison_folder(), width=width)
    assert_legible(figure)
    assert "Node2Vec, cycle:7 seed 0" in drawn.caption


def test_panels_show_the_frames_of_the_first_seed_in_one_scale() -> None:
    _, figure = draw("evolution", comparison_folder(), width="double")
    reels, _ = read_reels([comparison_folder()])
    rows = np.array(figure.axes).reshape(2, 6)
    for row, one in zip(rows, reels, strict=True):
        positions = one.in_last_plane()
        assert len({ax.get_xlim() for ax in row} | {ax.get_ylim() for ax in row}) == 1
        for ax, place in ((row[0], 0), (row[-1], -1)):
            shown = np.asarray(ax.collections[-1].get_offsets())
            assert shown == pytest.approx(positions[place])
            assert np.abs(shown).max() < ax.get_xlim()[1]
            assert ax.get_title(loc="center") == f"step {one.steps[place]:,}"
        assert len(row[0].collections[0].get_segments()) == 7  # the edges


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="10 models and conditions are more than the 8 rows"):
        draw("evolution", *[comparison_folder()] * 5)
