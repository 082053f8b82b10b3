"""Presets: the paper's set-ups are there and every model of theirs can be built; they run, resume and report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.cli.commands import main
from fiedler.sims.compare.comparison import recall_step
from fiedler.sims.compare.presets import definitions as presets_module
from fiedler.sims.compare.presets.definitions import PRESETS, Cell, Preset, PresetModel, get_preset
from fiedler.sims.compare.presets.published import GRAPHS, KNOBS, PUBLISHED, published_numbers
from fiedler.sims.compare.presets.report import (
    apart,
    preset_drawings,
    preset_markdown,
    preset_rendering,
    preset_tables,
)
from fiedler.sims.compare.presets.run import Measured, describe_preset, measured, run_preset
from fiedler.sims.draw.drawing import save_drawings
from fiedler.sims.runs.control import Restart
from fiedler.theory import parse

SEEDS = [0, 1]
NET = "one-layer:width=8,steps=150,learning_rate=0.05,bias=true"
TINY = Preset(
    "tiny",
    "A small preset",
    "figure 0",
    tuple(
        Cell(
            graph,
            (
                PresetModel(NET, "one-layer", "One-layer net", "one-layer"),
                PresetModel("node2vec:width=20,steps=400", "node2vec", "Node2Vec", "node2vec", "node"),
            ),
        )
        for graph in ("cycle:15", "path-star:4x5")
    ),
    vector_bars=True,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    folder = tmp_path_factory.mktemp("preset")
    return folder, list(run_preset(TINY, SEEDS, folder).cells)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_model_of_every_preset_can_be_built(preset: Preset) -> None:
    names = [cell.name for cell in preset.cells]
    assert len(set(names)) == len(names)
    for cell in preset.cells:
        assert preset.ladder or cell.graph in GRAPHS
        models = [one.name for one in cell.models]
        assert len(set(models)) == len(models)
        assert sum(len(part) for _, part in cell.tasks()) == len(models)
        for task, part in cell.tasks():
            assert (task.edges, task.self_edges) == (cell.edges, cell.self_edges)
            for one in part:
                assert task.weights == one.weights
                assert one.model().name == one.name
                assert one.model().make_settings().steps >= 1
                if one.published:
                    assert one.published in PUBLISHED or one.published in KNOBS


def test_the_papers_set_ups() -> None:
    """Those the release's notebooks state, in numbers."""
    first = {cell.graph: {one.name: one.model().make_settings() for one in cell.models} for cell in
             get_preset("fig1").cells}  # fmt: skip
    assert list(first) == list(GRAPHS)
    assert all(len(models) == 6 for models in first.values())
    for graph, steps in zip(GRAPHS, (500, 500, 700, 2500), strict=True):
        transformer, node2vec = first[graph]["transformer"], first[graph]["node2vec"]
        assert (transformer.width, transformer.layers, transformer.heads) == (32, 1, 1)
        assert (transformer.steps, transformer.learning_rate, transformer.weight_decay) == (steps, 0.01, 0.0)
        assert (node2vec.width, node2vec.steps, node2vec.learning_rate) == (100, 10_000, 0.01)
        assert first[graph]["associative"].frozen
    net = first["cycle:15"]["one-layer"]
    assert (net.width, net.steps, net.learning_rate, net.bias, net.schedule) == (512, 10_000, 0.01, True, "constant")
    assert len(KNOBS) == 7
    assert {one.published for cell in get_preset("knobs").cells for one in cell.models} == set(KNOBS)
    assert [parse(graph).n for graph in GRAPHS] == [17, 16, 15, 16]


def test_published_numbers() -> None:
    assert published_numbers("node2vec", "cycle:15")["loss"] == 1.434918
    assert published_numbers("large init, rate 0.0001", "cycle:15")["geometric_margin"] == -0.75
    assert published_numbers("transformer", "karate") == {}
    assert published_numbers("", "cycle:15") == {}
    assert "geometric_level" not in published_numbers("transformer-self-edges", "path-star:4x5")


def test_another_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown preset 'fig2'; did you mean 'fig"):
        get_preset("fig2")


def test_a_preset_runs_every_model_on_its_own_task(finished: tuple[Path, list]) -> None:
    folder, results = finished
    assert [result.cell.graph for result in results] == ["cycle:15", "path-star:4x5"]
    for result in results:
        assert [one.model.name for one in result.comparison.models] == ["one-layer", "node2vec"]
        assert {bias.compared.model.name for bias in result.comparison.biases} == {"one-layer", "node2vec"}
    star = results[1].comparison
    losses = {one.model.name: one.runs[0].modes.loss[-1] for one in star.models}
    # 32 lines: four of entropy log 4 at the root, 24 of log 2, four of nothing.
    per_line = (4 * np.log(4) + 24 * np.log(2)) / 32
    assert per_line < losses["one-layer"] < per_line + 0.3
    assert losses["node2vec"] > 1.2
    assert (folder / "path-star-4x5-line" / "runs" / "one-layer-seed1" / "scores.json").exists()


def test_a_preset_resumes(finished: tuple[Path, list]) -> None:
    folder, results = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("embeddings.safetensors")}
    again = run_preset(TINY, SEEDS, folder, restart=Restart(resume=True)).cells
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("embeddings.safetensors")} == before
    assert measured(again) == measured(results)
    with pytest.raises(ValueError, match="is not empty"):
        run_preset(TINY, SEEDS, folder)


def test_the_measures(finished: tuple[Path, list]) -> None:
    rows = {(row.cell, row.model, row.measure): row for row in measured(finished[1])}
    loss = rows["cycle:15", "node2vec", "loss"]
    assert loss.published == 1.434918
    assert loss.values == tuple(run.modes.loss[-1] for run in finished[1][0].comparison.models[1].runs)
    assert loss.mean == pytest.approx(np.mean(loss.values))
    floor = rows["cycle:15", "node2vec", "entropy_floor"]
    assert floor.values == pytest.approx([np.log(2)] * len(loss.values))  # of two neighbours
    assert loss.deviation == pytest.approx(np.std(loss.values, ddof=1))
    assert ("cycle:15", "node2vec", "transposed_margin") not in rows
    assert ("cycle:15", "one-layer", "transposed_margin") in rows
    run = finished[1][0].comparison.models[1].runs[0]
    step = rows["cycle:15", "node2vec", "recall_step"].values[0]
    recall = dict(zip(run.modes.steps.tolist(), run.modes.edge_recall, strict=True))
    assert recall[int(step)] == 1.0
    assert all(value < 1.0 for at, value in recall.items() if at < step)
    assert recall_step(run) == step


def test_what_is_stable_and_apart() -> None:
    def row(values: tuple[float, ...], published: float | None) -> Measured:
        return Measured("c", "m", "M", "loss", values, published)

    assert row((1.0, 1.1), 1.2).stable
    assert not apart(row((1.0, 1.1), 1.2))
    assert apart(row((1.0, 1.1), 2.0))
    assert apart(row((1.0, 1.1), -1.0))
    assert not row((1.0, 3.0), 9.0).stable
    assert not apart(row((1.0, 3.0), 9.0))
    assert not apart(row((1.0, 1.1), None))
    assert not row((1.0,), 1.0).stable
    never = row((float("inf"), 4.0), 3.0)
    assert never.mean == 4.0
    assert not never.stable


def test_the_report(finished: tuple[Path, list], tmp_path: Path) -> None:
    results = finished[1]
    drawings = preset_drawings(TINY, results)
    assert [one.name for one in drawings] == ["gallery", "heat-maps", "spectral-bars", "mode-times", "vector-bars"]
    assert len(save_drawings(drawings, tmp_path)) == 2 * len(drawings)
    tables = preset_tables(results)
    assert [cell for cell, _, _ in tables] == ["cycle:15", "path-star:4x5"]
    for _, header, rows in tables:
        assert header[:3] == ["", "loss", "its floor"]
        assert [row[0] for row in rows] == ["One-layer net", "Node2Vec"]
        assert all(len(row) == len(header) for row in rows)
    text = preset_markdown(TINY, SEEDS, results, drawings, {"versions": {}})
    assert "(1.4349)" in text
    assert f"![{drawings[0].title}](figures/gallery.png)\n\n{drawings[0].caption}\n" in text
    assert "## Spectral bias" in text
    assert preset_rendering(results) is not None
    described = describe_preset(TINY, SEEDS, results)
    assert described["cells"]["cycle:15"]["spectral_bias"].keys() == {"one-layer", "node2vec"}
    assert {row["model"] for row in described["table"]} == {"one-layer", "node2vec"}


@pytest.mark.long
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(presets_module.PRESETS, "tiny", Preset("tiny", "T", "figure 0", TINY.cells[:1]))
    out = tmp_path / "out"
    command = ["compare", "--preset", "tiny", "--seeds", "2", "--out", str(out)]
    assert main([*command, "--dry-run"]) == 0
    assert not out.exists()
    assert "one-layer on cycle:15, 150 steps x 2 seed(s)" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["preset"] == "tiny"
    assert answer["seeds"] == [0, 1]
    kept = json.loads((out / "scores.json").read_text())
    assert kept["table"] == answer["table"]
    assert json.loads((out / "config.json").read_text())["seeds"] == [0, 1]
    assert "- command: `" in (out / "report.md").read_text()
    assert main(command) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("cycle:15\n")
    assert f"report: {out / 'report.md'}" in said
    assert max(len(line) for line in said.splitlines() if line.startswith("│")) <= 80


def test_a_file_is_read_as_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "graph.txt", tmp_path / "out"
    file.write_text("a~b~2~9\n1~2~1~2\n2~3~1~3\n")  # without a word no header, and the weight in the third field
    said = ["--delimiter", "~", "--header", "--weight", "9"]
    command = ["compare", str(file), "--preset", "bridge", "--seeds", "1", "--dry-run", "--json", "--out", str(out)]
    assert main([*command, *said]) == 0
    capsys.readouterr()
    assert main(command) == 2
    assert "say --delimiter '~'" in capsys.readouterr().err
    options = {"delimiter": "~", "header": True, "weight": "9"}
    preset = get_preset("bridge", str(file), options)
    graph = preset.cells[0].tasks()[0][0].graph
    assert graph.nodes == (1, 2, 3)
    assert graph.adjacency.toarray().tolist() == [[0, 2, 0], [2, 0, 3], [0, 3, 0]]
    assert preset.options == options  # which the folder keeps
    assert [cell.name for cell in preset.cells] == [str(file), f"{file} self-edges"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "fig1", "cycle:15"], "--preset fig1 has graphs of its own: leave out cycle:15"),
        (["--preset", "fig1", "--steps", "4"], "--preset fig1 fixes models and settings"),
        (["--preset", "fig1", "-m", "mlp"], "--preset fig1 fixes models and settings"),
        (["--preset", "fig1", "--self-edges"], "--preset fig1 fixes its tasks: leave out --self-edges"),
        (["--preset", "fig1", "--no-header"], "--preset fig1 fixes its tasks: leave out --no-header, or take --preset"),
        (["--preset", "ladder", "--weight", ""], "without a GRAPH reads no file: give the file, or leave out --weight"),
        (["--preset", "fig1", "--no-optimum"], "--preset fig1 shows the optimum"),
        (["--preset", "fgi1"], "unknown preset 'fgi1'; did you mean 'fig1'?"),
        ([], "give a GRAPH, such as cycle:15, or a --preset, such as fig1"),
    ],
)
def test_bad_commands(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words]) == 2
    assert message in capsys.readouterr().err
