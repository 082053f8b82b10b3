"""What figures read of embeddings on the way: the frames of the folders, in one plane, and which folders have none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ortho_group

from fiedler.sims.draw.sources import Unsuitable
from fiedler.sims.figures.films import Arms, Reel, read_reels
from fiedler.sims.paths.star import star_paths
from fiedler.sims.runs.folder import RunDir
from fiedler.theory import parse
from figure_runs import comparison_folder, paths_folder

ROUNDING = 1e-9  # of sums of a few dozen float64


def reel(word: str, frames: np.ndarray, of: int = 0) -> Reel:
    graph = parse(word)
    return Reel("net", graph, np.arange(graph.n), np.arange(len(frames)), (0,), (frames,), of, log=False)


def test_frames_are_those_of_the_folders() -> None:
    reels, sources = read_reels([paths_folder(), comparison_folder("path-star:3x3")])
    assert [one.name for one in reels] == [
        "in weights, path-star:8x4", "hardest token, path-star:8x4", "Node2Vec, path-star:3x3",
        "Transformer, path-star:3x3",
    ]  # fmt: skip
    kept = RunDir.open(paths_folder() / "runs" / "in_weights-seed0").read_embeddings()
    assert np.array_equal(reels[0].frames[0][-1], kept["embedding"])
    assert reels[0].steps.tolist() == [0, 1, 2]
    modes = RunDir.open(comparison_folder("path-star:3x3") / "runs" / "node2vec-seed1").read_modes()
    assert np.array_equal(reels[2].frames[1], modes["snapshots"])
    assert (reels[2].seeds, reels[2].log, reels[0].log) == ((0, 1), True, False)
    assert len(sources) == 2


def test_depths_and_arms_are_those_of_the_tree() -> None:
    word = "tree-star:3x4"
    star, arms = star_paths(parse(word)), Arms.of(reel(word, np.zeros((2, parse(word).n, 2))))
    assert (arms.depth[0], arms.arm[0]) == (0, -1)
    for path, arm in zip(star.paths, star.arms, strict=True):
        assert arms.depth[path].tolist() == [0, 1, 2, 3]
        assert set(arms.arm[path[1:]].tolist()) == {arm}
    with pytest.raises(Unsuitable, match="cycle:5 has no root-to-leaf paths"):
        Arms.of(reel("cycle:5", np.zeros((2, 5, 2))))


def test_means_are_taken_off_component_by_component() -> None:
    frames = np.random.default_rng(0).standard_normal((3, 6, 4))
    two = reel("grid:1x6", frames)
    assert np.abs(two.centred() - (frames - frames.mean(axis=1, keepdims=True))).max() < ROUNDING


@pytest.mark.parametrize("of", [0, 7])
def test_the_plane_is_the_last_frames_and_principal_coordinates_are_turned_onto_it(of: int) -> None:
    rng = np.random.default_rng(1)
    last = rng.standard_normal((8, 4)) * [9, 5, 1, 0.5]
    frames = np.array([0.3 * last, 0.7 * last, last])
    if of:  # each frame has an orientation of its own
        turned = [frame @ ortho_group.rvs(4, random_state=rng) for frame in frames[:-1]]
        frames = np.array([*turned, last])
    flat = reel("cycle:8", frames, of).in_last_plane()
    left, values, _ = np.linalg.svd(last - last.mean(axis=0), full_matrices=False)
    wanted = left[:, :2] * values[:2]
    assert np.abs(np.abs(flat[-1]) - np.abs(wanted)).max() < ROUNDING
    assert np.abs(flat[0] - 0.3 * flat[-1]).max() < ROUNDING
    assert np.abs(flat[1] - 0.7 * flat[-1]).max() < ROUNDING


def test_folders_without_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsuitable, match="does not exist"):
        read_reels([tmp_path / "none"])
    earlier = tmp_path / "earlier"
    shutil.copytree(paths_folder(), earlier)
    run = RunDir.open(earlier / "runs" / "hardest_token-seed0")
    run.write_embeddings({"embedding": run.read_embeddings()["embedding"]})
    with pytest.raises(Unsuitable, match="an earlier version made it: the same command with --overwrite"):
        read_reels([earlier])
