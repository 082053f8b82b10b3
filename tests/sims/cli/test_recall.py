"""The command `fiedler recall`: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from commands import Capture, answer, files_here, refusal, table
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.scores.statistics import mean_interval

TINY = ("--subjects", "8", "--relations", "2", "--width", "16", "--neurons", "24", "--steps", "6", "--records", "2",
        "--seeds", "2", "--jobs", "1")  # fmt: skip
# Student's t by hand: mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653.
KNOWN_INTERVAL = [2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_the_answer_holds_every_condition_seed_and_step(capsys: Capture) -> None:
    found = answer(capsys, "recall", *TINY, "--out", "out")
    assert (found["subjects"], found["relations"], found["attributes"], found["dimension"]) == (8, 2, 8, 16)
    assert found["chance"] == 1 / 8
    assert list(found["conditions"]) == ["trained", "frozen_subjects", "frozen_embeddings"]
    for name, one in found["conditions"].items():
        assert [run["seed"] for run in one["per_seed"]] == [0, 1]
        for key in ("accuracy", "transfer_accuracy", "random_control", "margin"):
            values = [run[key] for run in one["per_seed"]]
            assert one["mean"][key] == pytest.approx(sum(values) / 2)
            assert one["interval"][key] == pytest.approx(mean_interval(values))
        steps = [r["step"] for r in found["curve"] if r["condition"] == name and r["seed"] == 1]
        assert steps == [0, 3, 6]
    assert found["accuracy"] == found["conditions"]["trained"]["mean"]["accuracy"]
    assert json.loads(Path("out/scores.json").read_text()) == found
    assert Path("out/figures/structure.png").read_bytes().startswith(b"\x89PNG")
    report = Path("out/report.md").read_text()
    assert "frozen embeddings" in report
    assert "command" in report
    assert "subjects 8" in report
    kept = json.loads(Path("out/runs/trained-seed1/scores.json").read_text())
    assert kept["transfer_accuracy"] == found["conditions"]["trained"]["per_seed"][1]["transfer_accuracy"]


def test_controls_of_one_hop_are_left_out_for_more(capsys: Capture) -> None:
    found = answer(capsys, "recall", *TINY, "--hops", "2", "--held-out", "0.25", "--out", "out")
    assert list(found["conditions"]) == ["trained"]
    one = found["conditions"]["trained"]
    assert 0 <= one["mean"]["held_out_accuracy"] <= 1
    assert "transfer_accuracy" not in one["mean"]
    assert Path("out/figures/structure.png").exists()


def test_a_resumed_folder_is_only_read(capsys: Capture) -> None:
    options = (*TINY, "--only", "trained", "--out", "one")
    found = answer(capsys, "recall", *options)
    assert answer(capsys, "recall", *options, "--resume") == found
    # As an earlier version left it, without corrected swaps: analysed again, from the weights.
    folder = RunDir(Path("one/runs/trained-seed0"))
    scores = folder.read_scores()
    then = [name for name in scores["results"] if "_corrected_" not in name and name != "intervention_correction"]
    new = set(scores["results"]) - set(then)
    folder.write_scores({**{name: scores[name] for name in scores if name not in new}, "results": then})
    folder.seal()
    assert answer(capsys, "recall", *options, "--resume") == found
    assert folder.read_scores() == scores


def test_the_map_over_hops_prints_its_table(capsys: Capture) -> None:
    options = ("--subjects", "6", "--relations", "2", "--width", "8", "--neurons", "8", "--steps", "3", "--seeds", "1")
    only = [word for name in ("hops_1_layers_1", "hops_2_layers_1", "hops_2_layers_2", "hops_2_chain_of_thought")
            for word in ("--only", name)]  # fmt: skip
    text = table(capsys, "recall", "--preset", "multi-hop", *options, *only, "--jobs", "1", "--out", "out")
    assert "chain of thought" in text
    assert "2 hops" in text
    assert Path("out/figures/hops.png").exists()
    scores = json.loads(Path("out/scores.json").read_text())
    cells = {(c["hops"], c["layers"], c["chain_of_thought"]): c for c in scores["hop_map"]["cells"]}
    assert set(cells) == {(1, 1, False), (2, 1, False), (2, 2, False), (2, 1, True)}
    # The construction needs R^K blocks in one layer, and R with two layers or with chain of thought.
    assert cells[2, 1, False]["construction_dimension"] == 2 * cells[1, 1, False]["construction_dimension"]
    assert cells[2, 2, False]["construction_dimension"] == cells[1, 1, False]["construction_dimension"]
    assert cells[2, 1, True]["construction_dimension"] == cells[1, 1, False]["construction_dimension"]


def test_the_construction_recalls_everything(capsys: Capture) -> None:
    found = answer(capsys, "recall", "--construct", "--subjects", "300", "--relations", "3", "--seeds", "2")
    assert found["accuracy"] == found["transfer_accuracy"] == 1.0
    assert found["margin"] >= found["margin_bound"] >= 0.5
    assert found["random_control"] <= 3 / 300
    assert found["dimension"] == 3 * found["code_dimension"]
    assert found["transformer_accuracy"] == 1.0
    assert not files_here()
    text = table(capsys, "recall", "--construct", "--subjects", "50", "--code-dimension", "24")
    assert "smallest margin" in text
    narrow = answer(capsys, "recall", "--construct", "--subjects", "50", "--code-dimension", "16", "--width", "24")
    assert narrow["dimension"] == 24
    assert narrow["accuracy"] < 1.0  # four blocks of 16 in 24 dimensions


def test_a_dry_run_says_the_size_and_writes_nothing(capsys: Capture) -> None:
    found = answer(capsys, "recall", *TINY, "--dry-run")["estimates"]
    assert [one["condition"] for one in found] == ["trained", "frozen_subjects", "frozen_embeddings"]
    assert found[0]["questions"] == 16
    assert found[0]["vocabulary"] == 8 + 2 + 8
    assert "16 questions" in table(capsys, "recall", *TINY, "--dry-run", "--only", "trained")
    assert not files_here()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "structur"), "did you mean 'structure'"),
        (("--only", "traind"), "did you mean 'trained'"),
        (("--subjects", "1"), "greater than or equal to 2"),
        (("--attributes", "300"), "got 300 for 200 subjects"),
        (("--hops", "2", "--disjoint"), "one set of entities"),
        (("--held-out", "0.5"), "raise hops"),
        (("--code-dimension", "9"), "leave --code-dimension out"),
        (("--construct", "--steps", "5"), "leave --steps out"),
        (("--construct", "--disjoint"), "leave --disjoint out"),
        (("--construct", "--out", "x"), "leave --out out"),
        (("--preset", "scaling", "--width", "9"), "leave --width out"),
        (("--preset", "scaling", "--frozen-subjects"), "leave --frozen-subjects out"),
        (("--preset", "scaling", "--checkpoint-every", "9"), "has no checkpoints"),
        (("--preset", "hop-threshold", "--hops", "2"), "leave --hops out"),
        (("--preset", "hop-threshold", "--only", "frozen_subjects"), "frozen_subjects is for one hop"),
        (("--preset", "threshold", "--only", "chain_of_thought"), "chain_of_thought is for several hops"),
        (("--construct", "--coherence", "0.01", "--code-dimension", "4"), "larger dimension or a larger coherence"),
        (("--construct", "--coherence", "7"), "coherence must lie in"),
        (("--arch", "mamba"), "perceptron"),
        (("--width", "10", "--heads", "3"), "multiple of heads"),
        (("--device", "cuda"), "needs a CUDA GPU"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--resume", "--overwrite"), "give one of them"),
        (("--learning-rate", "nan"), "learning_rate must be a positive number"),
    ],
)
def test_bad_input_is_one_line(capsys: Capture, arguments: tuple[str, ...], message: str) -> None:
    assert message in refusal(capsys, "recall", *arguments)
    assert not files_here()


def test_other_settings_than_the_folders_are_refused(capsys: Capture) -> None:
    answer(capsys, "recall", *TINY, "--only", "trained", "--out", "out")
    before = Path("out/scores.json").read_bytes()
    assert "not empty" in refusal(capsys, "recall", *TINY, "--only", "trained", "--out", "out")
    assert "holds another run" in refusal(capsys, "recall", *TINY, "--out", "out", "--resume")
    assert Path("out/scores.json").read_bytes() == before


def test_intervals_are_students() -> None:
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx(KNOWN_INTERVAL)
    assert mean_interval([1.0]) is None
    assert mean_interval([1.0, float("nan")]) is None


def test_help_explains(capsys: Capture) -> None:
    text = table(capsys, "recall", "--help")
    for word in ("--construct", "--chain-of-thought", "structure", "multi-hop", "scaling"):
        assert word in text


def test_a_search_says_what_it_will_take(capsys: Capture) -> None:
    options = "--preset hop-threshold --only chain_of_thought --steps 5 --records 1 --jobs 1 --seeds 4 --dry-run"
    (found,) = answer(capsys, "recall", *options.split())["estimates"]
    assert found["condition"] == "chain_of_thought"
    assert found["searches"] == 4 * 3 * 4  # seeds, relations, hops
    assert found["seconds"] > 0
    assert not files_here()
