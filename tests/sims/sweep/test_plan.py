"""Sweep files: the points they stand for, and the one line that each mistake gets."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiedler.sims.sweep.plan import plan_sweep, read_sweep

BASE = '[base]\ngraph = "cycle:5"\n'


def plan(text: str) -> Any:
    return plan_sweep(tomllib.loads(text), "test")


def values(text: str, name: str) -> list[Any]:
    return [dict(point.options)[name] for point in plan(text).points]


def test_a_grid_is_every_combination() -> None:
    found = plan(f'{BASE}[axes]\nwidth = [4, 8]\nmodel = ["node2vec", "transformer"]\ninit_std = [0.5]\n')
    options = [dict(point.options) for point in found.points]
    assert [(o["width"], o["model"]) for o in options] == [
        (4, "node2vec"),
        (4, "transformer"),
        (8, "node2vec"),
        (8, "transformer"),
    ]
    assert found.axes == ("width", "model", "init_std")
    assert found.seeds == (0,)
    assert len({point.key for point in found.points}) == 4


def test_ranges() -> None:
    log = '[axes]\nweight_decay = { from = 0.001, to = 1, points = 4, scale = "log" }\n'
    assert values(BASE + log, "weight_decay") == [0.001, 0.01, 0.1, 1.0]
    assert values(f"{BASE}[axes]\ninit_std = {{ from = 0.1, to = 0.5, points = 3 }}\n", "init_std") == [0.1, 0.3, 0.5]
    whole = '[axes]\nwidth = { from = 1, to = 64, points = 7, scale = "log" }\n'
    assert values(BASE + whole, "width") == [1, 2, 4, 8, 16, 32, 64]
    assert values(f"{BASE}[axes]\nwidth = {{ from = 1, to = 2, points = 9 }}\n", "width") == [1, 2]  # no repeats


def test_a_random_sweep_draws_within_its_ranges_and_again_the_same() -> None:
    text = (
        f'{BASE}[sweep]\nkind = "random"\npoints = 400\nseed = 3\n[axes]\nwidth = {{ from = 2, to = 9 }}\n'
        'weight_decay = { from = 1e-4, to = 1, scale = "log" }\nself_edges = [true, false]\n'
    )
    decays, widths = values(text, "weight_decay"), values(text, "width")
    assert plan(text) == plan(text)
    assert plan(text) != plan(text.replace("seed = 3", "seed = 4"))
    assert 1e-4 <= min(decays) < max(decays) <= 1
    assert abs(np.mean(np.log10(decays)) + 2) < 0.3  # uniform in the logarithm: sd 1.15 / 20
    assert set(widths) == set(range(2, 10))
    assert set(values(text, "self_edges")) == {True, False}


def test_the_same_point_is_the_same_folder_wherever_it_comes_from() -> None:
    one = plan(f"{BASE}width = 8\n[axes]\ninit_std = [0.1, 0.2]\n").points
    other = plan('[base]\nwidth = 8\ngraph = "cycle:5"\n[axes]\ninit_std = [0.2, 0.3]\n').points
    assert {point.key for point in one} & {point.key for point in other} == {one[1].key}
    assert one[1].folder(Path("out"), 3) == Path("out/points") / one[1].key / "seed3"


def test_seeds_and_phase() -> None:
    assert plan(f"{BASE}[sweep]\nseeds = 3\n").seeds == (0, 1, 2)
    assert plan(f"{BASE}[sweep]\nseeds = [7, 1]\n").seeds == (7, 1)
    found = plan(f'{BASE}[axes]\nwidth = [1]\ninit_std = [1.0]\n[phase]\nx = "width"\nmetric = "gram_error"\n')
    assert found.phase == {"x": "width", "metric": "gram_error"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[bass]\n", "unknown table 'bass': did you mean 'base'"),
        ("base = 3\n", r"base must be a table, \[base\]"),
        ("", r"no graph: give one in \[base\] or \[axes\]"),
        (f"{BASE}[sweep]\nseedss = 3\n", r"unknown key of \[sweep\] 'seedss': did you mean 'seeds'"),
        (f"{BASE}seed = 3\n", "seed is no option of a point: give seeds"),
        (f"{BASE}width = 3\n[axes]\nwidth = [3]\n", r"width is in \[base\] and in \[axes\]"),
        (f"{BASE}widht = 3\n", "the node2vec model has no setting 'widht': did you mean 'width'"),
        (f"{BASE}model = 'transfomer'\n", "unknown model 'transfomer'; did you mean 'transformer'"),
        (f"{BASE}width = 2.5\n", "width must be a whole number; got 2.5"),
        (f"{BASE}width = true\n", "width must be a whole number; got True"),
        (f"{BASE}self_edges = 1\n", "self_edges must be true or false; got 1"),
        (f"{BASE}init_std = 'big'\n", "init_std must be a number; got 'big'"),
        (f"{BASE}learning_rate = -1\n", "learning_rate must be a positive number; got -1"),
        (f"{BASE}[axes]\nwidth = []\n", "axis width must be a list of values or a range"),
        (f"{BASE}[axes]\nwidth = 3\n", "axis width must be a list of values or a range"),
        (f"{BASE}[axes]\nwidth = [[1]]\n", "axis width must be a list of values or a range"),
        (f"{BASE}[axes]\nwidth = {{ from = 1, to = 2 }}\n", "axis width needs points"),
        (f"{BASE}[axes]\nwidth = {{ from = 1, points = 2 }}\n", "axis width needs numbers from and to"),
        (f"{BASE}[axes]\nwidth = {{ from = 1, till = 2 }}\n", "unknown key of axis width 'till'"),
        (f"{BASE}[axes]\nwidth = {{ from = 1, to = nan, points = 2 }}\n", "axis width needs numbers"),
        (f"{BASE}[axes]\nwidth = {{ from = 1, to = 2, points = 2, scale = 'l' }}\n", "unknown scale 'l'"),
        (f"{BASE}[axes]\ninit_std = {{ from = 0, to = 2, points = 2, scale = 'log' }}\n", "must be above zero"),
        (f"{BASE}[sweep]\nkind = 'grit'\n", "unknown kind 'grit'"),
        (f"{BASE}[sweep]\nkind = 'random'\n", "a random sweep needs points"),
        (f"{BASE}[sweep]\nkind = 'random'\npoints = 3\n", r"a random sweep needs \[axes\]"),
        (f"{BASE}[sweep]\npoints = 3\n", "points in .* are for kind"),
        (f"{BASE}[sweep]\nseeds = 0\n", "seeds of .* must be a number of seeds or a list"),
        (f"{BASE}[sweep]\nseeds = [1, 1]\n", "seeds of .* must be a number of seeds or a list"),
        (f"{BASE}[sweep]\nseeds = [-1]\n", "seeds of .* must be a number of seeds or a list"),
        (f"{BASE}[phase]\nx = 'width'\n", "x = 'width' of .* is not one of the axes"),
        (f"{BASE}[phase]\nx = 3\n", "x of .phase. must be a name"),
        (
            f"{BASE}[axes]\nwidth = {{ from = 1, to = 9999, points = 9999 }}\n"
            "steps = { from = 1, to = 9999, points = 9999 }\n",
            r"99980001 runs are more than a sweep takes, 100000: take fewer",
        ),
        (
            f"{BASE}[axes]\nwidth = {{ from = 1, to = 999, points = 999 }}\n[sweep]\nseeds = 200\n",
            r"199800 runs \(999 points x 200 seeds\) are more than a sweep takes",
        ),
        (f"{BASE}[sweep]\nseeds = 1000000\n", "1000000 runs are more than a sweep takes"),
        (f"{BASE}[sweep]\nseeds = [{2**63}]\n", f"seeds of .* are whole numbers up to {2**63 - 1}"),
        (f"{BASE}steps = {10**10}\n", "steps must be at most 1000000000"),
        (f"{BASE}width = {2**70}\n", "width must be a number that 64 bits hold; got one of 71 bits"),
        (f"{BASE}init_std = 1{'0' * 400}\n", "init_std must be a number that 64 bits hold"),
        (f"{BASE}[axes]\ninit_std = {{ from = 1, to = 1{'0' * 400}, points = 2 }}\n", "axis init_std needs numbers"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as found:
        read_sweep(path)
    assert str(found.value).startswith(f"{path}: ")
    assert "\n" not in str(found.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "not.toml").write_text("[base\n")
    with pytest.raises(ValueError, match=r"not\.toml is not TOML \(.*line 1"):
        read_sweep(tmp_path / "not.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "pipe.toml")
    for name in ("absent.toml", "bytes.toml", "pipe.toml", "."):
        with pytest.raises(ValueError, match=r"cannot be read \(.*give a sweep file in TOML"):
            read_sweep(tmp_path / name)
    for name, text in (("deep.toml", f"a = {'[' * 100_000}"), ("digits.toml", f"a = 1{'0' * 5000}")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=f"{name} is not TOML"):
            read_sweep(tmp_path / name)


# Any content at all.

SCALARS = st.none() | st.booleans() | st.integers(-3, 40) | st.floats() | st.text(max_size=5)
SCALARS |= st.sampled_from(["cycle:5", "node2vec", "transformer", "grid", "random", "log", 10**30, -(10**30)])
NAMES = st.sampled_from(
    ["graph", "model", "width", "steps", "init_std", "window", "p", "seed", "seeds", "points", "kind", "from", "to"]
) | st.text(max_size=4)
AXIS = st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from(["from", "to", "points", "scale"]), SCALARS)
TABLE = st.dictionaries(NAMES, SCALARS | AXIS | st.lists(AXIS, max_size=2), max_size=4)
FIXED = st.fixed_dictionaries({"graph": st.just("cycle:5")}, optional={"width": SCALARS, "init_std": SCALARS})
CONTENT = st.dictionaries(
    st.sampled_from(["base", "axes", "sweep", "phase"]) | st.text(max_size=3), TABLE | SCALARS, max_size=4
) | st.fixed_dictionaries(
    {"base": FIXED}, optional={"axes": st.dictionaries(NAMES, AXIS, max_size=3), "sweep": TABLE, "phase": TABLE}
)
LAX: Any = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


def check_content(content: dict[str, Any]) -> None:
    """A plan of points that can be built, or one line."""
    found, said = None, ""
    try:
        found = plan_sweep(content, "any")
    except (ValueError, TypeError) as error:
        said = str(error)
    if found is None:
        assert said
        assert "\n" not in said
        return
    assert found.points
    assert found.seeds
    for point in found.points[:3]:
        assert point.settings() is not None
        assert len(point.key) == 16


@settings(max_examples=300, derandomize=True, **LAX)
@given(content=CONTENT)
def test_some_contents(content: dict[str, Any]) -> None:
    check_content(content)


@pytest.mark.long
@settings(max_examples=10_000, **LAX)
@given(content=CONTENT)
def test_many_contents(content: dict[str, Any]) -> None:
    check_content(content)


EACH = '[base]\ngraph = "cycle:5"\nwidth = 6\n[axes]\nwidth = [4, 6]\ninit_std = [0.5]\n[sweep]\nkind = "each"\n'


def test_each_axis_varies_alone_around_the_base() -> None:
    found = plan(EACH)
    options = [dict(point.options) for point in found.points]
    assert [(o["width"], o.get("init_std")) for o in options] == [(4, None), (6, None), (6, 0.5)]
    assert found.base == found.points[1]
    assert plan(BASE).base is None
    for text, message in (
        (EACH.replace("[axes]\nwidth = [4, 6]\ninit_std = [0.5]\n", ""), "a sweep of each axis needs"),
        (EACH + '[phase]\nx = "width"\n', "x of .phase. is for a plane"),
    ):
        with pytest.raises(ValueError, match=message):
            plan(text)


def test_the_knobs_ship_and_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "knobs").mkdir()  # a folder is no sweep
    found = read_sweep(Path("knobs"))
    assert found.axes == ("learning_rate", "weight_decay", "embedding_std", "layers", "width")
    assert found.base is not None
    assert found.base.settings().time_per_step is not None
    (tmp_path / "knobs").rmdir()
    (tmp_path / "knobs").write_text(EACH)
    assert read_sweep(Path("knobs")).axes == ("width", "init_std")
    with pytest.raises(ValueError, match="or the name of one that ships: knobs"):
        read_sweep(Path("knops"))


def test_a_mark_of_windows_editors_and_the_number_of_runs(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f"{BASE}[axes]\nwidth = [1, 2]\n[sweep]\nseeds = 3\n", encoding="utf-8-sig")
    told: list[int] = []
    assert len(read_sweep(path, told.append).points) == 2
    assert told == [6]
