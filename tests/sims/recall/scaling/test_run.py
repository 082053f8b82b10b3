"""The smallest dimension that memorises: bisection, constructions, fitted laws, and a whole search in its folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.disk.files import sha256_of
from fiedler.sims.disk.sums import read_sums, rewrite_sums
from fiedler.sims.recall.scaling import run as recall_scaling
from fiedler.sims.recall.scaling.construction import CONSTRUCTIONS, smallest_construction
from fiedler.sims.recall.scaling.dimension import (
    FINENESS,
    SmallestWidth,
    Trial,
    search_width,
    smallest_width,
    width_grid,
)
from fiedler.sims.recall.scaling.fit import fit_laws
from fiedler.sims.recall.scaling.presets import CONDITIONS, SCALING, TRAINED
from fiedler.sims.recall.scaling.report import fit_curves, write_scaling
from fiedler.sims.recall.scaling.run import ScalingResult, run_scaling
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.runs.control import UNWATCHED, Restart, Watch
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.theory import distinct_code_dimension

TINY = dataclasses.replace(SCALING, subjects=8, relations=2, learning_rate=3e-2, warmup=5, steps=80, records=5)
NOISE = 0.05  # of log d in planted laws
EXACT = 1e-6  # relative, of parameters fitted to a law without noise: least squares stop at 1e-8
TRIALS = 200  # planted laws whose interval is asked to cover
LEAST_COVER = 0.9  # of them: 0.95 less three standard errors, sqrt(0.95 * 0.05 / 200) = 0.015
WHOLE = [*CONSTRUCTIONS, "trained"]
SEEDS = 40  # of a construction whose median is compared


def _at(accurate_from: int, tried: list[int]):  # type: ignore[no-untyped-def]
    def attempt(width: int) -> Trial:
        tried.append(width)
        return Trial(width, 1.0 if width >= accurate_from else 0.5, 1)

    return attempt


def test_bisection_finds_what_an_exhaustive_search_finds() -> None:
    widths = width_grid(2, 90)
    for boundary in range(1, 100):
        tried: list[int] = []
        found = search_width(_at(boundary, tried), widths)
        assert found.width == next((width for width in widths if width >= boundary), None)
        assert [trial.width for trial in found.tried] == tried
        assert len(tried) == len(set(tried)) <= np.ceil(np.log2(len(widths) + 1))


def test_a_search_from_where_the_answer_is_expected_finds_the_same() -> None:
    widths = width_grid(2, 90)
    for boundary in range(1, 100):
        right = search_width(_at(boundary, []), widths).width
        for start in (1.0, 7.3, 40.0, 90.0, 1000.0):
            tried: list[int] = []
            found = search_width(_at(boundary, tried), widths, start=start)
            assert found.width == right
            assert len(tried) == len(set(tried)) <= 2 * np.ceil(np.log2(len(widths) + 1))
            assert len(tried) <= 2 or right != start


def test_lower_levels_are_straddled_by_neighbours_and_interpolated() -> None:
    widths = width_grid(2, 90)
    for slope in (0.02, 0.07, 0.5):
        found = search_width(lambda width, slope=slope: Trial(width, slope * width, 1), widths, 0.99,
                             lower=(0.5, 0.25))  # fmt: skip
        for level in (0.99, 0.5, 0.25):
            exact = level / slope
            assert found.crossing(level) == pytest.approx(max(2.0, exact))
        bisected = search_width(lambda width, slope=slope: Trial(width, slope * width, 1), widths, 0.99)
        assert bisected.width == found.width
    assert search_width(_at(5, []), widths, 0.99).crossing(1.5) is None
    with pytest.raises(ValueError, match=r"below the threshold; got 0.99"):
        smallest_width(TINY, 0, lower=(0.99,))


def test_the_grid_is_every_width_and_then_a_share_of_it() -> None:
    widths = width_grid(2, 300)
    assert widths[:31] == list(range(2, 33))
    assert widths[-1] == 300
    steps = np.diff(widths)
    assert (steps >= 1).all()
    assert (steps <= np.maximum(1, np.array(widths[:-1]) / FINENESS)).all()
    with pytest.raises(ValueError, match=r"1 <= low <= high; got 5 and 4"):
        width_grid(5, 4)


def test_laws_without_noise_are_found_exactly_and_told_apart() -> None:
    x = np.tile([16, 32, 64, 128, 256], 2)
    log = fit_laws(x, -5 + 2.5 * np.log2(x))
    assert (log.log.first, log.log.second) == pytest.approx((-5, 2.5), rel=EXACT)
    assert log.better == "log"
    power = fit_laws(x, 1.5 * x**0.7)
    assert (power.power.first, power.power.second) == pytest.approx((1.5, 0.7), rel=EXACT)
    assert power.better == "power"
    for law, given in ((log.log, -5 + 2.5 * np.log2(x)), (power.power, 1.5 * x**0.7)):
        np.testing.assert_allclose(law.predict(x), given, rtol=EXACT)
        assert law.residual < EXACT


def test_intervals_cover_planted_parameters_and_the_right_law_wins() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat([16, 32, 64, 128, 256], 3)
    covered, won = np.zeros(2), np.zeros(2)
    for _ in range(TRIALS):
        noise = np.exp(NOISE * rng.standard_normal((2, len(x))))
        log, power = fit_laws(x, (-4 + 2 * np.log2(x)) * noise[0]), fit_laws(x, 0.8 * x**0.6 * noise[1])
        covered += [log.log.low <= 2 <= log.log.high, power.power.low <= 0.6 <= power.power.high]
        won += [log.better == "log", power.better == "power"]
        assert log.advantage == pytest.approx(abs(log.log.aic - log.power.aic))
    assert (covered / TRIALS >= LEAST_COVER).all()
    assert (covered < TRIALS).all()  # an interval that always covers says nothing
    assert (won / TRIALS >= LEAST_COVER).all()


def test_a_power_law_fit_is_the_regression_of_logarithms() -> None:
    from scipy.stats import linregress, t

    rng = np.random.default_rng(1)
    x = np.repeat([4.0, 8.0, 32.0], 2)
    d = 3 * x**0.5 * np.exp(0.2 * rng.standard_normal(len(x)))
    law, line = fit_laws(x, d).power, linregress(np.log(x), np.log(d))
    reach = t.ppf(0.975, len(x) - 2) * line.stderr
    assert (law.second, law.high - law.second) == pytest.approx((line.slope, reach), rel=EXACT)


@pytest.mark.parametrize(
    ("sizes", "dimensions", "message"),
    [([1, 2, 2], [1, 1, 1], "3 different sizes or more; got 2"), ([1, 2, 3], [1, 0, 1], "must be positive"),
     ([1, 2, 3], [1, 1], "equally long")],
)  # fmt: skip
def test_fits_refuse_what_they_cannot_fit(sizes: list[int], dimensions: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_laws(sizes, dimensions)


def test_blocks_need_as_many_dimensions_as_random_signs_need_to_differ() -> None:
    # Both medians lie at whole numbers; SEEDS draws put the sample's within one of the exact one.
    for n in (8, 32):
        found = [smallest_construction("blocks", n, 3, seed).width for seed in range(SEEDS)]
        assert all(width is not None and width % 3 == 0 for width in found)
        assert abs(np.median(np.array(found, dtype=float)) / 3 - distinct_code_dimension(n)) <= 1


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_a_construction_recalls_at_its_smallest_dimension_and_not_before(name: str) -> None:
    found = smallest_construction(name, 12, 3, seed=1)
    accuracy = {trial.width: trial.accuracy for trial in found.tried}
    assert found.width is not None
    assert accuracy[found.width] == 1.0
    assert all(value < 1.0 for width, value in accuracy.items() if width < found.width)
    assert len(accuracy) > 1


def test_a_real_search_agrees_with_training_every_width() -> None:
    settings = dataclasses.replace(TINY, subjects=6)
    each = [smallest_width(settings, 0, low=width, high=width).width is not None for width in range(3, 6)]
    found = smallest_width(settings, 0, low=3, high=5)
    assert found.width is not None
    assert each[found.width - 3]
    assert found.width == 3 or not each[found.width - 4]
    assert any(not good for good in each)  # else there was nothing to search


def _run(out: Path, *, resume: bool = False, watch: Watch = UNWATCHED, **options) -> ScalingResult:  # type: ignore[no-untyped-def]
    sizes = {"subjects": [4, 8], "relations": [2], "low": 4, "high": 8}
    return run_scaling(TINY, [0], out, jobs=1, restart=Restart(resume=resume), watch=watch, **sizes, **options)


def test_a_run_writes_its_searches_and_reads_them_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    result = _run(tmp_path / "out", conditions=WHOLE, watch=Watch(lambda _, fraction: seen.append(fraction)))
    assert {(p.condition, p.subjects, p.relations) for p in result.points} == {
        (name, n, 2) for name in WHOLE for n in (4, 8)
    }
    assert all(p.found.width is not None for p in result.points), result.points
    assert seen[-1] == 1.0
    answer, written = write_scaling(result)
    assert all(path.stat().st_size > 0 for path in written)
    assert {path.name for path in written} == {"scaling.png", "scaling.svg", "report.md", "scores.json"}
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for point in answer["points"]:
        assert str(point["width"]) in report
    assert answer["fits"]["trained"]["subjects"] is None  # two sizes: every law fits

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(recall_scaling, "smallest_width", refuse)
    monkeypatch.setattr(recall_scaling, "smallest_construction", refuse)
    again = _run(tmp_path / "out", conditions=WHOLE, resume=True)
    assert again.points == result.points
    with pytest.raises(ValueError, match="threshold"):
        _run(tmp_path / "out", conditions=WHOLE, resume=True, threshold=0.5)
    scores = tmp_path / "out" / "runs" / "trained-4x2-seed0" / "scores.json"
    scores.write_text(scores.read_text(encoding="utf-8").replace('"width"', '"wide"'), encoding="utf-8")
    with pytest.raises(AssertionError, match="searched again"):  # damaged: not read
        _run(tmp_path / "out", conditions=WHOLE, resume=True)


def test_each_trained_condition_freezes_what_its_name_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(settings: RecallSettings, seed: int, **_: object) -> SmallestWidth:
        width = 10 + 2 * settings.frozen + settings.frozen_codes  # a number for each pair
        return SmallestWidth(width, (Trial(width, 1.0, 1),), 0.0)

    monkeypatch.setattr(recall_scaling, "smallest_width", look)
    result = _run(tmp_path / "out")
    assert {p.condition for p in result.points} == set(CONDITIONS)
    widths = {p.condition: p.found.width for p in result.points if p.condition in TRAINED}
    assert widths == {"trained": 10, "frozen_subjects": 12, "frozen_embeddings": 13}


def test_a_folder_of_an_earlier_version_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose configs know no lower levels, no hops and no facts held out."""
    result = _run(tmp_path / "out", conditions=["associative"])
    for path in (tmp_path / "out").rglob("config.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        for name in ("lower", "hops"):
            kept.pop(name, None)
        for name in ("held_out_facts", "zero_hop"):
            kept["settings"].pop(name)
        path.write_text(json.dumps(kept), encoding="utf-8")
        rewrite_sums(path.parent, {**read_sums(path.parent), "config.json": sha256_of(path)})
    monkeypatch.setattr(recall_scaling, "smallest_construction", lambda *_, **__: pytest.fail("searched again"))
    assert _run(tmp_path / "out", conditions=["associative"], resume=True).points == result.points


def test_a_run_that_is_stopped_goes_on(tmp_path: Path) -> None:
    stop = StopRequest()
    tasks = {"conditions": ["associative", "blocks"]}

    def halfway(_: str, fraction: float) -> None:
        stop.signalled = fraction >= 0.5

    with pytest.raises(Interrupted):
        _run(tmp_path / "out", watch=Watch(halfway, stop), **tasks)
    kept = {path.name for path in (tmp_path / "out" / "runs").glob("*-seed0")}
    assert kept == {"associative-8x2-seed0", "blocks-8x2-seed0"}
    resumed, whole = _run(tmp_path / "out", resume=True, **tasks), _run(tmp_path / "whole", **tasks)
    assert [p.found.tried for p in resumed.points] == [p.found.tried for p in whole.points]
    with pytest.raises(Interrupted, match="searching"):
        smallest_width(TINY, 0, stop=stop)


def test_a_curve_with_a_width_not_found_is_not_fitted(tmp_path: Path) -> None:
    settings = dataclasses.replace(TINY, steps=1, records=1)
    result = run_scaling(
        settings, [0], tmp_path / "out", conditions=["blocks", "trained"], subjects=[4, 8, 16], relations=[2], high=4,
        jobs=1,
    )  # fmt: skip
    fits = fit_curves(result)
    assert fits["trained"]["subjects"] is None
    assert fits["blocks"]["subjects"] is not None
    write_scaling(result)
    assert "none" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"conditions": ["forgotten"]}, "unknown condition 'forgotten'"), ({"subjects": [4, 4]}, "different values"),
     ({"threshold": 0.0}, r"\(0, 1\]; got 0.0"), ({"high": 1}, "1 <= low <= high"), ({"relations": [0]}, "relations"),
     ({"settings": dataclasses.replace(TINY, heads=2)}, "heads must be 1, .*got 2"),
     ({"settings": dataclasses.replace(TINY, hops=2)}, "one hop"),
     ({"hops": [2, 2], "conditions": ["trained"]}, "hops must be"),
     ({"hops": [1, 2]}, "blocks is for one hop"), ({"conditions": ["chain_of_thought"]}, "is for several hops"),
     ({"lower": [0.99]}, r"below the threshold; got 0.99")],
)  # fmt: skip
def test_bad_grids_are_refused_before_anything_is_written(
    options: dict[str, object], message: str, tmp_path: Path
) -> None:
    given = {"settings": TINY, "subjects": [4, 8], "relations": [2], **options}
    with pytest.raises(ValueError, match=message):
        run_scaling(given.pop("settings"), [0], tmp_path / "out", jobs=1, **given)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
