"""What a finished experiment leaves in its folder is written by the library, and only by the holder of its lock; what
fails in drawing costs no more than the figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from fiedler.sims.compare.presets.definitions import Cell, Preset, PresetModel
from fiedler.sims.compare.presets.output import write_preset
from fiedler.sims.compare.presets.run import run_preset
from fiedler.sims.compare.run import compare
from fiedler.sims.compare.show.output import write_comparison
from fiedler.sims.disk.lock import Locked, locked
from fiedler.sims.disk.sums import read_sums
from fiedler.sims.draw.drawing import NotDrawn
from fiedler.sims.headroom.conditions import model_variants
from fiedler.sims.headroom.embeddings import describe_headroom, run_headroom
from fiedler.sims.headroom.output import write_headroom
from fiedler.sims.models.registry import get_model
from fiedler.sims.paths.run import run_paths
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.show.output import write_paths
from fiedler.sims.recall.run import run_recalls
from fiedler.sims.recall.scaling.presets import SCALING
from fiedler.sims.recall.scaling.report import write_scaling
from fiedler.sims.recall.scaling.run import run_scaling
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.recall.show.output import write_recall
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.sweep.plan import plan_sweep
from fiedler.sims.sweep.report import report_sweep
from fiedler.sims.sweep.run import run_sweep
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from sweeps_here import sweep_here

TASK = Task(parse("cycle:6"))
NODE2VEC = PresetModel("node2vec:width=6,steps=20", "node2vec", "Node2Vec", "node2vec", "node")
PATHS = PathSettings(layers=1, width=8, heads=2, pause=1, steps=4, edge_batch=8, path_batch=2, records=2)
RECALL = RecallSettings(subjects=6, relations=2, width=8, neurons=12, steps=4, records=2)


def comparison(out: Path) -> Callable[[], Any]:
    model = get_model("node2vec")
    result = compare(TASK, [(model, model.make_settings(steps=20, width=6))], [0], out=out)
    return lambda: write_comparison(result)


def preset(out: Path) -> Callable[[], Any]:
    result = run_preset(Preset("tiny", "Tiny", "figure 0", (Cell("cycle:6", (NODE2VEC,)),)), [0], out)
    return lambda: write_preset(result)


def paths(out: Path) -> Callable[[], Any]:
    result = run_paths(parse("path-star:4x3"), {"in_weights": PATHS}, [0], out, jobs=1)
    return lambda: write_paths(result, "a test")


def recall(out: Path) -> Callable[[], Any]:
    result = run_recalls({"trained": RECALL}, [0], out, jobs=1)
    return lambda: write_recall(result, "a test")


def ladder(out: Path) -> Callable[[], Any]:
    result = run_preset(Preset("tiny", "Tiny", "section 4", (Cell("cycle:6", (NODE2VEC,)),), ladder=True), [0], out)
    return lambda: write_preset(result)


def scaling(out: Path) -> Callable[[], Any]:
    result = run_scaling(
        SCALING, [0], out, conditions=["blocks", "associative"], subjects=[4], relations=[2], low=4, high=8, jobs=1
    )
    return lambda: write_scaling(result)


def headroom(out: Path) -> Callable[[], Any]:
    variants, small = model_variants("one-layer"), {"steps": 5, "width": 6}
    folder, comparisons = run_headroom([TASK], variants, [0], out, changes=small)
    answer = describe_headroom(comparisons)
    return lambda: write_headroom(answer, folder)


def sweep(out: Path) -> Callable[[], Any]:
    plan = plan_sweep(
        {"base": {"graph": "cycle:6", "steps": 20, "width": 6}, "axes": {"learning_rate": [0.01, 0.02]},
         "sweep": {"seeds": 1}}, "tiny",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        sweep_here(patched)
        run_sweep(plan, out)
    return lambda: report_sweep(plan, out)


KINDS = (comparison, preset, ladder, headroom, paths, recall, scaling)
each_kind = pytest.mark.parametrize("finished", KINDS, ids=lambda finished: finished.__name__)


@each_kind
def test_report_figures_and_scores_are_written_under_the_lock(
    finished: Callable[[Path], Callable[[], Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write = finished(out)
    with locked(out), pytest.raises(Locked, match="another process is writing"):
        write()
    assert not (out / "report.md").exists()
    write()
    report = (out / "report.md").read_text()
    for name in ("scores.json", "config.json"):
        assert (out / name).stat().st_size > 0
    drawn = list((out / "figures").glob("*.png"))
    assert drawn
    assert all(f"](figures/{figure.name})" in report for figure in drawn)
    with locked(out):  # let go again
        pass
    # And as after a run taken up again, but with a library that draws nothing.
    beside = () if finished is comparison else (out / "scores.json",)  # whose scores are written before
    for file in (out / "report.md", *beside, *drawn):
        file.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", broken)
        with pytest.raises(NotDrawn, match=r"could not be drawn \(RuntimeError: no figure\); everything else"):
            write()
    assert (out / "report.md").read_text() == report
    assert RunDir(out).is_final("scores.json")
    assert not list((out / "figures").glob("*.png"))
    write()
    assert set(drawn) == set((out / "figures").glob("*.png"))


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("no figure")


def test_a_sweep_has_its_table_where_drawing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = sweep(tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", broken)
        with pytest.raises(NotDrawn, match=r"no figure.*the same command draws again"):
            write()
    assert set(read_sums(tmp_path / "out")) == {"results.csv", "results.parquet", "phase.json"}
    assert Path(write()["phase_figure"]).is_file()
    assert set(read_sums(tmp_path / "out")) == {"results.csv", "results.parquet", "phase.json"}


@pytest.mark.parametrize("made", [comparison, sweep])
def test_a_linked_folder_of_figures_is_refused_before_anything_is_run(
    made: Callable[[Path], Callable[[], Any]], tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.png").write_text("mine")
    out.mkdir()
    (out / "figures").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="figures is a symbolic link, and nothing is written or removed where it"):
        made(out)
    assert [one.name for one in out.iterdir()] == ["figures"]
    assert [one.name for one in elsewhere.iterdir()] == ["mine.png"]


def test_a_comparison_without_a_folder_has_no_report() -> None:
    model = get_model("node2vec")
    result = compare(TASK, [(model, model.make_settings(steps=5, width=6))], [0])
    with pytest.raises(ValueError, match="give compare\\(\\) a folder"):
        write_comparison(result)
