"""Whatever goes wrong on the command line is one line on standard error, the right exit code, and nothing changed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from commands import Capture, files_here, refusal
from fiedler.sims.cli import theory as cli_theory
from fiedler.sims.cli.commands import main

EMBEDDING = np.random.default_rng(0).standard_normal((15, 4))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


# Embedding files.


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("touch executed",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shape.npy", "2-D"),
        ("nan.npy", "NaN or infinite"),
        ("large.npy", "products overflow"),
        ("short.npy", "4 rows but the graph has 15 nodes"),
        ("objects.npy", "pickled Python objects"),
        ("evil.pt", "nothing in it was run"),
        ("absent.npy", "no such file"),
        ("v.csv", "unknown suffix"),
        ("two.npz", "--key"),
    ],
)
def test_score_refuses(capsys: Capture, name: str, message: str) -> None:
    np.save("shape.npy", EMBEDDING[0])
    np.save("nan.npy", np.where(EMBEDDING > 1, np.nan, EMBEDDING))
    np.save("large.npy", EMBEDDING * 1e100)
    np.save("short.npy", EMBEDDING[:4])
    np.save("objects.npy", np.array([[Payload()]], dtype=object))
    torch.save({"w": torch.tensor(EMBEDDING), "x": Payload()}, "evil.pt")
    Path("v.csv").write_text("1,2\n")
    np.savez("two.npz", a=EMBEDDING, b=EMBEDDING)
    assert message in refusal(capsys, "score", "cycle:15", name)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--rows 0:14", "14 rows for a graph of 15 nodes"),
        ("--rows 1:16", "row 15 is not in the file"),
        ("--rows 0,1,2,3,4,5,6,7,8,9,10,11,12,13,13", "row 13 is given to two nodes"),
        ("--rows twice.txt", "node '0' is given a second time"),
        ("--rows absent.txt", "no readable file"),
        ("--key w", "leave out --key"),
        ("--weight-decay -1", "weight_decay must be"),
    ],
)
def test_score_refuses_options(capsys: Capture, options: str, message: str) -> None:
    np.save("v.npy", EMBEDDING)
    Path("twice.txt").write_text("0 1\n0 2\n")
    assert message in refusal(capsys, "score", "cycle:15", "v.npy", *options.split())


# Graphs and options.


@pytest.mark.parametrize("command", ["theory", "compare", "train", "score"])
@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("cicle:15", "did you mean 'cycle:15'"),
        ("isolated.edges", r"isolated node\(s\) \(3\)"),
        ("one-way.mtx", "directed.*--symmetrize"),
        ("empty.edges", "no edges and no nodes"),
        ("absent.edges", "does not exist"),
    ],
)
def test_graphs_that_are_refused(capsys: Capture, command: str, graph: str, message: str) -> None:
    Path("isolated.edges").write_text("1 2\n3\n")
    Path("one-way.mtx").write_text("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 1\n")
    Path("empty.edges").touch()
    before = files_here()
    assert re.search(message, refusal(capsys, command, graph, *(["v.npy"] if command == "score" else [])))
    assert files_here() == before


@pytest.mark.parametrize("command", ["train", "compare"])
def test_what_does_not_fit_in_memory_is_refused_before_it_fills_it(capsys: Capture, command: str) -> None:
    before = files_here()
    message = refusal(capsys, command, "grid:1000x1000", "--no-optimum")
    assert re.search(r"of 1000000 nodes takes \d+.0 GB, .* of memory are free: take a smaller graph", message)
    assert files_here() == before


def test_one_node_is_nothing_to_compare(capsys: Capture) -> None:
    Path("one.edges").write_text("1 1\n")
    assert "at least two" in refusal(capsys, "compare", "one.edges", "--steps", "2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("theory cycle:5 --weight-decay -1", "weight_decay must be a finite number >= 0"),
        ("theory cycle:5 --weight-decay much", "Invalid value for '--weight-decay'"),
        ("theory cycle:5 --init-scale 1", r"init_scale must lie in \(0, 1\)"),
        ("theory cycle:5 --laplacian normal", "unknown Laplacian kind 'normal'"),
        ("theory cycle:5 --label-smoothing 1", r"label_smoothing must lie in \[0, 1\)"),
        ("theory cycle:5 --zzzzzzzz", r"No such option: --zzzzzzzz\. See"),
        ("theory", "Missing argument 'GRAPH'"),
        ("theory cycle:5 cycle:6", "unexpected extra argument"),
        ("compare cycle:5 --steps 0", "'--steps'.*greater than or equal to 1"),
        ("compare cycle:5 --steps 99999999999999999999", "'--steps'.*less than or equal to"),
        ("compare cycle:5 --seeds 0", "'--seeds'"),
        ("compare cycle:5 -m bert", "unknown model 'bert'"),
        ("compare cycle:5 -m node2vec -m node2vec", "without repeats"),
        ("compare cycle:5 --width 0", "width must be at least 1"),
        ("train cycle:5 --learning-rate nan", "learning_rate must be a positive number"),
        ("train cycle:5 --init-std -1", "init_std must be a positive number"),
        ("train cycle:5 --seed -1", "'--seed'"),
        ("train cycle:5 --out taken", "another --out"),
        ("draw cycle:5", "No such command 'draw'"),
    ],
)
def test_bad_arguments(capsys: Capture, arguments: str, message: str) -> None:
    Path("taken").write_text("a file")
    assert re.search(message, refusal(capsys, *arguments.split()))
    assert [path.name for path in Path().iterdir()] == ["taken"]


# Exit codes.


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("no certified\noptimum"), 1, "no certified optimum"),
        (FloatingPointError("overflow"), 1, "overflow"),
        (MemoryError(), 1, "MemoryError"),
        (OSError(28, "No space left"), 1, "[Errno 28] No space left"),
        (ValueError("bad"), 2, "bad"),
        (TypeError("worse"), 2, "worse"),
    ],
)
def test_exit_codes(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli_theory, "make_task", fail)
    assert refusal(capsys, "theory", "cycle:5", code=code) == message


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_theory, "make_task", lambda *_, **__: {}["absent"])
    with pytest.raises(KeyError):
        main(["theory", "cycle:5"])


def test_a_run_that_diverges_is_a_failure(capsys: Capture) -> None:
    failed = ["train", "cycle:8", "--model", "transformer", "--steps", "5", "--learning-rate", "1e30"]
    assert "diverged" in refusal(capsys, *failed, code=1)
