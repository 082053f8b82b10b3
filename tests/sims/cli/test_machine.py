"""fiedler doctor: what it finds, and that it says when something is wrong."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from commands import Capture, answer
from fiedler.sims.cli import machine as doctor
from fiedler.sims.cli.commands import main
from fiedler.sims.cli.machine import BROKEN, MISSING, OK, Check, healthy


def test_this_machine_is_healthy(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = answer(capsys, "doctor")
    assert found["healthy"] is True
    by_name = {check["name"]: check for check in found["checks"]}
    assert by_name["numpy"]["found"].startswith(metadata.version("numpy"))
    assert {"optimum", "training", "cross-entropy", "runs folder"} <= by_name.keys()
    assert {"linear", "graph", "tied-graph"} <= by_name.keys()
    assert list(tmp_path.iterdir()) == []
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    assert "cycle:15 within" in shown


def test_old_and_absent_packages_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy>=99", "no-such-package>=1", 'x>=1; extra == "umap"'])
    old, absent = doctor._packages()
    assert (old.status, absent.status) == (BROKEN, BROKEN)
    assert old.remedy == 'pip install "numpy>=99"'
    assert "not installed" in absent.found
    (umap,) = [check for check in doctor._extras() if check.name == "umap"]
    assert (umap.status, umap.remedy) == (MISSING, 'pip install "fiedler[umap]"')


def test_a_failing_trial_is_broken_and_ends_in_one(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CERTIFIED_LOSS", -1.0)
    monkeypatch.setattr(doctor, "SAME_LOSS", -1.0)
    trials = {check.name: check for check in doctor._trials()}
    assert trials["optimum"].status == trials["cross-entropy"].status == BROKEN
    assert trials["training"].status == OK
    monkeypatch.setattr(doctor, "examine", lambda deep: list(trials.values()))
    assert main(["doctor"]) == 1
    assert "required, and broken: optimum, cross-entropy" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = doctor._writable(tmp_path / "file")
    assert found.status == BROKEN
    assert doctor._writable(tmp_path / "new" / "runs").status == OK


def test_optional_things_do_not_make_it_unhealthy() -> None:
    assert healthy([Check("optional", "ray", MISSING, "")])
    assert not healthy([Check("packages", "numpy", BROKEN, "")])
