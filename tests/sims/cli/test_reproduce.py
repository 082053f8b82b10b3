"""`fiedler reproduce` as people see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import answer, files_here, refusal, table
from fiedler.sims.cli.commands import main
from fiedler.sims.cli.reproduce.command import read_budget
from fiedler.sims.reproduce.registry import CLAIMS
from fiedler.sims.reproduce.verdict import NOT_MEASURED

Capture = pytest.CaptureFixture[str]
ONE = ("reproduce", "A.prop4", "--jobs", "1")  # deterministic, without a training


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_the_list_fits_into_eighty_columns_and_writes_nothing(capsys: Capture) -> None:
    assert main(["reproduce"]) == 0
    said = capsys.readouterr().out
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "out of reach here" in said
    assert all(name in said for name in CLAIMS)
    assert f"{len(CLAIMS)} claims: " in said
    assert files_here() == {}
    found = answer(capsys, "reproduce", "--list")["claims"]
    assert [one["claim"] for one in found] == list(CLAIMS)
    assert {one["record"] for one in found} == {None}


def test_a_claim_is_run_and_listed_with_its_verdict(capsys: Capture) -> None:
    said = table(capsys, *ONE)
    assert said.startswith("A.prop4 confirmed Positions can be a lookup")
    assert "error of the incidence code" in said
    assert "(deterministic)" in said
    (found,) = answer(capsys, *ONE)["claims"]
    record = json.loads(Path("runs/reproduce/claims/A.prop4.json").read_text())
    assert found["record"] == record
    assert record["command"] == "fiedler reproduce A.prop4"
    assert record["environment"]["versions"]["numpy"]
    assert record["criterion"]["checks"]
    assert record["deterministic"] is True
    assert "A.prop4 Positions can be a lookup 3 s confirmed" in table(capsys, "reproduce", "--list")


def test_the_report_is_one_page_and_one_table(capsys: Capture) -> None:
    table(capsys, *ONE)
    table(capsys, "reproduce", "--report")
    text = Path("runs/reproduce/reproduction.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(("| A.", "| B.", "| F."))]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(CLAIMS)
    (own,) = [row for row in rows if row.startswith("| A.prop4 |")]
    assert "**confirmed**" in own
    assert "`fiedler reproduce A.prop4`" in own
    assert sum(NOT_MEASURED in row for row in rows) == len(CLAIMS) - 3  # two are out of reach without a cell
    assert Path("runs/reproduce/reproduction.html").read_bytes().startswith(b"<!")


def test_what_would_confirm_and_refute_is_told(capsys: Capture) -> None:
    said = table(capsys, "reproduce", "--show", "A.prop3")
    assert "confirms: the table attains it" in said
    assert "refutes: an untied code of smaller norm" in said
    assert "check: untied code over sqrt(2 n)" in said
    assert files_here() == {}


def test_a_dry_run_counts_what_is_left(capsys: Capture) -> None:
    before = answer(capsys, *ONE, "--dry-run", "--budget", "2h")
    assert (before["runs"], before["left"], before["budget"]) == (7, 7, 7200)
    assert files_here() == {}
    table(capsys, *ONE)
    assert answer(capsys, *ONE, "--dry-run")["left"] == 0


def test_several_claims_are_two_lines_each(capsys: Capture) -> None:
    said = table(capsys, "reproduce", "A.prop4", "A.prop1", "-j", "1")
    assert said.count("findings hold") == 2
    assert "fiedler reproduce --list --out runs/reproduce" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A.prop44"], "unknown claim 'A.prop44'; did you mean 'A.prop4'"),
        (["A.prop4", "--all"], "--all runs every claim"),
        (["--report", "--list"], "give one of --list, --show, --report and --dry-run"),
        (["--all", "--budget", "soon"], "--budget must be a time such as 90s, 30m or 2h; got 'soon'"),
        (["A.prop4", "--backend", "slurm"], "unknown backend 'slurm'"),
        (["A.prop4", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["A.prop4", "--out", "file.txt"], "file.txt cannot be a sweep's folder"),
    ],
)
def test_mistakes(capsys: Capture, words: list[str], message: str) -> None:
    Path("file.txt").write_text("x")
    assert message in refusal(capsys, "reproduce", *words)


def test_budgets() -> None:
    assert [read_budget(text) for text in ("90s", "30m", "1.5h", "2 min", "7")] == [90, 1800, 5400, 120, 7]
    for text in ("", "h", "-1h", "0s", "2d", "1e400h"):
        with pytest.raises(ValueError, match="--budget must be a time"):
            read_budget(text)
