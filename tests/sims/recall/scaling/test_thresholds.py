"""Reports of searches with lower levels, and of several hops: planted thresholds come out in JSON, tables, figures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.draw import drawing
from fiedler.sims.figures.recall import read_scaling
from fiedler.sims.recall.scaling import run as recall_scaling
from fiedler.sims.recall.scaling.dimension import SmallestWidth, Trial, search_width, width_grid
from fiedler.sims.recall.scaling.hops import fit_plane
from fiedler.sims.recall.scaling.presets import CHAIN, SCALING_PRESETS
from fiedler.sims.recall.scaling.report import describe_scaling, fit_curves, write_scaling
from fiedler.sims.recall.scaling.run import ScalingResult, run_scaling
from fiedler.sims.recall.settings import RecallSettings
from figures import assert_legible

STEEP = 8  # of planted recall, 1 / (1 + (middle / d)^STEEP)


def _planted(settings: RecallSettings, seed: int, **options) -> SmallestWidth:  # type: ignore[no-untyped-def]
    """Half recall at 6 N^.25 R^.5; with several hops all of it from 3 R + 2 K, or 4 R^K, on."""
    n, r, k = settings.subjects, settings.relations, settings.hops
    options = {name: options[name] for name in ("lower", "start", "threshold")}
    if k > 1 or n == 16:
        least = 3 * r + 2 * k + seed % 2 if settings.chain_of_thought or k == 1 else 4 * r**k
        return search_width(lambda width: Trial(width, float(width >= least), 1), width_grid(2, 256), **options)
    middle = 6 * n**0.25 * r**0.5 * (1 + 0.01 * seed)
    return search_width(lambda w: Trial(w, 1 / (1 + (middle / w) ** STEEP), 1), width_grid(2, 256), **options)


def _run(name: str, out: Path, **changes: object) -> ScalingResult:
    preset = dataclasses.replace(SCALING_PRESETS[name], **changes)  # type: ignore[arg-type]
    grid = {key: getattr(preset, key) for key in ("conditions", "subjects", "relations", "hops", "lower")}
    return run_scaling(preset.settings, range(3), out, jobs=1, **grid)


@pytest.fixture
def _without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_scaling, "smallest_width", _planted)


@pytest.mark.usefixtures("_without_training")
def test_planted_thresholds_collapse_where_they_were_planted(tmp_path: Path) -> None:
    result = _run("threshold", tmp_path / "out", conditions=("trained",), subjects=(32, 64, 128, 256), relations=(2, 4))
    answer, written = write_scaling(result)
    assert {path.name for path in written} >= {"threshold.png", "scaling.png", "report.md"}
    half = answer["levels"]["0.5"]["trained"]
    for one in half["thresholds"]:
        planted = 6 * one["subjects"] ** 0.25 * one["relations"] ** 0.5
        assert one["dimensions"] == pytest.approx([planted * (1 + 0.01 * seed) for seed in range(3)], rel=0.02)
    best = half["collapse"]["all"]["N^a R^b"]
    assert (best["powers"]["subjects"], best["powers"]["relations"]) == pytest.approx((0.25, 0.5), abs=0.02)
    assert best["variation"] < 0.02 < half["collapse"]["all"]["R log2 N"]["variation"]
    assert half["laws"]["power"].second == pytest.approx(0.25, abs=0.02)
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Variation of the crossing of 50% over sizes" in report
    kept = json.loads((tmp_path / "out" / "scores.json").read_text())
    again = read_scaling(kept, tmp_path)
    assert describe_scaling(again, fit_curves(again))["levels"].keys() == kept["levels"].keys()


@pytest.mark.usefixtures("_without_training")
def test_dimensions_over_hops_come_out_as_planted(tmp_path: Path) -> None:
    result = _run("hop-threshold", tmp_path / "out", hops=(1, 2, 3))
    names = {path.name for path in (tmp_path / "out" / "runs").iterdir()}
    assert "chain_of_thought-16x2-hops2-seed0" in names
    assert not any(name.startswith("chain_of_thought-16x2-seed") for name in names)  # one hop: it is "trained"
    answer, written = write_scaling(result)
    assert {path.name for path in written} >= {"hop-threshold.png", "report.md"}
    plane = answer["hops_found"][CHAIN]["plane"]
    assert (plane["per_relation"], plane["per_hop"]) == pytest.approx((3, 2), abs=1e-9)
    assert plane["relation_interval"][0] < 3 < plane["relation_interval"][1]
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "chain of thought, R = 3 | 11–12 | 13–14 | 15–16" in report
    assert "at once, R = 2 | 8–9 | 16 | 32" in report


@pytest.mark.usefixtures("_without_training")
def test_the_figures_are_legible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(drawing, "save_figure", lambda figure, *_: seen.append(figure) or [])
    write_scaling(_run("threshold", tmp_path / "one", conditions=("trained", "frozen_subjects")))
    write_scaling(_run("hop-threshold", tmp_path / "two"))
    assert len(seen) == 3
    for figure in seen[1:]:
        assert_legible(figure)


def test_a_plane_is_the_regression() -> None:
    rng = np.random.default_rng(0)
    r, k = np.meshgrid([1, 2, 4], [1, 2, 3, 4])
    r, k = np.repeat(r.ravel(), 3), np.repeat(k.ravel(), 3)
    covered = np.zeros(2)
    for _ in range(200):
        found = fit_plane(r, k, 1 + 2 * r + 0.5 * k + 0.3 * rng.standard_normal(len(r)))
        covered += [found.relation_interval[0] <= 2 <= found.relation_interval[1],
                    found.hop_interval[0] <= 0.5 <= found.hop_interval[1]]  # fmt: skip
    assert ((covered >= 180) & (covered < 200)).all()
    with pytest.raises(ValueError, match="different relations and hops"):
        fit_plane([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
