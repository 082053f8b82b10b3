"""The profile command: table, JSON, files, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import Capture, answer, refusal, table
from fiedler.sims.draw.profile import absences, plot_profile
from figures import texts

FIGURES = {"ms_median": 2.0, "ms_spread": (1.0, 3.0), "ratio_to_floor": (2.0, 1.5, 2.5), "tflops": 1.0, "gbps": 1.0}
PEER = {**FIGURES, "peak_mib": 9.0, "error": None, "ratio_to_ours": (2.0, 1.0, 3.0), "version": "1"}


def made_up(classes: int) -> dict[str, Any]:
    return {
        "op": "linear",
        "N": 10,
        "D": 4,
        "V": classes,
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "path": "chunked",
        **FIGURES,
        "floor_ms": 1.0,
        "matmul_tflops": 2.0,
        "peak_mib": 3.0,
        "error": 1e-7,
        "peers": {"torch eager": PEER, "other": {"absent": "not installed", "version": None}},
    }


def test_command(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    shown = table(capsys, "profile", "--shape", "20,4,30", "--rounds", "1", "--no-peers", "--out", "here")
    assert "linear: N 20, D 4, V 30, float32 on cpu, 1 thread" in shown
    assert "fiedler (chunked)" in shown
    assert "matrix products (floor)" in shown
    found = json.loads(Path("here/profile.json").read_text())
    assert set(found) == {"environment", "rows"}
    assert found["rows"][0]["V"] == 30
    assert found["environment"]["versions"]["torch"]
    assert Path("here/profile.png").stat().st_size > 1000
    assert Path("here/profile.svg").is_file()
    printed = answer(capsys, "profile", "--op", "tied-graph", "--shape", "20,4", "--rounds", "1")
    assert printed["rows"][0]["op"] == "tied-graph"
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shape", "3,4"), "shape '3,4' is not N,D,V in whole numbers, such as 256,256,8000"),
        (("--op", "graph", "--shape", "3,4,5"), "shape '3,4,5' is not N,D in whole numbers"),
        (("--shape", "3,-4,5"), "is not N,D,V"),
        (("--op", "cube"), "unknown operation 'cube'"),
        (("--dtype", "int8", "--shape", "3,4,5"), "unknown dtype 'int8'"),
        (("--device", "tpu"), "unknown device 'tpu'"),
    ],
)
def test_refusals(capsys: Capture, words: tuple[str, ...], message: str) -> None:
    assert message in refusal(capsys, "profile", *words)


def test_the_figure_shows_every_implementation_that_ran() -> None:
    figure = plot_profile([made_up(20), made_up(50)])
    time, memory = figure.axes
    labels = [text.get_text() for text in time.get_legend().get_texts()]
    assert labels == ["fiedler", "torch eager"]
    assert [label.get_text() for label in memory.get_xticklabels()] == ["N 10\nD 4\nV 20", "N 10\nD 4\nV 50"]
    assert [line.get_ydata().tolist() for line in memory.lines] == [[3.0, 3.0], [9.0, 9.0]]
    assert texts(figure)


def test_absences_are_said() -> None:
    assert absences(made_up(20)) == ["other: not installed"]
