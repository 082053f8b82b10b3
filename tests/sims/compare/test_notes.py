from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from comparisons import small_comparison
from fiedler.sims.compare.at_time import OWN, WIDE, AtTime, number, own_start, spectrum_at_time
from fiedler.sims.compare.notes import comparison_notes, run_notes
from fiedler.sims.compare.show.report import comparison_markdown
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.engine import Run, run_seeds
from fiedler.sims.tasks.task import Task
from fiedler.theory import centre_rows, drift_law, gram_distance, gram_error, parse, tied_flow, tied_optimum

WORD = "path-star:3x3"
TASK = Task(parse(WORD))
OPTIMUM = tied_optimum(TASK.target)
SECONDS = 60.0
ENVIRONMENT: dict[str, Any] = dict.fromkeys(("command", "git_commit", "time", "processor", "python"), "x") | {
    "versions": {"numpy": "2.1"}
}


def run_of(name: str = "node2vec", **given: Any) -> Run:
    model = get_model(name)
    return run_seeds(TASK, model, model.make_settings(**{"steps": 300, **given}), [0])[0]


def described(run: Run, task: Task = TASK, seconds: float = SECONDS) -> dict[str, Any]:
    decay = run.settings.weight_decay
    optimum = OPTIMUM if decay == 0 else tied_optimum(task.target, weight_decay=decay)
    return AtTime(task, optimum, decay, seconds).describe(run)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_the_prediction_is_the_flow_from_the_runs_own_start(decay: float) -> None:
    run = run_of(weight_decay=decay)
    found = described(run)
    start = run.modes.snapshots[0].astype(np.float64)  # type: ignore[index]
    flow = tied_flow(TASK.target, start, [3.0], weight_decay=decay)
    v = flow.embedding[0]
    best = tied_optimum(TASK.target, weight_decay=decay)
    assert (found["flow_time"], found["predicted_from"]) == (3.0, OWN)
    assert found["predicted_loss_per_node"] == pytest.approx(flow.loss[0] / TASK.graph.n, rel=1e-6)
    assert found["predicted_gram_error"] == pytest.approx(gram_error(v, best), rel=1e-5)
    measured = gram_distance(run.final.embedding, v)
    assert found["gram_error_at_time"] == pytest.approx(measured, rel=1e-4)
    assert measured < 0.1 * gram_error(run.final.embedding, best)  # it is the flow's time that is short, not the theory
    values = np.linalg.eigvalsh(centre_rows(v) @ centre_rows(v).T)[::-1]
    np.testing.assert_allclose(spectrum_at_time([found]), values, atol=1e-4 * values[0])


def test_a_start_that_was_not_kept_whole_is_that_of_the_wide_limit() -> None:
    run = run_of()
    reduced = dataclasses.replace(run, modes=dataclasses.replace(run.modes, snapshot_whole=np.array(False)))
    assert own_start(reduced) is None
    found = described(reduced)
    flow = tied_flow(TASK.target, 10.0 * np.eye(TASK.graph.n), [3.0])  # width 100, entries N(0, 1)
    assert found["predicted_from"] == WIDE
    assert found["predicted_loss_per_node"] == pytest.approx(flow.loss[0] / TASK.graph.n, rel=1e-6)


def test_without_time_for_the_flow_there_is_the_reason() -> None:
    found = described(run_of(), seconds=1e-9)
    assert "predicted_from" not in found
    assert found["no_flow_at_time"].startswith("no flow at the run's time: it was not done after")
    assert found["drift_gap_per_node"] > 0
    assert any("no flow at the run's time" in text for text in run_notes(run_of().settings, found))


def test_where_the_infimum_is_not_attained_one_line_says_how_far_a_run_must_be() -> None:
    comparison = small_comparison(WORD)
    law = drift_law(OPTIMUM, TASK.target)
    assert law is not None
    lines = [text for text in comparison_notes(comparison) if "is not attained" in text]
    (line,) = lines  # of the model with a clock alone
    assert line.startswith("Node2Vec: ")
    assert f"t = 1.5 is still about {law.gap_per_node(1.5):.2g} a node above it" in line
    assert not any("attained" in text for text in comparison_notes(small_comparison("cycle:8")))


def test_a_loss_below_the_limit_is_explained_with_the_entropy() -> None:
    comparison = small_comparison(WORD, ("node2vec", "node2vec-untied"))
    tied, untied = comparison.models
    limit = float(comparison.optimum.loss_per_node)  # type: ignore[union-attr]
    for one, loss, count in ((untied, limit + 0.01, 0), (tied, limit - 0.01, 0), (untied, limit - 0.01, 1)):
        runs = tuple(
            dataclasses.replace(run, modes=dataclasses.replace(run.modes, loss=np.full_like(run.modes.loss, loss)))
            for run in one.runs
        )
        changed = dataclasses.replace(comparison, models=(dataclasses.replace(one, runs=runs),))
        notes = [text for text in comparison_notes(changed) if "below the limit" in text]
        assert len(notes) == count  # logits VV' do not go there
    assert notes[0].endswith(f"below the entropy of the target, {TASK.entropy_floor:.6g}.")


def test_a_step_that_is_too_long_is_warned_of_everywhere() -> None:
    run = run_of(learning_rate=0.2, steps=600)
    found = described(run)
    (warning,) = [text for text in run_notes(run.settings, found) if text.startswith("warning: ")]
    assert "edge of stability" in warning
    assert found["gram_error_at_time"] > 0.01  # and it does leave the flow


def test_the_report_holds_every_note() -> None:
    comparison = small_comparison(WORD)
    text = comparison_markdown(comparison, ENVIRONMENT, "figure.png")
    assert comparison_notes(comparison)
    assert all(note in text for note in comparison_notes(comparison))


def test_the_time_to_the_limit_is_the_same_for_every_seed() -> None:
    scores = small_comparison("cycle:8", ("node2vec",)).models[0].scores
    assert scores[0]["time_to_limit"] == scores[1]["time_to_limit"]
    assert scores[0]["predicted_loss_per_node"] != scores[1]["predicted_loss_per_node"]
    (note,) = comparison_notes(small_comparison("cycle:8", ("node2vec",)))
    value = scores[0]["time_to_limit"]["loss"]
    assert value > 1.5
    assert "gram_error 0.1 already by then" in note  # nearer than its loss
    assert f"a loss within 1% of it at t = {value:.3g} ({value / 0.01:.3g} steps)".replace("e+0", "e") in note
    assert "(integrated flow)" in note


def test_folders_of_earlier_versions_have_no_such_numbers() -> None:
    assert np.isnan(number({}, "gram_error_at_time"))
    assert spectrum_at_time([{}]) is None
    assert run_notes(get_model("node2vec").make_settings(), {"gram_error": 0.1}) == []
