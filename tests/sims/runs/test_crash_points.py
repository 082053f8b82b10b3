"""A run that dies at any file-system operation goes on to the bytes of one that did not, and never loses a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crash_points import die_at
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.control import Restart
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.scored import run_and_score
from fiedler.sims.sweep.plan import plan_sweep
from fiedler.sims.sweep.report import report_sweep
from fiedler.sims.sweep.run import run_sweep
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from killed_runs import assert_same_run, wait_for
from sweeps_here import sweep_here

TASK = Task(parse("path-star:3x2"))
MODEL = get_model("node2vec")
STEPS = 4  # five records, four checkpoints: every operation of a run comes at least twice
MOST = 1000  # operations, far more than there are


def training(out: Path, **options: Any) -> Callable[[], object]:
    settings = MODEL.make_settings(steps=STEPS, width=3)
    restart = Restart(**{"resume": True, "checkpoint_every": 0.0, **options})
    return lambda: run_and_score(TASK, MODEL, settings, [0], folder=lambda _: out, restart=restart)


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_every_operation_of_a_run(tmp_path: Path, after: bool) -> None:
    training(tmp_path / "reference")()  # here, so that children need not import what a run imports
    for fatal in range(1, MOST):
        out = tmp_path / str(fatal)
        died = die_at(training(out), fatal, after)
        wait_for(training(out))
        assert_same_run(out, tmp_path / "reference")
        if not died:
            break
    assert fatal > 40  # it did count them


def test_dying_again_and_again(tmp_path: Path) -> None:
    """Every attempt dies five operations after the last one did: only what is kept in between can finish it."""
    training(tmp_path / "reference")()
    out = tmp_path / "run"
    attempts = 0
    while die_at(training(out), 25, attempts % 2 == 0):
        attempts += 1
        assert attempts < MOST
    assert attempts >= 2
    assert_same_run(out, tmp_path / "reference")


def test_a_finished_run_is_never_lost(tmp_path: Path) -> None:
    """Dying while a finished run is only read again leaves it finished."""
    out = tmp_path / "run"
    training(out)()
    (out / "scores.json").unlink()  # something is left to do
    for fatal in range(1, MOST):
        died = die_at(training(out), fatal, False)
        assert RunDir.open(out).finished
        if not died:
            break
        (out / "scores.json").unlink(missing_ok=True)
    assert fatal > 3


def test_overwriting_that_dies_leaves_a_folder_that_can_be_overwritten_again(tmp_path: Path) -> None:
    training(tmp_path / "reference")()
    for fatal in range(1, MOST):
        out = tmp_path / str(fatal)
        wait_for(training(out))
        died = die_at(training(out, resume=False, overwrite=True), fatal, False)
        wait_for(training(out, resume=False, overwrite=True))
        assert_same_run(out, tmp_path / "reference")
        if not died:
            break
        if fatal > 20:  # from here on it is a run like any other
            break


@pytest.mark.long
def test_every_operation_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep's own files: points run in this process, so that it is their parent that dies. The figure is blank:
    drawing the real one takes as long as all the rest."""
    import matplotlib.pyplot as plt

    import fiedler.sims.phase.plot

    monkeypatch.setattr(fiedler.sims.phase.plot, "phase_figure", lambda diagram: plt.figure(figsize=(1, 1)))
    sweep_here(monkeypatch)
    plan = plan_sweep({"base": {"graph": "cycle:4", "steps": 2, "width": 2}, "axes": {"init_std": [0.1, 1e300]}}, "s")

    def sweeping(out: Path) -> Callable[[], object]:
        def work() -> None:
            counts = run_sweep(plan, out, jobs=1)
            assert (counts.done, counts.failed) == (1, 1)
            answer = report_sweep(plan, out)
            assert (answer["done"], answer["failed"]) == (1, 1)

        return work

    sweeping(tmp_path / "whole")()  # here, so that children need not import what a sweep imports
    fatal = 0
    died = True
    while died:
        fatal += 3
        out = tmp_path / str(fatal)
        died = die_at(sweeping(out), fatal, fatal % 2 == 0)
        wait_for(sweeping(out))
        assert (out / "results.csv").read_text().count("\n") == 3
    assert fatal > 30
