"""Thousands of made-up command lines: each ends in an exit code, one line, and never a traceback or a hang."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiedler.sims.cli.commands import main

SECONDS = 120.0  # far above any call below, imports on a busy machine included; far below a hang

GRAPHS = ["cycle:5", "path-star:2x3", "petersen", "grid:2x2"]
# Words that are wrong, or are right and small.
BAD_GRAPHS = [
    "",
    "cycle",
    "cycle:",
    "cycle:0",
    "cycle:-3",
    "cycle:2.5",
    "cycle:999999999999999999999",
    "path-star:4",
    "path-star:0x5",
    "hamming:3",
    "hamming:40,40",
    "hypercube:64",
    "tree:9,99",
    "grid:1000000x1000000",
    "no such file",
    "empty.edgelist",
    "binary.npz",
    "text.npz",
    "nan.edgelist",
    "directed.mtx",
    "pipe",
    "folder",
    "\x00",
    "é" * 300,
    "/dev/null",
    "--help",
]
NUMBERS = ["0", "-1", "1", "2", "1.5", "nan", "inf", "-inf", "1e400", "1e-400", "", "x", "0x10", "9" * 30, "1e9", " 3"]
# Numbers of steps and sizes that are valid have to be small: a valid long run is no hang.
COUNTS = ["0", "-1", "1", "3", "2.5", "nan", "x", "", "9" * 30, "-0"]
FILES = ["good.npy", "nan.npy", "object.npy", "flat.npy", "empty.npy", "text.npz", "binary.npz", "absent.npy", "pipe"]
FILES += ["folder", "torn.safetensors", "good.txt", "pickle.pt", ""]
OUTS = ["out", "taken", "file", "file/below", "", "/proc/nowhere", "deep/er/still", "run", "\x00"]
ODD = ["--nonsense", "-z", "--json=3", "extra", "--", "--seeds", "--out"]

MODELS = ["node2vec", "node2vec-untied", "transformer", "one-layer", "mlp", "mamba", "associative", "nod2vec", ""]
MODELS += [
    "hf:",
    "hf:gpt2",
    "hf:lama",
    "hf:file",
    "hf:binary.npz",
    "hf:folder",
    "hf:llama:heads=3",
    "mlp:optimiser=sgd",
]
MODELS += ["mlp:width=x", "transformer:layer_norm=false", "mamba:attention=false", "one-layer:=", ":", "mlp:bias=1"]

COMMON: dict[str, list[str] | None] = {
    "--edges": ["both", "forward", "backward", "up", ""],
    "--weights": ["node", "line", "x", ""],
    "--self-edges": None,
    "--symmetrize": None,
    "--delimiter": [",", "tab", "space", "", "ab", "a", "\n"],
    "--header": None,
    "--no-header": None,
    "--comments": ["#", "", "a", " "],
    "--weight": ["weight", "cost", ""],
    "--json": None,
    "--label-smoothing": NUMBERS,
    "--window": COUNTS,
    "--p": NUMBERS,
    "--q": NUMBERS,
    "--weight-decay": NUMBERS,
}
RUNS: dict[str, list[str] | None] = {
    **COMMON,
    "--model": MODELS,
    "--steps": COUNTS,
    "--learning-rate": NUMBERS,
    "--width": COUNTS,
    "--init-std": NUMBERS,
    "--out": OUTS,
    "--overwrite": None,
    "--resume": None,
    "--checkpoint-every": NUMBERS,
}
OPTIONS: dict[str, dict[str, list[str] | None]] = {
    "theory": {
        **COMMON,
        "--untied": None,
        "--init-scale": NUMBERS,
        "--laplacian": ["combinatorial", "random-walk", "sym", ""],
        "--until": ["0", "-1", "1", "nan", "inf", "x", "10"],
        "--modes": COUNTS,
        "--top": None,
        "--no-optimum": None,
        "--width": COUNTS,
        "--rivals": None,
        "--storage": None,
    },
    "train": {**RUNS, "--seed": COUNTS},
    "compare": {**RUNS, "--seeds": ["0", "-1", "1", "2", "x", "1.5"], "--preset": ["fig1", "fig0", ""]},
    "score": {**COMMON, "--rows": ["0:5", "0:3", "5:0", "a", "0,1,2,3,4", "0,0,1", "", "rows.txt"], "--key": ["a", ""]},
    "sweep": {
        "--out": OUTS,
        "--jobs": ["1", "0", "-1", "x"],
        "--backend": ["local", "spark", ""],
        "--address": ["x", ""],
        "--retry-failed": None,
        "--checkpoint-every": NUMBERS,
        "--dry-run": None,
        "--json": None,
    },
    "profile": {
        "--shape": ["8,4,9", "8,4", "0,1,2", "-1,2,3", "x", "8,4,9,1", "", "9" * 30],
        "--op": ["linear", "graph", "tied-graph", "x"],
        "--dtype": ["float32", "float64", "int8", "x"],
        "--device": ["cpu", "cuda", "x"],
        "--rounds": ["1", "0", "x"],
        "--threads": ["1", "0", "x"],
        "--path": ["auto", "x"],
        "--no-peers": None,
        "--json": None,
    },
    "report": {"--out": OUTS, "--title": ["", "x", "<b>"], "--json": None},
    "export": {
        "--to": ["word2vec", "npy", "npz", "graphml", "pyg", "x", ""],
        "--out": OUTS,
        "--key": ["embedding", "context", "x", ""],
        "--json": None,
    },
    "figure": {
        "--width": ["single", "double", "x", ""],
        "--format": ["pdf", "png", "x", ""],
        "--out": OUTS,
        "--overwrite": None,
        "--list": None,
    },
}
NAMES = ["fig1", "modes", "certificate", "roofline", "fig0", ""]  # of figures
SWEEPS = ["good.toml", "bad.toml", "text.npz", "binary.npz", "absent.toml", "pipe", "folder", "huge.toml", "empty.toml"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of good and bad files, the working directory of every call."""
    folder = tmp_path_factory.mktemp("commands")
    np.save(folder / "good.npy", np.random.default_rng(0).standard_normal((5, 3)))
    np.save(folder / "nan.npy", np.full((5, 3), np.nan))
    np.save(folder / "object.npy", np.array([{}] * 5, dtype=object), allow_pickle=True)
    np.save(folder / "flat.npy", np.ones(5))
    np.save(folder / "empty.npy", np.ones((0, 3)))
    texts = {
        "empty.edgelist": "",
        "nan.edgelist": "a b nan\n",
        "text.npz": "no archive",
        "good.txt": "1 2 3\n",
        "rows.txt": "0\n1\n2\n3\n4\n",
        "directed.mtx": "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 1.0\n",
        "good.toml": '[base]\ngraph = "cycle:4"\nsteps = 2\nwidth = 2\n[axes]\ninit_std = [0.1, 1.0]\n',
        "bad.toml": '[base]\ngraph = "cycle:4"\nsteps = -2\n',
        "huge.toml": '[base]\ngraph = "cycle:999999999999"\n',
        "empty.toml": "",
        "taken": "",
        "file": "mine",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    for name in ("binary.npz", "torn.safetensors", "pickle.pt"):
        (folder / name).write_bytes(b"PK\x03\x04\x00\xff\x80\x04}q\x00." * 3)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with some of its options, good and bad values mixed."""
    name = draw(st.sampled_from(list(OPTIONS)))
    words = [name]
    if name == "figure":
        words.append(draw(st.sampled_from(NAMES)))
    if name == "sweep":
        words.append(draw(st.sampled_from(SWEEPS)))
    elif name in ("report", "export", "figure"):
        words.append(draw(st.sampled_from(FILES)))
    elif name != "profile":
        words.append(draw(st.sampled_from(GRAPHS + BAD_GRAPHS)))
    if name == "score":
        words.append(draw(st.sampled_from(FILES)))
    if name in ("train", "compare"):  # a valid run has to be short; --dry-run times one for a second, so not here
        words += ["--steps", "2", "--width", "2"]
    if name == "compare":
        words += ["--seeds", "1"]
    if name == "profile":
        words += ["--shape", "8,4,9", "--rounds", "1"]
    if name == "sweep":
        words += ["--jobs", "1"]
    for option in draw(st.lists(st.sampled_from(sorted(OPTIONS[name])), max_size=4)):
        values = OPTIONS[name][option]
        words.append(option)
        if values is not None:
            words.append(draw(st.sampled_from(values) | st.text(max_size=6)))
    if draw(st.integers(0, 9)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(st.sampled_from(ODD)))
    return words


def check(words: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    began = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    assert time.monotonic() - began < SECONDS, f"{words} took too long"
    said, error = out.getvalue(), err.getvalue()
    assert code in (0, 1, 2), (words, code)
    assert "Traceback" not in said + error, words
    if code:
        last = error.splitlines()[-1]
        assert re.match(r"fiedler: .", last), (words, error)
        assert len(last) < 1500, words
        others = error.splitlines()[:-1]
        assert all(line.startswith("fiedler: warning: ") for line in others), (words, error)
        assert not said or "--json" not in words, (words, said)
    elif "--json" in words and "--help" not in words and "-h" not in words:
        answer = json.loads(said, parse_constant=lambda name: pytest.fail(f"{words}: {name} in JSON"))
        assert isinstance(answer, dict), words


LAX: Any = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=45, derandomize=True, **LAX)
@given(words=command_lines())
def test_some_command_lines(place: Path, words: list[str]) -> None:
    check(words)


@pytest.mark.long
@settings(max_examples=10_000, **LAX)
@given(words=command_lines())
def test_many_command_lines(place: Path, words: list[str]) -> None:
    check(words)


@settings(max_examples=100, derandomize=True, **LAX)
# `profile` by itself is no mistake: it times kernels for a minute.
@given(words=st.lists(st.text(max_size=12) | st.sampled_from(sorted(OPTIONS.keys() - {"profile"})), max_size=5))
def test_words_without_meaning(place: Path, words: list[str]) -> None:
    check(words)
