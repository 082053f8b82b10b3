"""The command `fiedler headroom`: what it measures, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from commands import Capture, answer, files_here, refusal, table
from fiedler.sims.headroom.conditions import BASE, BASE_WORD, REFERENCE, TITLES, VARIANTS, model_variants, path_variants
from fiedler.sims.headroom.embeddings import MEASURES, least_gram_error
from fiedler.sims.headroom.paths import PATH_MEASURES, half_step
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.scores.statistics import paired_difference, summary
from fiedler.theory import gram_distance, gram_error, parse, tied_optimum
from fiedler.theory.targets.one_hop import one_hop_target

TINY = ("cycle:6", "--seeds", "2", "--steps", "12", "--width", "8")
SHORT_PATHS = ("path-star:5x3", "--paths", "--seeds", "2", "--steps", "6", "--width", "8", "--jobs", "1")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_paired_differences_are_scipys() -> None:
    rng = np.random.default_rng(0)
    values, base = rng.normal(1, 1, 7), rng.normal(0, 2, 7)
    found = paired_difference(list(values), list(base))
    expected = ttest_rel(values, base).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert found["mean"] == pytest.approx((values - base).mean())
    assert found["pairs"] == 7
    # Seeds without a number on either side do not count.
    assert paired_difference([1.0, float("inf"), 2.0], [0.0, 1.0, float("nan")]) == {
        "pairs": 1, "mean": 1.0, "sd": None, "low": None, "high": None,
    }  # fmt: skip
    assert paired_difference([float("inf")], [float("inf")])["mean"] is None
    assert summary([1.0, 3.0, float("inf")]) == {"mean": 2.0, "sd": pytest.approx(2**0.5), "missing": 1}
    with pytest.raises(ValueError, match="got 1 and 2"):
        paired_difference([1.0], [1.0, 2.0])


def test_the_step_of_half_the_accuracy() -> None:
    records = [{"step": step, "first_token_accuracy": a} for step, a in ((0, 0.0), (5, 0.2), (10, 0.4), (15, 0.3))]
    assert half_step(records, 0.8) == 10
    assert half_step(records, 0.4) == 5
    assert half_step(records, 0.9) == float("inf")
    assert np.isnan(half_step(records, 0.0))


def test_variants_differ_from_the_base_in_their_geometry_alone() -> None:
    for word in (BASE_WORD, "transformer", "hf:llama", "one-layer:width=16"):
        models = model_variants(word)
        assert [model.name for model in models] == [BASE, *VARIANTS]
        base, *rest = (vars(model.make_settings(steps=7)) for model in models)
        assert base["geometry"] == "none"
        for settings, (geometry, strength) in zip(rest, VARIANTS.values(), strict=True):
            assert settings == {**base, "geometry": geometry, "geometry_strength": strength}
    conditions = path_variants(PathSettings(width=16))
    assert set(conditions) <= set(TITLES)
    assert {one.geometry for one in conditions.values()} == {"none", "init", "align", "node2vec"}
    for word in ("node2vec", "transformer:geometry=init"):
        with pytest.raises(ValueError, match="geometry"):
            model_variants(word)


def test_the_answer_of_tiny_graphs(capsys: Capture) -> None:
    found = answer(capsys, "headroom", *TINY, "--out", "out")
    (one,) = found["graphs"].values()
    assert list(one["variants"]) == [BASE, *VARIANTS, REFERENCE]
    optimum = tied_optimum(one_hop_target(parse("cycle:6")))
    for name, variant in one["variants"].items():
        assert [row["seed"] for row in variant["per_seed"]] == [0, 1]
        for row in variant["per_seed"]:
            stored = [RunDir.open(f"out/cycle-6/runs/{n}-seed{row['seed']}").read_embeddings()["embedding"]
                      for n in (name, REFERENCE)]  # fmt: skip
            assert row["gram_error"] == pytest.approx(gram_error(stored[0], optimum))
            assert row["node2vec_distance"] == pytest.approx(gram_distance(*stored), abs=1e-12)
        for key in MEASURES:
            check_summary(variant, one["variants"][BASE], key)
    assert one["variants"][REFERENCE]["per_seed"][0]["node2vec_distance"] == pytest.approx(0, abs=1e-6)
    assert json.loads(Path("out/scores.json").read_text()) == found
    assert Path("out/figures/headroom.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in Path("out/figures/headroom.svg").read_bytes()
    assert "| Transformer | " in Path("out/report.md").read_text()
    assert "| loss (floor 0.6931) |" in Path("out/report.md").read_text()
    assert answer(capsys, "headroom", *TINY, "--out", "out", "--resume") == found


def check_summary(variant: dict[str, Any], base: dict[str, Any], key: str) -> None:
    values, first = ([row[key] for row in one["per_seed"]] for one in (variant, base))
    known = [value for value in values if value is not None]
    if not known:
        assert variant["summary"][key]["mean"] is None
        return
    assert variant["summary"][key]["mean"] == pytest.approx(np.mean(known))
    assert variant["summary"][key]["missing"] == len(values) - len(known)
    if None not in [*values, *first]:
        assert variant["difference"][key]["mean"] == pytest.approx(np.mean(values) - np.mean(first), abs=1e-12)


def test_the_answer_of_paths(capsys: Capture) -> None:
    found = answer(capsys, "headroom", *SHORT_PATHS, "--out", "out")
    assert found["chance"] == pytest.approx(1 / 5)
    assert (found["trained_paths"], found["held_out_paths"], found["rank"]) == (4, 1, 4)
    optimum = tied_optimum(one_hop_target(parse("path-star:5x3")))
    for name, variant in found["variants"].items():
        for row, accuracy in zip(variant["per_seed"], variant["curve"]["first_token_accuracy"], strict=True):
            run = RunDir.open(f"out/runs/{name}-seed{row['seed']}")
            stored = run.read_embeddings()["embedding"]
            assert row["gram_error"] == pytest.approx(gram_error(stored, optimum), abs=1e-7)
            assert accuracy == [record["first_token_accuracy"] for record in run.read_metrics()]
            assert row["first_token_accuracy"] == accuracy[-1]
        for key in PATH_MEASURES:
            check_summary(variant, found["variants"][BASE], key)
    assert Path("out/figures/headroom.svg").exists()
    again = table(capsys, "headroom", *SHORT_PATHS, "--out", "out", "--resume")
    assert "path-star:5x3, width 8: difference" in again


def test_a_dry_run_estimates_every_run_and_trains_none(capsys: Capture) -> None:
    found = answer(capsys, "headroom", "cycle:8", "--steps", "30", "--seeds", "2", "--dry-run")["estimates"]
    assert [one["model"] for one in found] == [BASE, *VARIANTS, REFERENCE]
    assert all(one["seconds"] > 0 and one["seeds"] == 2 for one in found)
    found = answer(capsys, "headroom", "--paths", "path-star:5x3", "--steps", "20", "--seeds", "2", "--dry-run")
    assert len(found["estimates"]) == len(path_variants(PathSettings()))
    assert not files_here()


def test_no_embedding_of_the_width_is_nearer_than_the_least_gram_error() -> None:
    optimum = tied_optimum(one_hop_target(parse("path-star:6x3")))
    for width in (2, 4):
        best = optimum.embedding()[:, :width]
        least = least_gram_error(optimum, width)
        assert gram_error(best, optimum) == pytest.approx(least, abs=1e-9)
        rng = np.random.default_rng(width)
        assert all(gram_error(best + 0.1 * rng.normal(size=best.shape), optimum) > least for _ in range(20))
    assert least_gram_error(optimum, 5) == 0


@pytest.mark.parametrize(("arguments", "message"), [
    (("cycle:6", "cycle:6"), "graphs must not repeat"),
    (("nonsense",), "unknown graph 'nonsense'"),
    (("hamming:1,4",), "the predicted geometry of hamming:1,4 is zero"),
    (("cycle:6", "--model", "node2vec"), "has no geometry to set"),
    (("cycle:6", "--model", "transformer:geometry=init"), "already sets a geometry"),
    (("cycle:6", "--jobs", "2"), "--jobs is for --paths"),
    (("cycle:6", "--paths"), "cycle:6 has no root-to-leaf paths"),
    (("--paths", "--model", "mamba"), "leave --model mamba out"),
    (("--paths", "path-star:5x3", "path-star:4x3"), "--paths takes one graph"),
    (("--paths", "path-star:5x3", "--width", "9"), "multiple of heads"),
    (("cycle:6", "--overwrite", "--resume"), "give one of them"),
    (("cycle:6", "--learning-rate", "0"), "learning_rate must be a positive number"),
])  # fmt: skip
def test_bad_input_is_one_line(capsys: Capture, arguments: tuple[str, ...], message: str) -> None:
    assert message in refusal(capsys, "headroom", *arguments)
    assert not any(name.endswith((".json", ".png")) for name in files_here())
