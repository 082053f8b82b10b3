"""A small ladder from the command line: predictions hold where they are exact, and say where they are not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from fiedler.sims.cli.commands import main
from fiedler.sims.compare.ladder import prediction
from fiedler.sims.compare.ladder.course import read_courses
from fiedler.sims.compare.ladder.rows import ladder_of
from fiedler.sims.compare.ladder.table import ladder_lines, verdict
from fiedler.sims.compare.presets import definitions
from fiedler.sims.compare.presets.definitions import Cell, Preset, PresetModel, get_preset
from fiedler.sims.compare.presets.folder import read_preset
from fiedler.sims.compare.presets.run import run_preset
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.theory import parse, tied_optimum
from fiedler.theory.targets.one_hop import one_hop_target

DESCENT = "optimiser=sgd,learning_rate=0.01,width=12"  # stable until t = 15: logits of irregular graphs grow
MODELS = (
    PresetModel(f"linear:{DESCENT},layers=2,steps=1500", "two", "2 residual layers", weights="node"),
    PresetModel(
        f"transformer:{DESCENT},steps=1500,edge_token=false,other_tokens=0,positions=false,biases=false,"
        "perceptron=false,layer_norm=false",
        "attention", "attention only", weights="node",
    ),
    PresetModel("linear:width=12,layers=2,steps=300", "adam", "2 layers, Adam", weights="node"),
    PresetModel(f"mlp:{DESCENT},steps=300,init_std=0.4", "mlp", "MLP", weights="node"),
)  # fmt: skip
SMALL = Preset("ladder", "A small ladder", "nothing", (Cell("cycle:8", MODELS),), ladder=True)
EULER = 0.02  # relative: eigenvalues after steps of 0.02 against the flow, and 1500 of them against the limit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ladder") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", SMALL)
        assert (
            main(["compare", "random:9,13,0", "--preset", "ladder", "--seeds", "2", "--out", str(path), "-j", "1"]) == 0
        )
    return path


def test_exact_rungs_are_predicted_with_nothing_fitted(folder: Path) -> None:
    scores = json.loads((folder / "scores.json").read_text())
    rows = {row["model"]: row for row in scores["ladder"]["random:9,13,0"]}
    assert list(rows) == [one.name for one in MODELS]
    for name in ("two", "attention"):
        assert rows[name]["exact"]
        assert rows[name]["holds"]
        assert rows[name]["spectrum_error"] < EULER
        assert all(seed["over_time"] > 0.999 and seed["parted_at"] is None for seed in rows[name]["seeds"])
        assert all(seed["clock"] == pytest.approx(1, abs=0.05) for seed in rows[name]["seeds"])
    assert rows["adam"]["left_out"] == ["Adam"]
    assert rows["adam"]["holds"] is None
    assert all(seed["over_time"] is None and seed["clock"] > 0 for seed in rows["adam"]["seeds"])
    assert rows["mlp"]["holds"] is False


def test_the_folder_has_report_and_figure_and_can_be_read_again(folder: Path) -> None:
    report = (folder / "report.md").read_text()
    assert "2 residual layers" in report
    assert "first fails at 'MLP'" in report
    assert (folder / "figures" / "ladder.png").stat().st_size > 10_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", SMALL)
        preset, cells, _ = read_preset(folder)
    assert preset.cells[0].graph == "random:9,13,0"
    rows = ladder_of(cells[0][1]).rows
    assert [row.compared.model.name for row in rows] == [one.name for one in MODELS]
    assert "first fails" in verdict(rows)
    assert all(len(line) == len(ladder_lines(rows)[0]) for line in ladder_lines(rows))
    own = rows[0].predictions[0]
    assert own.spectrum == pytest.approx(rows[0].measured, rel=0.5, abs=0.5)


def test_a_prediction_that_is_late_is_left_out_by_name(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", SMALL)
        _, cells, _ = read_preset(folder)
    found = ladder_of(cells[0][1], seconds=0.0)
    assert not found.rows
    assert set(found.left_out) == {one.title for one in MODELS}
    assert "its 2 seeds were not done after 0 s" in found.left_out["MLP"]


def test_a_prediction_that_diverges_is_left_out_with_its_reason(folder: Path) -> None:
    def diverges(*_: object) -> None:
        raise FloatingPointError("gradient descent diverged at step 7")

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", SMALL)
        _, cells, _ = read_preset(folder)
        patch.setattr(prediction, "predict_rungs", diverges)
        found = ladder_of(cells[0][1])
    assert set(found.left_out.values()) == {"gradient descent diverged at step 7"}


@pytest.mark.long
@pytest.mark.processes
def test_processes_change_no_bit(folder: Path, tmp_path: Path) -> None:
    """Two processes train and predict what one did: every number and every weight is the same."""
    out = tmp_path / "two"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", SMALL)
        words = ["compare", "random:9,13,0", "--preset", "ladder", "--seeds", "2", "--out", str(out), "-j", "2"]
        assert main(words) == 0
    assert not (out / ".stop").exists()
    names = ("scores.json", "embeddings.safetensors")
    numbers = [path.relative_to(folder) for name in names for path in folder.rglob(name)]
    assert len(numbers) > 2 * len(MODELS)
    for path in numbers:
        assert (folder / path).read_bytes() == (out / path).read_bytes(), path


@pytest.mark.processes
def test_a_stop_ends_processes_and_the_same_command_goes_on(folder: Path, tmp_path: Path) -> None:
    out, stop = tmp_path / "run", StopRequest()
    stop.signalled = True
    preset = dataclasses.replace(SMALL, cells=(Cell("random:9,13,0", MODELS[:2]),))
    with pytest.raises(Interrupted):
        run_preset(preset, [0], out, jobs=2, watch=Watch(stop=stop))
    found = run_preset(preset, [0], out, restart=Restart(resume=True))
    assert [len(one.runs) for one in found.cells[0].comparison.models] == [1, 1]


def test_figures_and_a_page_come_from_the_folder_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores, graphs, source = read_courses(folder)
    assert [rung.title for rung in graphs[0][1]] == [one.title for one in MODELS]
    kept = [seed["over_time"] for seed in scores["ladder"]["random:9,13,0"][0]["seeds"]]
    assert [one.over_time for one in graphs[0][1][0].agreements] == kept
    assert source.seeds == (0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", SMALL)
        for name in ("ladder", "retention"):
            out = folder.parent / f"{name}.png"
            assert main(["figure", name, str(folder), "--out", str(out), "--width", "single"]) == 0
            assert out.stat().st_size > 10_000
        capsys.readouterr()
        assert main(["report", str(folder), "--json"]) == 0
        page = json.loads(capsys.readouterr().out)
        assert page["kind"] == "ladder"
        assert page["sections"][:3] == ["Agreement", "Energies over time", "Share in the first eigenspace"]
    assert main(["score", str(folder)]) == 2
    assert "--preset ladder --out" in capsys.readouterr().err
    cell = next(path for path in folder.iterdir() if (path / "runs").is_dir())
    assert main(["figure", "ladder", str(cell)]) == 2
    assert "is not the folder of a `fiedler compare --preset ladder`" in capsys.readouterr().err


def test_a_symmetric_rung_ends_at_the_mapped_optimum(tmp_path: Path) -> None:
    """Its logits are the tied optimum's whatever its depth: k (1 + k/2)^{L/2} = mu*."""
    word = "linear:optimiser=sgd,learning_rate=0.02,width=12,init_std=1e-5,embedding_std=0.02,layers=2,steps=3000"
    preset = Preset(
        "ladder", "one", "-", (Cell("cycle:8", (PresetModel(word, "two", "two", weights="node"),)),), ladder=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", preset)
        assert main(["compare", "--preset", "ladder", "--seeds", "1", "--out", str(tmp_path / "run"), "--json"]) == 0
    row = json.loads((tmp_path / "run" / "scores.json").read_text())["ladder"]["cycle:8"][0]
    best = tied_optimum(one_hop_target(parse("cycle:8"))).eigenvalues
    k = np.array(row["spectrum_measured"][: len(best)])
    assert k * (1 + k / 2) == pytest.approx(best, rel=EULER)


def test_a_ladder_takes_the_options_of_a_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = get_preset("ladder", "karate", {"self_edges": True, "weights": "line", "window": 2}).cells[0]
    assert (cell.name, cell.models[0].weights) == ("karate self-edges window 2", "line")
    assert len(get_preset("bridge", "karate", {"label_smoothing": 0.1}).cells) == 2
    out = tmp_path / "run"
    words = ["compare", "cycle:5", "--preset", "bridge", "--seeds", "1", "--out", str(out)]
    assert main([*words, "--self-edges"]) == 2
    assert "compares with and without --self-edges: leave it out" in capsys.readouterr().err
    assert main([*words, "--steps", "5"]) == 2
    assert "fixes models and settings" in capsys.readouterr().err
    assert main(["compare", "--preset", "fig7", "--self-edges"]) == 2
    assert "leave out --self-edges" in capsys.readouterr().err
    one = Preset("bridge", "b", "-", (Cell("cycle:5", (PresetModel("node2vec:steps=20", "a", "a"),)),), ladder=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "bridge", one)
        assert main([*words, "--label-smoothing", "0.1", "--no-optimum"]) == 0
        preset, cells, _ = read_preset(out)
        assert cells[0][1].task.label_smoothing == 0.1
        assert cells[0][1].optimum is None
        assert preset.options == {"label_smoothing": 0.1}
        capsys.readouterr()
        assert main([*words, "--dry-run", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["prediction_seconds"] > 0
        assert said["seconds"] > said["prediction_seconds"] / 2


def test_other_presets_keep_their_graphs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "cycle:8", "--preset", "fig7"]) == 2
    assert "has graphs of its own" in capsys.readouterr().err
    assert get_preset("ladder", "karate").cells[0].graph == "karate"


def test_a_graph_of_equal_components_has_no_limit_but_a_ladder(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("a b\nb c\nc a\nd e\ne f\nf d\n")
    models = (PresetModel(f"linear:{DESCENT},steps=50", "one", "one", weights="node"),)
    preset = Preset("ladder", "two", "-", (Cell("cycle:8", models),), ladder=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(definitions.PRESETS, "ladder", preset)
        words = [
            "compare",
            str(tmp_path / "two.txt"),
            "--preset",
            "ladder",
            "--seeds",
            "1",
            "--out",
            str(tmp_path / "run"),
        ]
        assert main(words) == 0
    row = next(iter(json.loads((tmp_path / "run" / "scores.json").read_text())["ladder"].values()))[0]
    assert row["spectrum_limit"] is None
    assert "several components" in row["no_limit"]


def test_a_graph_that_cannot_be_trained_on_makes_no_folder(tmp_path: Path) -> None:
    graph, out = tmp_path / "isolated.gml", tmp_path / "run"
    nx.write_gml(nx.disjoint_union(nx.path_graph(3), nx.empty_graph(1)), graph)
    assert main(["compare", str(graph), "--preset", "bridge", "--out", str(out)]) == 2
    assert not out.exists()


def test_nothing_predicted_is_no_success() -> None:
    assert verdict([]) == "No rung here has both a flow time and a prediction."
