"""A small ladder from the command line: predictions hold where they are exact, and say where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from fiedler.sims.cli.commands import main
from fiedler.sims.compare.ladder.rows import ladder_of
from fiedler.sims.compare.ladder.table import ladder_lines, verdict
from fiedler.sims.compare.presets import definitions
from fiedler.sims.compare.presets.definitions import Cell, Preset, PresetModel, get_preset
from fiedler.sims.compare.presets.folder import read_preset
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
        assert main(["compare", "random:9,13,0", "--preset", "ladder", "--seeds", "2", "--out", str(path)]) == 0
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
    assert "0 of 2 seeds" in found.left_out["MLP"]


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
