"""Running claims: cells are run once, a changed one again, a broken one alone fails, and the budget is kept."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dying_points import die_on_six
from fiedler.sims.disk.jsonio import from_json
from fiedler.sims.reproduce import run as running
from fiedler.sims.reproduce.cell import CellPoint
from fiedler.sims.reproduce.claim import Cell, Claim
from fiedler.sims.reproduce.criterion import Check, Criterion
from fiedler.sims.reproduce.measures import storage
from fiedler.sims.reproduce.record import read_record
from fiedler.sims.reproduce.run import Backend, Deadline, run_claims, work_left
from fiedler.sims.reproduce.verdict import CONFIRMED, NOT, NOT_MEASURED
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.sweep import run as engine
from fiedler.sims.sweep.run import SWEEP_FILE
from sweeps_here import sweep_here

ONE = Backend(jobs=1)


def claim(name: str = "A.one", measure: str = "storage.codes", seconds: float = 1.0, **options: Any) -> Claim:
    given = {"measure": measure, **({"graph": "cycle:5"} if measure == "storage.codes" else {}), **options}
    criterion = Criterion((Check("error", ("c",), "incidence_error", most=1e-9),))
    return Claim(name, "t", "w", "s", "c", "r", (Cell("c", given),), criterion, seconds)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_here(monkeypatch)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, here: None) -> list[int]:
    """The seeds for which ``storage.codes`` was called, in this process."""
    asked: list[int] = []
    whole = storage.codes

    def codes(at: Any, graph: str) -> dict[str, float]:
        asked.append(at.seed)
        return whole(at, graph)

    monkeypatch.setattr(storage, "codes", codes)
    return asked


def test_a_finished_cell_is_not_run_again(tmp_path: Path, calls: list[int]) -> None:
    first = run_claims([claim()], tmp_path, backend=ONE)
    assert calls == [0, 1, 2, 3, 4]
    assert first["A.one"].status == CONFIRMED
    assert run_claims([claim()], tmp_path, backend=ONE) == first
    assert run_claims([claim("A.two")], tmp_path, backend=ONE)["A.two"].status == CONFIRMED  # the same cell
    assert calls == [0, 1, 2, 3, 4]
    run_claims([claim()], tmp_path, seeds=range(7), backend=ONE)
    assert calls[5:] == [5, 6]
    run_claims([claim()], tmp_path, backend=ONE, overwrite=True)
    assert calls[7:] == [0, 1, 2, 3, 4]


def test_a_changed_configuration_is_run_again(tmp_path: Path, calls: list[int]) -> None:
    run_claims([claim()], tmp_path, backend=ONE)
    other = claim(graph="cycle:7")
    known = read_record(other, tmp_path)
    assert known is not None
    assert known.outdated(other)
    assert not known.outdated(claim())
    assert work_left(other, range(5), tmp_path).runs == 5
    run_claims([other], tmp_path, backend=ONE)
    assert len(calls) == 10
    stricter = dataclasses.replace(claim(), criterion=Criterion((Check("error", ("c",), "incidence_error", most=-1),)))
    assert known.outdated(stricter)


def test_a_changed_measure_has_another_key_but_its_words_do_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def source(text: str) -> None:
        monkeypatch.setattr("inspect.getsource", lambda function: text)

    key = {}
    for name, text in (
        ("one", 'def f(at, graph):\n    """Words."""\n    return {"x": 1}\n'),
        ("words", 'def f(at, graph):\n    """Others."""\n    # and a comment\n    return {"x":  1}\n'),
        ("other", 'def f(at, graph):\n    """Words."""\n    return {"x": 2}\n'),
    ):
        source(text)
        key[name] = CellPoint.of(claim().cells[0]).key
    assert key["one"] == key["words"] != key["other"]


def test_settings_of_a_run_are_in_its_key() -> None:
    plain, same, other = (
        CellPoint.of(Cell("c", {"graph": "cycle:5", "model": "node2vec", **more}))
        for more in ({}, {"steps": 10_000}, {"steps": 9})
    )
    assert plain.settings() == same.settings()
    assert len({plain.key, other.key}) == 2


def test_a_broken_cell_leaves_the_others(tmp_path: Path, calls: list[int]) -> None:
    broken, absent = claim("A.broken", graph="cycle:two"), claim("A.absent", measure="storage.nothing")
    found = run_claims([broken, absent, claim()], tmp_path, backend=ONE)
    assert found["A.one"].status == CONFIRMED
    assert found["A.broken"].status == NOT_MEASURED
    assert "seed 0" in found["A.broken"].reason
    assert "cycle:two" in found["A.broken"].reason
    assert "no measure is called 'storage.nothing'" in found["A.absent"].reason
    record = read_record(broken, tmp_path)
    assert record is not None
    assert record.content["missing"]["c"] == found["A.broken"].reason.removeprefix("c: ")


@pytest.mark.processes
def test_a_cell_whose_process_dies_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "run_point", die_on_six)
    found = run_claims([claim(), claim("A.dies", graph="cycle:6")], tmp_path, seeds=(0,), backend=ONE)
    assert found["A.one"].status == NOT  # too few seeds, but measured
    assert found["A.dies"].status == NOT_MEASURED
    assert "its process died: SIGSEGV" in found["A.dies"].reason


def test_wrong_arguments_are_named(tmp_path: Path, here: None) -> None:
    found = run_claims([claim(nodes=3)], tmp_path, backend=ONE)
    assert "unexpected keyword argument 'nodes'" in found["A.one"].reason


def test_the_cheapest_come_first_and_what_does_not_fit_is_left(tmp_path: Path, calls: list[int]) -> None:
    begun: list[str] = []
    some = [claim("A.long", graph="cycle:9", seconds=1e4), claim("A.short"), claim("A.mid", graph="cycle:6", seconds=9)]
    found = run_claims(
        some, tmp_path, budget=60, backend=ONE, on_claim=lambda one, verdict: verdict or begun.append(one.name)
    )
    assert begun == ["A.short", "A.mid", "A.long"]
    assert [found[name].status for name in begun] == [CONFIRMED, CONFIRMED, NOT_MEASURED]
    assert "did not fit" in found["A.long"].reason


def test_the_budget_ends_a_claim_that_takes_longer_than_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: None
) -> None:
    monkeypatch.setattr(storage, "codes", _slow(storage.codes))
    began = time.monotonic()
    found = run_claims([claim()], tmp_path, budget=1.5, backend=ONE)
    assert time.monotonic() - began < 15  # and not 5 x 60
    assert found["A.one"].status == NOT_MEASURED
    assert "time ran out" in found["A.one"].reason


def _slow(whole: Callable[..., Any]) -> Callable[..., Any]:
    def codes(at: Any, graph: str) -> dict[str, float]:
        time.sleep(60)
        return dict(whole(at, graph))

    return codes


def test_a_verdict_is_not_lost_to_a_run_without_time(tmp_path: Path, calls: list[int]) -> None:
    run_claims([claim()], tmp_path, backend=ONE)
    run_claims([claim()], tmp_path, seeds=range(9), budget=1e-6, backend=ONE)
    record = read_record(claim(), tmp_path)
    assert record is not None
    assert record.verdict.status == CONFIRMED


def test_whoever_asks_is_heard(tmp_path: Path, calls: list[int]) -> None:
    stop = StopRequest()
    stop.signalled = True
    with pytest.raises(Interrupted, match="2 claims left"):
        run_claims([claim(), claim("A.two", graph="cycle:6")], tmp_path, backend=ONE, stop=stop)
    assert calls == []


def test_fewer_seeds_give_no_verdict(tmp_path: Path, here: None) -> None:
    assert run_claims([claim()], tmp_path, seeds=(0,), backend=ONE)["A.one"].status == NOT


def test_a_training_cell_through_the_engine(tmp_path: Path, here: None) -> None:
    run = {"graph": "cycle:5", "model": "node2vec", "steps": 20, "width": 4}
    check = Check("recall", ("c",), "edge_recall", least=0.0)
    one = Claim("A.t", "t", "w", "s", "c", "r", (Cell("c", run),), Criterion((check,)), 1)
    assert run_claims([one], tmp_path, backend=ONE)["A.t"].status == CONFIRMED
    record = read_record(one, tmp_path)
    assert record is not None
    assert record.seconds > 0
    assert from_json((tmp_path / SWEEP_FILE).read_text())["plan"]["name"] == "A.t"


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"holds 'letter\.txt' but no sweep"):
        run_claims([claim()], tmp_path, backend=ONE)


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "A.one.json"
    path.parent.mkdir()
    for text in ("", "{}", '{"fiedler_claim": 2}', '{"fiedler_claim": 1, "findings": 3}'):
        path.write_text(text)
        assert read_record(claim(), tmp_path) is None


def test_deadlines() -> None:
    assert not Deadline(None).asked
    assert Deadline(0.0).asked
    assert not Deadline(0.0).stopped
    assert running.SEEDS == 5
