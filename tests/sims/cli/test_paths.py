"""The command `fiedler paths`: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy.stats import binom

from commands import Capture, answer, files_here, refusal, table
from fiedler.sims.paths.presets import get_preset
from fiedler.sims.paths.run import run_paths
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.recall.presets import PRESETS as recall_presets
from fiedler.sims.runs.conditions import choose_conditions
from fiedler.theory import parse

TINY = ("path-star:5x3", "--steps", "6", "--width", "16", "--layers", "1", "--heads", "2", "--edge-batch", "8",
        "--path-batch", "4", "--records", "2", "--seeds", "2", "--jobs", "1")  # fmt: skip
TIE = 1e-9  # numbers of right answers as probable as each other, up to rounding
METRICS = ("first_token_accuracy", "first_token_choice", "path_accuracy")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_the_answer_holds_every_condition_seed_and_step(capsys: Capture) -> None:
    found = answer(capsys, "paths", *TINY, "--out", "out")
    assert found["graph"] == "path-star:5x3"
    assert found["chance"] == pytest.approx(1 / 5)
    assert found["conditions"] == ["in_weights", "frozen_embeddings", "in_context"]
    for name in found["conditions"]:
        one = found[name]
        assert [run["seed"] for run in one["per_seed"]] == [0, 1]
        for key in METRICS:
            assert one[key] == pytest.approx(sum(run[key] for run in one["per_seed"]) / 2)
        assert len(one["per_position"]) == 3
        assert one["first_token_asked"] == sum(run["paths"] for run in one["per_seed"])
        above = binom.sf(one["first_token_right"] - 1, one["first_token_asked"], one["chance"])
        assert one["first_token_p_value"] == pytest.approx(above)
        asked, right = one["first_token_choice_asked"], one["first_token_choice_right"]
        assert right == round(sum(run["first_token_choice"] * run["paths"] for run in one["per_seed"]))
        assert asked == one["first_token_asked"]
        each = binom.pmf(range(asked + 1), asked, one["chance"])
        as_far = each[each <= each[right] * (1 + TIE)].sum()
        assert one["first_token_choice_p_value"] == pytest.approx(as_far)
        steps = [r["step"] for r in found["curve"] if r["condition"] == name and r["seed"] == 1]
        assert steps == [0, 3, 6]
    for name in ("in_weights", "frozen_embeddings"):
        assert set(found[name]["per_seed"][0]["geometry"]) == {"train", "test"}
        assert 0 <= found[name]["edge_recall"] <= 1
    assert found["in_context"]["chance"] == 0.5
    assert found["frozen_embeddings"]["settings"]["frozen"] is True
    assert json.loads(Path("out/scores.json").read_text()) == found
    for figure in ("curves", "heat", "pca"):
        assert Path(f"out/figures/{figure}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in Path(f"out/figures/{figure}.svg").read_bytes()
    report = Path("out/report.md").read_text()
    assert "| frozen embeddings | 2 | 0.2 |" in report
    assert "![Learning curves](figures/curves.png)" in report


@pytest.mark.long
def test_side_by_side_is_as_one_after_the_other() -> None:
    graph, settings = parse("path-star:5x3"), PathSettings(layers=1, width=16, heads=2, steps=6, records=2)
    one, two = (
        run_paths(graph, {"in_weights": settings}, (0, 1), Path(name), jobs=jobs).runs["in_weights"]
        for name, jobs in (("one", 1), ("two", 2))
    )
    assert [run.seed for run in one] == [0, 1]
    assert [run.records for run in one] == [run.records for run in two]
    for seed in (0, 1):
        name = f"runs/in_weights-seed{seed}/embeddings.safetensors"
        assert (Path("one") / name).read_bytes() == (Path("two") / name).read_bytes()


def test_a_tree_star_preset_prints_its_table(capsys: Capture) -> None:
    options = ("tree-star:4x3", *TINY[1:])
    text = table(capsys, "paths", "--preset", "fig11", "--only", "split_at_first_token", *options, "--out", "out")
    assert "split at first token │ 2 │ 0.25 │" in text
    assert "tree-star:4x3, chance 0.25" in text
    assert "loss, split at first token: edges" in text
    # One root of 4 edges, 4 inner nodes of 3, 8 leaves of one: (4 log 4 + 12 log 3) / 24.
    assert "(floor 0.780), shown paths" in text
    assert "written: out/figures/heat.png" in text


def test_in_context_alone_has_no_geometry(capsys: Capture) -> None:
    found = answer(capsys, "paths", *TINY, "--only", "in_context", "--teacherless", "--out", "out")
    assert found["conditions"] == ["in_context"]
    assert found["in_context"]["settings"]["teacherless"] is True
    assert answer(capsys, "paths", *TINY, "--only", "in_context", "--teacherless", "--out", "out", "--resume") == found
    assert sorted(path.name for path in Path("out/figures").iterdir()) == ["curves.png", "curves.svg"]


def test_a_dry_run_says_the_size_and_writes_nothing(capsys: Capture) -> None:
    (full,) = answer(capsys, "paths", "--preset", "full", "--dry-run")["estimates"]
    n, width, layers, longest = 20_001, 384, 12, 2 + 5 + 4
    block = 12 * width**2 + 13 * width  # attention 4, perceptron 8; their biases 9, two norms 4
    assert full["parameters"] == (n + 9) * width + longest * width + layers * block + 2 * width
    assert full["vocabulary"] == n + 9
    found = answer(capsys, "paths", *TINY, "--dry-run")["estimates"]
    assert [one["condition"] for one in found] == ["in_weights", "frozen_embeddings", "in_context"]
    assert all(one["seconds"] > 0 for one in found)
    assert "in_weights on path-star:5x3" in table(capsys, "paths", *TINY, "--dry-run", "--only", "in_weights")
    assert not files_here()


@pytest.mark.parametrize(("arguments", "message"), [
    (("cycle:15",), "cycle:15 has no root-to-leaf paths to learn"),
    (("path-star:1x5",), "leaves nothing to find"),
    (("--preset", "fig99"), "unknown preset 'fig99'"),
    (("--only", "in_weight"), "no condition 'in_weight'; did you mean 'in_weights'?"),
    (("--recipe", "stage"), "unknown recipe 'stage'"),
    (("--objective", "easy"), "unknown objective 'easy'"),
    (("--edge-targets", "exakt"), "unknown edge_targets 'exakt'; did you mean 'exact'?"),
    (("--task", "both"), "unknown task 'both'"),
    (("--edges", "out"), "unknown edges 'out'"),
    (("--arch", "gtp2"), "gtp2 is neither a causal LM"),
    (("--width", "30"), "width 30 must be a multiple of heads"),
    (("--learning-rate", "0"), "learning_rate must be a positive number"),
    (("--projection", "tsne"), "unknown projection 'tsne'"),
    (("--overwrite", "--resume"), "give one of them"),
    (("--only", "in_context", "--frozen"), "no condition is left"),
    (("--device", "tpu"), "unknown device 'tpu'"),
    (("--steps", "0"), "--steps"),
    (("--checkpoint-every", "-1"), "checkpoint_every must be a number of seconds"),
])  # fmt: skip
def test_bad_input_is_one_line(capsys: Capture, arguments: tuple[str, ...], message: str) -> None:
    assert message in refusal(capsys, "paths", *arguments, "--jobs", "1")
    assert not any(name.endswith((".json", ".png")) for name in files_here())


def test_the_full_preset_asks_for_a_gpu(capsys: Capture) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "needs a CUDA GPU" in refusal(capsys, "paths", "--preset", "full")
    assert not files_here()


def test_other_settings_than_the_folders_are_refused(capsys: Capture) -> None:
    answer(capsys, "paths", *TINY, "--only", "in_context", "--out", "out")
    before = files_here()
    assert "not empty" in refusal(capsys, "paths", *TINY, "--only", "in_context", "--out", "out")
    assert "holds another run" in refusal(capsys, "paths", *TINY, "--out", "out", "--resume")
    assert files_here() == before


def test_options_change_every_condition_and_equal_ones_become_one() -> None:
    cpu, fig4 = get_preset("cpu").conditions, get_preset("fig4").conditions
    changed = choose_conditions(cpu, {"width": 64})
    assert {settings.width for settings in changed.values()} == {64}
    assert changed["in_weights"].steps == cpu["in_weights"].steps
    frozen = choose_conditions(cpu, {"frozen": True}, leave_out=lambda settings: settings.in_context)
    assert list(frozen) == ["in_weights"]  # the first of the names
    assert list(choose_conditions(fig4, {"objective": "full"})) == ["in_weights"]
    assert list(choose_conditions(cpu, {}, only=["in_context"])) == ["in_context"]
    structure = recall_presets["structure"].conditions
    assert list(choose_conditions(structure, {"frozen": True})) == ["trained", "frozen_embeddings"]


def test_frozen_leaves_the_conditions_in_context_out(capsys: Capture) -> None:
    found = answer(capsys, "paths", *TINY, "--frozen", "--out", "out")
    assert found["conditions"] == ["in_weights"]
    assert found["in_weights"]["settings"]["frozen"] is True


def test_help_explains(capsys: Capture) -> None:
    text = table(capsys, "paths", "--help")
    assert "Path finding from memory" in text
    assert "Frozen" in text or "frozen" in text
