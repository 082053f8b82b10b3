"""How a graph's file is read: said on the command line, in sweeps, and kept with runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import Capture, answer, refusal
from fiedler.sims.cli.commands import main

RATED = "person,friend,rating\n0,1,2\n1,2,1\n2,0,1\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("rated.csv").write_text(RATED)


def printed(capsys: Capture, *arguments: str) -> str:
    assert main([*arguments]) == 0
    return capsys.readouterr().out


def test_theory_reports_what_it_read(capsys: Capture) -> None:
    assert "--weight rating" in refusal(capsys, "theory", "rated.csv")
    shown = printed(capsys, "theory", "rated.csv", "--no-optimum", "--verbose", "--weight", "rating")
    for said in ("rated.csv, as it was read", "edge list", "person, friend, rating", "column 'rating'", "integers"):
        assert said in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "no file was read" in printed(capsys, "theory", "cycle:5", "--no-optimum", "-v")
    Path("b.csv").write_text("source,target\n[/red],[bold]x\n")
    assert "source, target" in printed(capsys, "theory", "b.csv", "--no-optimum", "-v")


def test_every_option_reaches_the_reader(capsys: Capture) -> None:
    common = ("--no-optimum",)
    assert answer(capsys, "theory", "rated.csv", "--weight", "", *common)["read"]["weights"] == "all 1"
    assert answer(capsys, "theory", "rated.csv", "--weight", "rating", *common)["n"] == 3
    Path("odd.txt").write_text("; note\na:b\nb:c\nx:y\n")
    found = answer(capsys, "theory", "odd.txt", "--delimiter", ":", "--comments", ";", *common)
    assert (found["n"], found["read"]["comments"]) == (5, 1)
    found = answer(capsys, "theory", "odd.txt", "--delimiter", ":", "--comments", ";", "--header", *common)
    assert (found["n"], found["read"]["header"]) == (4, ["a", "b"])
    assert "is Matrix Market, which has no header" in _refused_matrix(capsys)
    assert "use one character" in refusal(capsys, "theory", "odd.txt", "--delimiter", "ab")


def _refused_matrix(capsys: Capture) -> str:
    Path("m.mtx").write_text("%%MatrixMarket matrix coordinate pattern symmetric\n2 2 1\n2 1\n")
    return refusal(capsys, "theory", "m.mtx", "--header")


def test_runs_keep_what_was_read_and_go_on_without_it(capsys: Capture) -> None:
    """Earlier versions wrote no "read"; another weight is another graph, and another run."""
    run = ("train", "rated.csv", "--steps", "4", "--no-optimum", "--out", "run")
    answer(capsys, *run, "--weight", "rating")
    config = json.loads(Path("run/config.json").read_text())
    assert config["read"]["weights"] == "column 'rating'"
    assert (config["read"]["nodes"], config["read"]["edges"], config["read"]["components"]) == (3, 3, 1)
    answer(capsys, *run, "--weight", "rating", "--resume")
    assert "graph_sha256" in refusal(capsys, *run, "--weight", "", "--resume")


def test_a_sweep_says_how_its_graph_is_read(capsys: Capture) -> None:
    for name, more in (("none", ""), ("rated", 'weight = "rating"\n')):
        Path(f"{name}.toml").write_text(f'[base]\ngraph = "rated.csv"\nsteps = 2\n{more}[sweep]\nseeds = 1\n')
    assert "--weight rating" in refusal(capsys, "sweep", "none.toml", "--out", "none")
    printed(capsys, "sweep", "rated.toml", "--out", "rated", "--no-optimum")
    table = next(Path("rated").rglob("*.csv")).read_text()
    assert "rating" in table
