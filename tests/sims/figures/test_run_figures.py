"""Figures that need embeddings: galleries and vector bars from a preset's folder, maps from path runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.compare.presets import definitions as presets
from fiedler.sims.compare.presets.definitions import Cell, PresetModel
from fiedler.sims.compare.presets.folder import read_preset
from fiedler.sims.page import parts_of
from fiedler.sims.runs.folder import RunDir
from figure_runs import draw, paths_folder
from figures import assert_legible

MODELS = (
    PresetModel("node2vec:steps=60", "node2vec", "Node2Vec", weights="node"),
    PresetModel("transformer:steps=5,width=16", "small-net", "Transformer"),  # a name that is no word for a model
)


@pytest.fixture(scope="module")
def preset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fig1 with short runs on two graphs."""
    folder = tmp_path_factory.mktemp("preset") / "fig1"
    cells = tuple(Cell(graph, MODELS) for graph in ("path-star:3x3", "cycle:5"))
    small = dataclasses.replace(presets.PRESETS["fig1"], cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "fig1", small)
        from fiedler.sims.cli.commands import main

        assert main(["compare", "--preset", "fig1", "--seeds", "1", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def small_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = tuple(Cell(graph, MODELS) for graph in ("path-star:3x3", "cycle:5"))
    monkeypatch.setitem(presets.PRESETS, "fig1", dataclasses.replace(presets.PRESETS["fig1"], cells=cells))


@pytest.mark.parametrize("width", ["single", "double"])
@pytest.mark.parametrize("name", ["fig1", "fig7"])
def test_a_presets_figures_are_legible(preset_folder: Path, name: str, width: str) -> None:
    drawn, figure = draw(name, preset_folder, width=width)
    assert_legible(figure)
    assert drawn.sources[0].seeds == (0,)


def test_every_panel_of_a_gallery_has_every_node(preset_folder: Path) -> None:
    _, figure = draw("fig1", preset_folder, width="double")
    points = [len(ax.collections[-1].get_offsets()) for ax in figure.axes]
    assert sorted(points) == [5] * 4 + [7] * 4


def test_the_page_of_a_preset_has_a_part_for_every_comparison(preset_folder: Path) -> None:
    whole, *parts = parts_of(preset_folder)
    assert whole.title == "fig1"
    lines = "weighted by line"
    assert [part.title for part in parts] == [
        f"{graph}{weights}" for graph in ("path-star:3x3", "cycle:5") for weights in ("", f", {lines}")
    ]
    assert all("Embedding" in [section.title for section in part.sections] for part in parts)


def test_vector_bars_are_the_kept_norms(preset_folder: Path) -> None:
    _, figure = draw("fig7", preset_folder, width="double")
    _, cells, _ = read_preset(preset_folder)
    for (_, comparison), ax in zip(cells, figure.axes, strict=False):
        norms = np.array(comparison.models[0].scores[0]["vector_energy"])[1:]
        assert [bar.get_height() for bar in ax.patches] == pytest.approx(norms / norms.max())


@pytest.mark.parametrize(
    ("name", "width"), [("fig6", "single"), ("fig6", "double"), ("fig16", "single"), ("fig18", "single")]
)
def test_maps_of_path_runs(name: str, width: str) -> None:
    _, figure = draw(name, paths_folder(), width=width)
    assert_legible(figure)
    if name == "fig16":
        kept = RunDir.open(paths_folder() / "runs" / "in_weights-seed0").read_embeddings()["embedding"]
        values = np.asarray(figure.axes[0].images[0].get_array())
        assert values.shape == (2, 8)  # unseen leaves by first hops
        unit = kept / np.linalg.norm(kept, axis=1, keepdims=True)
        distances = 1 - unit @ unit.T
        assert np.abs(values[:, :, None, None] - distances).min(axis=(2, 3)) == pytest.approx(0, abs=1e-6)
