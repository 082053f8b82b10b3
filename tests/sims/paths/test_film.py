"""Embeddings on the way: whole arms of the run's own rows, within the room there is, and the same when resumed."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.paths.film import FRAMES, Film
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.star import star_paths
from fiedler.sims.paths.training import PathTraining
from fiedler.sims.runs.snapshots import SNAPSHOT_BYTES
from fiedler.theory import parse

TINY = PathSettings(layers=1, width=8, heads=2, pause=1, steps=4, edge_batch=8, path_batch=2, records=4)


@pytest.mark.parametrize(
    ("word", "width", "records"),
    [("path-star:5x4", 8, 5), ("path-star:100x5", 128, 17), ("tree-star:32x5", 128, 17), ("path-star:5000x5", 384, 81),
     ("path-star:20000x5", 4096, 11)],
)  # fmt: skip
def test_whole_arms_fit_into_the_room(word: str, width: int, records: int) -> None:
    star = star_paths(parse(word))
    film = Film(star, width, range(records))
    size = len(star.edges) // star.arm_count
    assert 2 <= len(film.steps) <= FRAMES
    assert {0, records - 1} <= film.steps
    assert 4 * width * len(film.nodes) * len(film.steps) <= SNAPSHOT_BYTES
    assert film.nodes[0] == 0
    assert (len(film.nodes) - 1) % size == 0
    arms = np.zeros(len(star.edges) + 1, dtype=int)
    arms[star.paths] = star.arms[:, None]
    counts = np.bincount(arms[film.nodes[1:]], minlength=star.arm_count)
    assert set(counts.tolist()) <= {0, size}
    assert (counts > 0).sum() >= min(8, star.arm_count)


def test_nothing_is_kept_where_not_two_frames_fit() -> None:
    film = Film(star_paths(parse("path-star:5x4")), SNAPSHOT_BYTES, range(5))
    film.take(0, np.zeros((16, 3), dtype=np.float32))
    assert film.arrays() == film.state() == {}


def test_frames_are_the_rows_of_the_run_as_they_were() -> None:
    training = PathTraining(parse("path-star:5x4"), TINY, 0)
    seen = []
    for _ in range(5):
        training.measure()
        seen.append(training.embedding())
        training.advance()
    arrays, _ = training.results()
    assert arrays["film_nodes"].tolist() == list(range(16))
    assert arrays["film_steps"].tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(arrays["film"], np.array(seen))
    assert not np.array_equal(seen[0], seen[-1])


def test_in_the_context_there_are_no_nodes_to_follow() -> None:
    training = PathTraining(parse("path-star:5x4"), PathSettings(**{**vars(TINY), "in_context": True}), 0)
    training.measure()
    assert set(training.results()[0]) == {"embedding"}


def test_a_checkpoint_of_an_earlier_version_begins_a_film_there() -> None:
    training = PathTraining(parse("path-star:5x4"), TINY, 0)
    training.measure()
    kept = {name: array for name, array in training.state().items() if not name.startswith("film")}
    training.restore(0, kept)
    assert training.results()[0].keys() == {"embedding"}
