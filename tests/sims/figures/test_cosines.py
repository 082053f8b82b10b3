"""Cosines with the root and of arms, against loops over pairs of nodes; and the figures in both widths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fiedler.sims.draw.sources import Unsuitable
from fiedler.sims.figures import cosines
from fiedler.sims.figures.cosines import arm_cosines, root_cosines
from fiedler.sims.figures.films import Arms, Reel, read_reels
from fiedler.sims.paths.star import star_paths
from fiedler.theory import parse
from figure_runs import comparison_folder, draw, paths_folder
from figures import assert_legible

ROUNDING = 1e-12
WORD = "tree-star:3x4"


def random_reel() -> Reel:
    graph = parse(WORD)
    frames = tuple(np.random.default_rng(seed).standard_normal((2, graph.n, 5)) + 1 for seed in range(3))
    return Reel("net", graph, np.arange(graph.n), np.array([0, 9]), (0, 1, 2), frames, 0, log=False)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))


@pytest.mark.parametrize("centred", [False, True])
def test_means_with_the_root_are_those_of_a_loop(centred: bool) -> None:
    one = random_reel()
    star, found = star_paths(one.graph), root_cosines(one, Arms.of(one), centred)
    assert found.shape == (3, 2, 3)
    for seed, step, depth in itertools.product(range(3), range(2), (1, 2, 3)):
        rows = one.frames[seed][step]
        rows = rows - rows.mean(axis=0) if centred else rows
        wanted = np.mean([cosine(rows[0], rows[node]) for node in set(star.paths[:, depth].tolist())])
        assert found[seed, step, depth - 1] == pytest.approx(wanted, abs=ROUNDING)


def test_pairs_within_and_across_arms_are_those_of_a_loop() -> None:
    one = random_reel()
    arms = Arms.of(one)
    within, across = arm_cosines(one, arms)
    wanted: dict[bool, list[float]] = {True: [], False: []}
    for frames in one.frames:
        for a, b in itertools.combinations(range(1, one.graph.n), 2):
            wanted[bool(arms.arm[a] == arms.arm[b])].append(cosine(frames[1][a], frames[1][b]))
    for found, values in ((within, wanted[True]), (across, wanted[False])):
        assert np.sort(found[1]) == pytest.approx(np.sort(values), abs=ROUNDING)


def test_rotations_and_sizes_change_no_cosine() -> None:
    one = random_reel()
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((5, 5)))[0]
    other = Reel(**{**vars(one), "frames": tuple(3 * frame @ turn for frame in one.frames)})
    for centred in (False, True):
        assert np.allclose(root_cosines(one, Arms.of(one), centred), root_cosines(other, Arms.of(one), centred))
        pairs = zip(arm_cosines(one, Arms.of(one), centred), arm_cosines(other, Arms.of(one), centred), strict=True)
        assert all(np.allclose(a, b) for a, b in pairs)


def test_of_many_nodes_whole_arms_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosines, "MOST_NODES", 15)
    within, across = arm_cosines(random_reel(), Arms.of(random_reel()))
    size = (parse(WORD).n - 1) // 3
    assert within.shape[1] == 3 * 2 * (size * (size - 1) // 2)  # seeds, arms, pairs of one
    assert across.shape[1] == 3 * size**2


@pytest.mark.parametrize("width", ["single", "double"])
@pytest.mark.parametrize("name", ["root-cosines", "root-cosines-centred", "arm-cosines"])
def test_figures_are_legible(name: str, width: str) -> None:
    drawn, figure = draw(name, paths_folder(), comparison_folder("path-star:3x3"), width=width)
    assert_legible(figure)
    assert "1 seed)" in drawn.caption
    assert "2 seeds)" in drawn.caption


def test_lines_over_the_steps_are_the_means() -> None:
    _, figure = draw("root-cosines", comparison_folder("path-star:3x3"), width="double")
    reels, _ = read_reels([comparison_folder("path-star:3x3")])
    found = root_cosines(reels[0], Arms.of(reels[0]))
    line = figure.axes[1].lines[1]  # depth 2
    assert np.asarray(line.get_xdata()).tolist() == reels[0].steps.tolist()
    assert np.asarray(line.get_ydata()) == pytest.approx(found[:, :, 1].mean(axis=0))


def test_other_graphs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cycle:7 has no root-to-leaf paths.*Make the folder with `fiedler paths` or"):
        draw("root-cosines", comparison_folder())
    one = random_reel()
    arms = Arms.of(one)
    alone = Arms(arms.depth, np.where(arms.arm >= 0, 0, -1))
    with pytest.raises(Unsuitable, match="no pairs of nodes both within an arm and across arms"):
        arm_cosines(one, alone)
