"""Scores of runs: against their own weight decay, after the run is saved, and with no optimum where none is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fiedler.sims.runs.seeking as seeking
from fiedler.sims.compare.score_folder import score_folder
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.scored import run_and_score, stale
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.tasks.optimum import reference_optimum
from fiedler.sims.tasks.search import Search
from fiedler.sims.tasks.task import Task
from fiedler.theory import gram_error, parse

NODE2VEC = get_model("node2vec")
DECAY = 0.1
CONVERGED = 1e-6
WITHOUT = Search(optimum=False)


def settings(**changes: Any) -> Any:
    return NODE2VEC.make_settings(**{"steps": 3000, "width": 8, "init_std": 0.3, "learning_rate": 0.1, **changes})


def scored(task: Task, folder: Path, given: Any, **options: Any) -> dict[str, Any]:
    (scores,) = run_and_score(task, NODE2VEC, given, [0], folder=lambda _: folder, **options)
    return scores


def test_a_run_is_scored_against_its_own_weight_decay(tmp_path: Path) -> None:
    """A converged run with decay lies on the optimum with it, and on no other."""
    task = Task(parse("irregular"))
    scores = scored(task, tmp_path / "run", settings(weight_decay=DECAY))
    assert scores["optimum_weight_decay"] == DECAY
    assert scores["gram_error"] < CONVERGED
    embedding = RunDir.open(tmp_path / "run").read_embeddings()["embedding"]
    assert gram_error(embedding, reference_optimum(task)) > 0.01  # what it was scored against before


def test_decay_zero_is_not_solved_for_a_run_with_decay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    solve = seeking.reference_optimum
    monkeypatch.setattr(
        seeking, "reference_optimum", lambda task, decay, *rest: asked.append(decay) or solve(task, decay, *rest)
    )
    scored(Task(parse("cycle:9")), tmp_path / "run", settings(steps=5, weight_decay=DECAY))
    assert asked == [DECAY]


def test_without_the_optimum_its_scores_are_null_and_the_others_stay(tmp_path: Path) -> None:
    task = Task(parse("irregular"))
    whole = scored(task, tmp_path / "whole", settings(steps=20))
    found = scored(task, tmp_path / "without", settings(steps=20), search=WITHOUT)
    assert found["optimum_left_out"] == "without the optimum (--no-optimum)"
    for name in ("gram_error", "gram_scale", "fiedler_score", "principal_angles"):
        assert found[name] is None
        assert whole[name] is not None
    for name in ("loss_per_node", "effective_rank", "geometric_margin", "edge_recall", "energy", "coefficient_norms"):
        assert found[name] == whole[name]
    assert "optimum_relative_gap" in whole
    assert "optimum_relative_gap" not in found


def test_a_run_is_saved_before_it_is_scored_and_scored_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, stop, folder = Task(parse("irregular")), StopRequest(), tmp_path / "run"
    solve = seeking.reference_optimum

    def interrupted(*arguments: Any) -> Any:
        assert RunDir.open(folder).finished  # everything of the training is there, with its checksums
        stop.signalled = True
        return solve(*arguments)

    monkeypatch.setattr(seeking, "reference_optimum", interrupted)
    with pytest.raises(Interrupted, match=rf"finished and saved in {folder}.*`fiedler score {folder}` makes them"):
        scored(task, folder, settings(steps=20), watch=Watch(stop=stop))
    assert not (folder / "scores.json").exists()
    monkeypatch.setattr(seeking, "reference_optimum", solve)
    before = (folder / "embeddings.safetensors").read_bytes()
    found = score_folder(folder)
    assert found == RunDir.open(folder).read_scores()
    whole = scored(task, tmp_path / "whole", settings(steps=20))
    assert {name: found[name] for name in whole} == whole
    assert found["flow_time"] == 2.0  # beside the flow at its own time, as fiedler train scores it
    assert (folder / "embeddings.safetensors").read_bytes() == before
    assert RunDir.open(folder).is_final("scores.json")


@pytest.mark.parametrize("error", [RuntimeError("no optimum"), MemoryError("no optimum"), ValueError("no optimum")])
def test_a_solver_that_fails_leaves_the_run_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*arguments: Any) -> Any:
        raise error

    monkeypatch.setattr(seeking, "reference_optimum", fails)
    kind = ValueError if isinstance(error, ValueError) else RuntimeError
    with pytest.raises(kind, match=r"no optimum.*; the run is finished and saved in .*--no-optimum"):
        scored(Task(parse("cycle:9")), tmp_path / "run", settings(steps=5))
    assert RunDir.open(tmp_path / "run").finished


def test_resume_adds_the_optimum_that_was_left_out(tmp_path: Path) -> None:
    task, folder = Task(parse("irregular")), tmp_path / "run"
    scored(task, folder, settings(steps=20), search=WITHOUT)
    again = scored(task, folder, settings(steps=20), search=WITHOUT, restart=Restart(resume=True))
    assert again["gram_error"] is None
    added = scored(task, folder, settings(steps=20), restart=Restart(resume=True))
    assert added["gram_error"] is not None
    assert RunDir.open(folder).read_scores() == added


@pytest.mark.parametrize(
    ("scores", "decay", "optimum", "expected"),
    [
        ({}, 0.0, None, False),
        ({}, 0.1, None, True),  # an earlier version's, against decay zero
        ({"optimum_weight_decay": 0.1}, 0.1, True, False),
        ({}, 0.1, False, False),
        ({"optimum_left_out": "x"}, 0.0, True, True),
        ({"optimum_left_out": "x"}, 0.1, None, False),
    ],
)
def test_which_scores_are_made_again(
    scores: dict[str, Any], decay: float, optimum: bool | None, expected: bool
) -> None:
    assert stale(scores, decay, optimum) is expected


def test_above_the_dense_size_nothing_of_all_pairs_is_kept_for_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fiedler.sims.tasks.task.DENSE_NODES", 10)
    monkeypatch.setattr("fiedler.sims.scores.embedding.DENSE_NODES", 10)
    monkeypatch.setattr("fiedler.sims.tasks.task.LEADING_MODES", 4)
    scores = scored(Task(parse("irregular")), tmp_path / "run", settings(steps=5), search=WITHOUT)
    assert scores["coefficient_norms"] is None
    assert len(scores["energy"]) >= 4
    assert len(scores["vector_energy"]) < parse("irregular").n
    assert np.isfinite(scores["geometric_margin"])
