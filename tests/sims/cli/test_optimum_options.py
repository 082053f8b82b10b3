"""--no-optimum, --tolerance and --time-limit on the commands, and an interrupt in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from commands import Capture, answer, refusal
from fiedler.sims.cli import tables
from fiedler.sims.cli.commands import main
from fiedler.sims.predict import describe
from fiedler.theory import graph_optimum, parse

SMALL = ("--steps", "20", "--width", "6")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


def printed(capsys: Capture, *arguments: str) -> str:
    assert main([*arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_train_and_score_agree_on_a_run_with_decay(capsys: Capture) -> None:
    """The one number that a user sees twice is the same."""
    trained = answer(capsys, "train", "irregular", *SMALL, "--weight-decay", "0.1", "--out", "run")
    alone = answer(capsys, "score", "irregular", "run/embeddings.safetensors", "--weight-decay", "0.1")
    assert alone["gram_error"] == pytest.approx(trained["gram_error"], abs=1e-8)
    assert trained["optimum_weight_decay"] == alone["optimum_weight_decay"] == 0.1
    assert "against the optimum with weight decay 0.1" in printed(
        capsys, "train", "irregular", *SMALL, "--weight-decay", "0.1", "--out", "other"
    )


@pytest.mark.parametrize("arguments", ["train irregular --out a", "compare irregular -m node2vec --seeds 1 --out a"])
def test_without_the_optimum_every_message_says_so(capsys: Capture, arguments: str) -> None:
    shown = printed(capsys, *arguments.split(), *SMALL, "--no-optimum")
    assert "without the optimum (--no-optimum)" in shown
    assert "without the optimum (--no-optimum)" in printed(
        capsys, *arguments.split(), "--dry-run", *SMALL, "--no-optimum"
    )
    scores = json.loads(Path("a/scores.json").read_text())
    run = scores["runs"][0] if "runs" in scores else scores
    assert run["gram_error"] is None
    assert run["effective_rank"] > 0
    assert main(["report", "a", "--no-optimum"]) == 0


def test_score_without_the_optimum(capsys: Capture) -> None:
    np.save("v.npy", np.random.default_rng(0).standard_normal((15, 4)))
    found = answer(capsys, "score", "cycle:15", "v.npy", "--no-optimum")
    assert found["gram_error"] is None
    assert found["geometric_margin"] is not None
    assert "without the optimum (--no-optimum)" in printed(capsys, "score", "cycle:15", "v.npy", "--no-optimum")


def test_a_sweep_scores_every_point_against_its_own_decay(capsys: Capture) -> None:
    import pandas as pd

    Path("s.toml").write_text(
        '[base]\ngraph = "cycle:7"\nsteps = 1000\nwidth = 8\ninit_std = 0.3\nlearning_rate = 0.2\n'
        "[axes]\nweight_decay = [0.1, 0.3]\n"
    )
    assert main(["sweep", "s.toml", "-j", "1", "--out", "s", "--no-optimum"]) == 0
    assert pd.read_csv("s/results.csv")["gram_error"].isna().all()
    assert main(["sweep", "s.toml", "-j", "1", "--out", "s", "--optimum"]) == 0
    table = pd.read_csv("s/results.csv")
    assert table["optimum_weight_decay"].tolist() == table["weight_decay"].tolist()
    assert (table["gram_error"] < 1e-6).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--tolerance 1", "tolerance is the relative duality gap to stop at, from 0 (exact) to below 1; got 1.0"),
        ("--tolerance nan", "tolerance is the relative duality gap to stop at"),
        ("--time-limit 0", "time_limit must be a positive number of seconds; got 0.0: give 60"),
        ("--tolerance much", "Invalid value for '--tolerance'"),
    ],
)
@pytest.mark.parametrize("command", ["theory", "train", "compare", "headroom"])
def test_a_search_without_an_end_is_refused(capsys: Capture, command: str, options: str, message: str) -> None:
    assert message in refusal(capsys, command, "cycle:5", *options.split())


@pytest.mark.parametrize("arguments", ["score cycle:5", "score nowhere"])
def test_score_needs_something_to_score(capsys: Capture, arguments: str) -> None:
    assert "give an EMBEDDING_FILE after" in refusal(capsys, *arguments.split())


def test_a_folder_says_itself_what_it_was(capsys: Capture) -> None:
    assert main(["train", "cycle:5", *SMALL, "--out", "run"]) == 0
    capsys.readouterr()
    assert "run says itself what its run was" in refusal(capsys, "score", "run", "--weight-decay", "0.1")


def test_an_interrupt_prints_the_spectrum_that_theory_has(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    monkeypatch.setattr(describe, "graph_optimum", interrupted)
    assert main(["theory", "karate", "--json"]) == 130
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["interrupted"] is True
    assert len(found["spectrum"]) > 20
    assert "optimum" not in found
    assert found["growth_rates"]  # the early phase takes a moment, and comes before
    assert captured.err.startswith("fiedler: interrupted: what was found by then is printed")


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_prints_the_best_optimum_so_far(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    told = describe.told

    def told_and_interrupted(*arguments: Any, **options: Any) -> Any:
        hear, sent = told(*arguments, **options), []

        def also(state: Any) -> bool:
            if np.isfinite(state.relative_gap) and not sent:
                sent.append(os.kill(os.getpid(), signal.SIGINT))
                time.sleep(0.05)  # signals are handled by the main thread, this is the solver's
            return hear(state)

        return also

    monkeypatch.setattr(describe, "told", told_and_interrupted)
    monkeypatch.setattr("fiedler.theory.optimum.search.TELL_EACH", 0.0)
    assert main(["theory", "les-miserables", *(["--json"] if as_json else [])]) == 130
    captured = capsys.readouterr()
    assert captured.err.startswith("fiedler: interrupted: what was found by then is printed")
    if not as_json:
        assert "ended on request; an exact answer was asked for" in " ".join(captured.out.split())
        return
    found = json.loads(captured.out)
    assert found["interrupted"] is True
    optimum = found["optimum"]
    assert optimum["stopped_by"] == "request"
    assert not optimum["converged"]
    assert 1e-12 < optimum["relative_gap"] < 1
    assert (optimum["rank_low"], optimum["rank_high"]) == (0, 77)
    exact = graph_optimum(parse("les-miserables")).loss_per_node
    assert optimum["loss_per_node"] * (1 - optimum["relative_gap"]) < exact < optimum["loss_per_node"]
    assert "drift" not in found
    assert main(["theory", "karate"]) == 130
    assert "Spectrum of its" in capsys.readouterr().out


def test_an_uncertain_optimum_says_which_digits() -> None:
    exact = {"gram_error": 0.1, "fiedler_score": 0.9, "optimum_relative_gap": 1e-14, "optimum_uncertainty": 1e-7}
    assert "+-" not in tables.against_optimum(exact)
    loose = {**exact, "optimum_relative_gap": 1e-4, "optimum_uncertainty": 1e-2, "optimum_stopped_by": "time limit"}
    loose["fiedler_score_range"] = [0.8, 0.9]
    assert tables.against_optimum(loose).endswith(
        "(gram_error +- about 0.01, fiedler_score between 0.8 and 0.9: the optimum has a relative gap of 1.0e-04, "
        "stopped by time limit)"
    )


def test_a_dry_run_counts_the_optimum(capsys: Capture) -> None:
    found = answer(capsys, "train", "cycle:15", *SMALL, "--dry-run")["estimates"][0]
    assert found["optimum_left_out"] == ""
    assert "optimum" in found["text"]
    found = answer(capsys, "train", "cycle:15", *SMALL, "--dry-run", "--no-optimum")["estimates"][0]
    assert found["optimum_seconds"] == 0


def test_what_an_unfinished_search_leaves_open_is_said(capsys: Capture) -> None:
    nx.write_edgelist(nx.barabasi_albert_graph(60, 2, seed=0), "tree.edgelist", data=False)
    found = answer(capsys, "theory", "tree.edgelist", "--time-limit", "1e-9")
    assert found["optimum"]["attained"] is None
    assert found["optimum"]["stopped_by"] == "time limit"
    shown = printed(capsys, "theory", "tree.edgelist", "--time-limit", "1e-9")
    assert "not known at this gap" in shown
    assert "at the time limit; an exact answer was asked for" in shown
    np.save("v.npy", np.random.default_rng(0).standard_normal((60, 4)))
    scored = printed(capsys, "score", "tree.edgelist", "v.npy", "--time-limit", "1e-9")
    assert "the search ended before it found any direction" in scored


def test_a_computation_left_to_itself_does_not_hold_up_the_end() -> None:
    """The interpreter would trip over the thread that a stopped program leaves in a library's call."""
    code = (
        "import sys, threading, time\n"
        "from fiedler.sims.cli import __main__ as program, commands\n"
        "from fiedler.sims.runs import stopping\n"
        "def run():\n"
        "    stop = stopping.StopRequest()\n"
        "    threading.Timer(0.2, lambda: setattr(stop, 'signalled', True)).start()\n"
        "    try:\n"
        "        stopping.heeding(stop, lambda: time.sleep(60))\n"
        "    except stopping.Interrupted:\n"
        "        print('found by then')\n"
        "        return 130\n"
        "commands.main = run\n"
        "sys.exit(program.main())\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "found by then\n", "")
    assert time.monotonic() - began < 50
