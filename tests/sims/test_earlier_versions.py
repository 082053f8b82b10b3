"""Nothing a user has breaks: folders that an earlier version wrote are read, reported and resumed, and the same command
with the same seed ends in the same numbers as then, bit for bit on the machine they were recorded on.

data/earlier.zip: results/NAME/ of COMMANDS below, and runs/, all written by version 0.1.0 at commit af48d9f.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from fiedler.sims.cli.commands import main
from fiedler.sims.compare.presets.definitions import PRESETS, Cell, Preset, PresetModel
from fiedler.sims.scores.embedding import AGAINST_OPTIMUM
from fiedler.sims.tasks.make import make_task

ARCHIVE = Path(__file__).parent / "data" / "earlier.zip"
COMMANDS = {
    "node2vec": "train karate --model node2vec --steps 300 --width 12 --seed 1",
    "node2vec-untied": "train path-star:4x4 --model node2vec-untied --steps 200 --width 12 --seed 0",
    "transformer": "train cycle:15 --model transformer --steps 60 --seed 0",
    "one-layer": "train path-star:4x4 --model one-layer --steps 100 --width 24 --seed 2",
    "mamba": "train cycle:8 --model mamba --steps 15 --width 8 --seed 0",
    "paths": "paths path-star:5x3 --only in_weights --seeds 1 --jobs 1 --layers 1 --width 16 --heads 2 --steps 40 "
    "--records 4 --edge-batch 8 --path-batch 4",
    "recall": "recall --only trained --seeds 1 --jobs 1 --subjects 8 --relations 2 --width 16 --steps 60 --records 3",
}
PATHS = "paths path-star:4x3 --only in_weights --seeds 1 --jobs 1 --layers 1 --width 8 --heads 2 --steps 20 --records 2"
STOPPED = {
    "train-stopped": "train path-star:3x3 --model node2vec --steps 60 --width 8",
    "transformer-stopped": "train cycle:6 --model transformer --steps 20 --width 8",
    "paths-stopped": f"{PATHS} --edge-batch 8 --path-batch 2",
    "recall-stopped": "recall --only trained --seeds 1 --jobs 1 --subjects 6 --relations 2 --width 8 --steps 20 "
    "--records 2",
}
# Where and with what the archive was recorded; elsewhere other kernels of the libraries round other last bits.
RECORDED = {"torch": "2.13.0+cpu", "numpy": "2.4.6", "capability": "AVX2", "vendor": "AMD"}
# Elsewhere: some hundred steps of float32 training, each of which may enlarge a rounding.
OTHER_MACHINE = 1e-2
SOLVED = 1e-5  # of scores against an optimum
# Linear cross-entropy and the scan of Mamba round other last bits since they were made faster.
OTHER_BITS = ("paths", "recall", "mamba")
PER_EIGENVECTOR = ("vector_energy", "coefficient_norms")
AGAINST = (*AGAINST_OPTIMUM, "optimum", "optimum_of_model", "rivals")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def runs(earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the earlier folders, which is the working directory."""
    shutil.copytree(earlier / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture(autouse=True)
def _other_bits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared of the kinds ``OTHER_BITS`` is compared as on another machine."""
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    if str(parameters.get("name", "")).startswith(OTHER_BITS):
        monkeypatch.setitem(globals(), "same_machine", lambda: False)


def assert_same(found: Any, expected: Any) -> None:
    """Equal where the archive was recorded, nearly so elsewhere."""
    if same_machine():
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=OTHER_MACHINE, atol=OTHER_MACHINE)


def same_machine() -> bool:
    cpu = Path("/proc/cpuinfo")
    here = {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "vendor": "AMD" if cpu.exists() and "AuthenticAMD" in cpu.read_text() else "",
    }
    return here == RECORDED and not os.environ.get("OPENBLAS_CORETYPE")


def numbers(scores: Any) -> Any:
    """Every number of a scores.json that is no time."""
    if isinstance(scores, dict):
        return {name: numbers(value) for name, value in scores.items() if name != "seconds"}
    return [numbers(value) for value in scores] if isinstance(scores, list) else scores


def invariant(scores: Any, graph: str) -> Any:
    """``scores`` with the length of what lies in each eigenspace in place of what lies on each eigenvector: within a
    space of several dimensions the eigenvectors are another basis on another machine."""
    spaces = make_task(graph).spaces
    starts = np.concatenate([[0], np.cumsum(spaces.multiplicities)[:-1]])
    lengths = {
        name: np.sqrt(np.add.reduceat(np.square(scores[name]), starts)).tolist()
        for name in PER_EIGENVECTOR
        if name in scores
    }
    return {**scores, **lengths}


def assert_same_scores(found: Any, expected: Any, solved: bool = False) -> None:
    """New entries may have come; those of then are the same. ``solved``: they are against an optimum, whose solver has
    become another since, and are the same to its accuracy."""
    if isinstance(expected, dict):
        assert expected.keys() <= found.keys()
        solved = solved or any(
            value in AGAINST for value in expected.values() if isinstance(value, str)
        )  # a table's row
        for name, value in expected.items():
            if name == "results":  # the names of a run's scores
                assert set(value) <= set(found[name])
            elif not (solved and name == "method"):  # the solver's name
                assert_same_scores(found[name], value, solved or name in AGAINST)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same_scores(one, other, solved)
    elif isinstance(expected, float) and solved and same_machine():
        np.testing.assert_allclose(found, expected, rtol=SOLVED, atol=SOLVED)
    elif isinstance(expected, float):
        assert_same(found, expected)
    else:
        assert found == expected


LATER_MEASURES = {"entropy_floor"}  # rows of a preset's table that earlier versions did not have
LATER = {"film", "film_nodes", "film_steps"}  # arrays that earlier versions did not keep


def only_run(folder: Path) -> Path:
    """The folder itself, or that of the one run in it."""
    return folder if not (folder / "runs").is_dir() else next(iter(sorted((folder / "runs").glob("*-seed*"))))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_command_ends_in_the_same_numbers(earlier: Path, tmp_path: Path, name: str) -> None:
    assert main([*COMMANDS[name].split(), "--out", str(tmp_path / "out")]) == 0
    folder, then = only_run(tmp_path / "out"), earlier / "results" / name
    found, expected = load_file(folder / "embeddings.safetensors"), load_file(then / "embeddings.safetensors")
    assert found.keys() - LATER == expected.keys()
    for array, values in expected.items():
        assert_same(found[array], values)
    scores = [numbers(json.loads((place / "scores.json").read_text())) for place in (folder, then)]
    if not same_machine() and COMMANDS[name].startswith("train"):
        scores = [invariant(one, COMMANDS[name].split()[1]) for one in scores]
    assert_same_scores(*scores)


@pytest.mark.parametrize("name", STOPPED)
def test_a_stopped_run_goes_on(runs: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """To the same embedding as a run that was never stopped, with one line of metrics a record."""
    assert main([*STOPPED[name].split(), "--out", name, "--resume"]) == 0
    assert main([*STOPPED[name].split(), "--out", "whole"]) == 0
    resumed, whole = only_run(runs / name), only_run(runs / "whole")
    assert (resumed / "resumed.jsonl").is_file()
    assert (resumed / "metrics.jsonl").read_bytes().count(b"\n") == (whole / "metrics.jsonl").read_bytes().count(b"\n")
    expected = load_file(whole / "embeddings.safetensors")
    found = load_file(resumed / "embeddings.safetensors")
    assert found.keys() == expected.keys() - LATER  # a film has no beginning where the run had none
    for array, values in found.items():
        assert_same(values, expected[array])


def test_a_finished_run_is_read_reported_and_not_run_again(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in (runs / "train-finished").glob("*.*") if path.suffix != ".html"}
    command = "train path-star:3x3 --model node2vec --steps 60 --width 8 --out train-finished --resume"
    assert main(command.split()) == 0
    assert main(["report", "train-finished"]) == 0
    assert main(["score", "path-star:3x3", "train-finished/embeddings.safetensors"]) == 0
    for path, content in before.items():
        assert path.name in ("scores.json", "SHA256SUMS") or path.read_bytes() == content, path.name


def test_a_comparison_is_reported_and_resumed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    then = json.loads((runs / "comparison" / "scores.json").read_text())
    assert main(["report", "comparison"]) == 0
    command = "compare cycle:6 -m node2vec -m one-layer --seeds 2 --steps 30 --width 8 --out comparison --resume"
    assert main(command.split()) == 0
    found = json.loads((runs / "comparison" / "scores.json").read_text())
    assert_same_scores(found["runs"], then["runs"])
    assert_same_scores(found["summary"], then["summary"])
    assert not list((runs / "comparison").rglob("resumed.jsonl"))  # every run was finished


def test_a_sweep_goes_on_with_more_points(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished = sorted((runs / "sweep").glob("points/*/*/embeddings.safetensors"))
    before = {path: path.stat().st_mtime_ns for path in finished}
    assert len(before) == 2
    text = (runs / "sweep.toml").read_text()
    (runs / "sweep.toml").write_text(text.replace("[0.01]", "[0.01, 0.1]"))
    assert main(["sweep", "sweep.toml", "--out", "sweep", "-j", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    assert len((runs / "sweep" / "results.csv").read_text().splitlines()) == 5
    assert main(["report", "sweep"]) == 0


def test_a_preset_is_reported_and_resumed(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = PresetModel("node2vec:width=6,steps=20", "node2vec", "Node2Vec", "node2vec", "node")
    monkeypatch.setitem(PRESETS, "tiny", Preset("tiny", "A small preset", "figure 0", (Cell("cycle:6", (model,)),)))
    then = json.loads((runs / "preset" / "scores.json").read_text())
    assert main(["report", "preset"]) == 0
    assert (runs / "preset" / "report.html").stat().st_size > 0
    assert main(["compare", "--preset", "tiny", "--seeds", "2", "--out", "preset", "--resume"]) == 0
    now = json.loads((runs / "preset" / "scores.json").read_text())
    now["table"] = [row for row in now["table"] if row["measure"] not in LATER_MEASURES]
    assert_same_scores(now, then)
    assert not list((runs / "preset").rglob("resumed.jsonl"))  # every run was finished
