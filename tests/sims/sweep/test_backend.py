"""Where sweeps run, and what becomes of them where a point, a worker or a cluster dies."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import fiedler.sims.sweep.run as module
from dying_points import die_once, run_or_die
from fiedler.sims.processes.children import CHILDREN
from fiedler.sims.sweep import backend
from fiedler.sims.sweep.backend import Place
from fiedler.sims.sweep.plan import SweepPlan, plan_sweep
from fiedler.sims.sweep.point import Outcome
from fiedler.sims.sweep.run import run_sweep
from fiedler.sims.sweep.table import collect

BASE = {"graph": "path-star:3x2", "steps": 200, "width": 4}


def small() -> SweepPlan:
    return plan_sweep({"base": BASE, "axes": {"weight_decay": [0.01, 0.1], "init_std": [0.1, 1e200]}}, "small")


@pytest.fixture(scope="module", autouse=True)
def _no_workers_left() -> Iterator[None]:
    yield
    CHILDREN.close()


@pytest.mark.processes
def test_dask(tmp_path: Path) -> None:
    from dask.distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        counts = run_sweep(small(), tmp_path / "dask", backend="dask", address=cluster.scheduler_address)
    assert (counts.done, counts.failed) == (2, 2)
    run_sweep(small(), tmp_path / "local", jobs=1)
    local, running = (collect(small(), tmp_path / name).drop(columns="seconds") for name in ("local", "dask"))
    pd.testing.assert_frame_equal(local, running)


@pytest.mark.processes
def test_a_scheduler_that_is_gone_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is done is kept, and the same call goes on elsewhere."""
    from dask.distributed import LocalCluster

    plan = plan_sweep({"base": {**BASE, "steps": 10**7}}, "s")
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None, silence_logs=50) as cluster:
        address = cluster.scheduler_address
        gone = threading.Timer(2.0, cluster.close)  # while the call waits for a worker
        gone.start()
        with pytest.raises(RuntimeError, match=r"the dask back end fails \(its scheduler is gone\): the same command"):
            run_sweep(plan, tmp_path, backend="dask", address=address)
        gone.join()
    assert "Traceback" not in capfd.readouterr().err
    assert list(collect(plan, tmp_path)["status"]) == ["pending"]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray(tmp_path: Path) -> None:
    counts = run_sweep(small(), tmp_path, jobs=2, backend="ray")
    assert (counts.done, counts.failed) == (2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "spark"}, "unknown backend 'spark'; choose from local, dask, ray"),
        ({"jobs": 0}, "jobs must be at least 1; got 0"),
        ({"address": "tcp://x:1"}, "--address is for the dask and ray backends"),
        ({"backend": "dask", "address": "tcp://127.0.0.1:9"}, "no Dask scheduler at 'tcp://127.0.0.1:9'"),
        ({"backend": "dask", "address": "nonsense:/"}, "no Dask scheduler at 'nonsense:/'"),
    ],
)
def test_bad_back_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str) -> None:
    monkeypatch.setattr(backend, "CONNECT_SECONDS", 1)
    with pytest.raises(ValueError, match=message):
        run_sweep(small(), tmp_path, **options)


DEATHS = {0.11: "SIGKILL", 0.12: "SIGSEGV", 0.13: "exit code 7", 0.14: "MemoryError"}  # of ``dying_points``


@pytest.mark.processes
@pytest.mark.parametrize(
    ("jobs", "backend", "deaths", "seeds"),
    [
        (1, "local", (0.12,), 2),  # which die together, and are tried alone
        (2, "local", (0.11, 0.13, 0.14), 1),
        pytest.param(2, "dask", (0.11, 0.12, 0.13, 0.14), 2, marks=pytest.mark.long),
    ],
)
def test_a_point_that_dies_is_a_failure_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, backend: str, deaths: tuple[float, ...], seeds: int
) -> None:
    """Seed 0 of some points dies in every way there is; the others, seeds of its own point too, are done."""
    monkeypatch.setattr(module, "run_point", run_or_die)
    axes = {"init_std": [0.1, *deaths, 0.2]}
    plan = plan_sweep({"base": {**BASE, "steps": 3}, "axes": axes, "sweep": {"seeds": seeds}}, "s")
    counts = run_sweep(plan, tmp_path, jobs=jobs, backend=backend)
    assert (counts.done, counts.failed) == (counts.total - len(deaths), len(deaths))
    table = collect(plan, tmp_path)
    failed = table[table["status"] == "failed"].set_index("init_std")
    assert set(failed["seed"]) == {0}
    records = [json.loads(path.read_text()) for path in (tmp_path / "failures").iterdir()]
    for record in records:
        words = DEATHS[record["options"]["init_std"]]
        assert words in record["message"] == failed.loc[record["options"]["init_std"], "error"]
        if record["error"] == "ProcessDied":
            assert words == record["signal"] or words == f"exit code {record['exit_code']}"
            assert record["peak_memory_bytes"] > 10**6
    assert len(records) == len(deaths)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp") or name == ".stop"]
    seen: list[Outcome | None] = []
    assert run_sweep(plan, tmp_path, jobs=jobs, on_outcome=lambda _, one: seen.append(one)).failed == len(deaths)
    assert seen == [None]  # not tried again, and no process started


@pytest.mark.processes
def test_a_cluster_that_loses_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its scheduler gives up is tried once more, alone, and then a failure."""

    class Lost(Exception):
        pass

    calls: list[int] = []

    def submit(function: Any, job: Any, *rest: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        calls.append(job.point.option("init_std"))
        if calls[-1] == 0.2 or calls.count(0.1) == 1:
            answer.set_exception(Lost("it died 4 times"))
        else:
            answer.set_result(function(job, *rest))
        return answer

    monkeypatch.setattr(module, "opened_backend", lambda *_: nullcontext(Place("dask", submit, lambda: 1, (Lost,))))
    plan = plan_sweep({"base": {**BASE, "steps": 3}, "axes": {"init_std": [0.1, 0.2]}}, "s")
    counts = run_sweep(plan, tmp_path, backend="dask")
    assert (counts.done, counts.failed) == (1, 1)
    assert calls == [0.1, 0.2, 0.1, 0.2]
    (record,) = (tmp_path / "failures").iterdir()
    assert json.loads(record.read_text())["message"] == "its dask worker died: it died 4 times"


@pytest.mark.processes
def test_a_run_that_was_killed_beside_others_is_tried_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that ran out, say: beside others it takes all, alone it has enough."""
    monkeypatch.setattr(module, "run_point", die_once)
    plan = plan_sweep({"base": {**BASE, "steps": 3}, "axes": {"init_std": [0.1, 0.2]}}, "s")
    assert run_sweep(plan, tmp_path, jobs=2).done == 2
    assert len(list(tmp_path.glob("died-*"))) == 2
