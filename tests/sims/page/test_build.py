"""Tests of `fiedler report`: the page holds the numbers of the folder, and nothing that is loaded from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pages
from commands import answer, refusal
from fiedler.sims.disk.files import Damage
from fiedler.sims.disk.sums import write_sums
from fiedler.sims.page import kind_of, parts_of, render_page
from fiedler.sims.page.views import read_comparison
from fiedler.sims.runs.folder import RunDir
from phase_tables import fail, swept

LARGEST = 6_000_000  # bytes of a page


@pytest.fixture(scope="module")
def page() -> str:
    return render_page("a <title> & more", parts_of(pages.comparison_folder()))


@pytest.fixture(scope="module")
def content(page: str) -> dict[str, Any]:
    return pages.content_of(page)


def test_the_page_loads_nothing(page: str) -> None:
    shell = re.sub(r'<script type="application/octet-stream"[^<]+</script>', "", page)
    assert "http://" not in shell
    assert "https://" not in shell
    assert not re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', shell)
    assert len(page.encode()) < LARGEST
    assert "a &lt;title&gt; &amp; more" in page
    assert "@@" not in page


def test_energies_are_the_folder_s(content: dict[str, Any]) -> None:
    view = read_comparison(pages.comparison_folder())
    for block, model in zip(pages.blocks_of(content, "Mode energies"), view.models, strict=True):
        assert model.predicted is not None
        lines = [trace for trace in block["figure"]["data"] if trace["mode"] == "lines"]
        columns = model.predicted.centred_energy.T
        for line in lines:
            assert any(np.allclose(pages.numbers(line["y"]), column, rtol=1e-12) for column in columns)
        assert len(lines) >= 2
        points = [t for t in block["figure"]["data"] if t["mode"] == "markers" and t.get("yaxis", "y") == "y"]
        assert len(points) == len(lines)


def test_spectra_are_the_embeddings(content: dict[str, Any]) -> None:
    view = read_comparison(pages.comparison_folder())
    block = pages.blocks_of(content, "Spectra")[0]
    limit, at_time, measured = block["figure"]["data"]
    known = view.models[0].eigenvalues
    np.testing.assert_allclose(pages.numbers(limit["y"]), known[: view.graph.n - 1], rtol=1e-9, atol=1e-12)
    flows = [scores["predicted_spectrum"] for scores in view.models[0].scores]
    np.testing.assert_allclose(pages.numbers(at_time["y"]), np.mean(flows, axis=0)[: view.graph.n - 1], rtol=1e-9)
    grams = [
        np.linalg.eigvalsh(c @ c.T)[::-1] for c in (view.centred(run.final.embedding) for run in view.models[0].runs)
    ]
    np.testing.assert_allclose(pages.numbers(measured["y"]), np.mean(grams, axis=0)[: view.graph.n - 1], atol=1e-8)


def test_the_flow_at_the_time_of_the_runs_stands_beside_the_limit(content: dict[str, Any]) -> None:
    scores = RunDir.open(pages.comparison_folder()).read_scores()
    runs = [run for run in scores["runs"] if run["model"] == "node2vec"]
    (table,) = pages.blocks_of(content, "At the time of the runs")
    limit, flow, measured = table["rows"]  # a Transformer has no time of its own
    assert (limit[0], flow[0], measured[0]) == ("limit", "Node2Vec, predicted at t", "Node2Vec, runs")
    assert limit[2] == scores["optimum"]["loss_per_node"]
    assert flow[1] == measured[1] == f"{runs[0]['flow_time']:g}"
    columns = ("loss per node", "gram_error to limit", "gram_error at t")
    names = (
        ("predicted_loss_per_node", "predicted_gram_error", None),
        ("loss_per_node", "gram_error", "gram_error_at_time"),
    )
    for row, keys in zip((flow, measured), names, strict=True):
        for column, key in zip(columns, keys, strict=True):
            cell = row[table["columns"].index(column)]
            assert cell == (None if key is None else pytest.approx(np.mean([run[key] for run in runs])))
    points = next(b for b in pages.blocks_of(content, "Loss"))["figure"]["data"]
    (dots,) = [trace for trace in points if "predicted at t" in trace["name"]]
    assert list(pages.numbers(dots["y"])) == [run["predicted_loss_per_node"] for run in runs]


def test_what_is_to_be_said_beside_the_numbers_is(content: dict[str, Any]) -> None:
    view = read_comparison(pages.comparison_folder())
    (section,) = [s for part in content["parts"] for s in part["sections"] if s["title"] == "At the time of the runs"]
    assert view.notes
    assert set(view.notes) <= set(section["notes"])
    assert any("is not attained" in note for note in view.notes)  # of a star


def test_similarities_are_cosines(content: dict[str, Any]) -> None:
    view = read_comparison(pages.comparison_folder())
    block = pages.blocks_of(content, "Similarity")[1]
    centred = view.centred(view.models[0].runs[0].final.embedding)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(pages.numbers(block["figure"]["data"][0]["z"]), 100 * unit @ unit.T, atol=0.51)


def test_scores_are_those_of_scores_json(content: dict[str, Any]) -> None:
    scores = RunDir.open(pages.comparison_folder()).read_scores()
    each = next(b for b in pages.blocks_of(content, "Scores") if b.get("name") == "scores-by-seed")
    column = each["columns"].index("gram error")
    assert [row[column] for row in each["rows"]] == [run["gram_error"] for run in scores["runs"]]


def test_nodes_edges_and_steps_are_the_run_s(content: dict[str, Any]) -> None:
    view = read_comparison(pages.comparison_folder())
    (block,) = pages.blocks_of(content, "Embedding")
    assert block["nodes"] == [str(node) for node in view.graph.nodes]
    edges = np.frombuffer(b64decode(block["edges"]), dtype="<u4").reshape(-1, 2)
    assert len(edges) == view.graph.edge_count
    assert all(view.graph.adjacency[i, j] > 0 for i, j in edges)
    assert [one["name"] for one in block["series"]] == [
        f"{model.model.title}, seed {seed}" for model in view.models for seed in pages.SEEDS
    ]
    assert "data" in block["series"][1]["predicted"]  # each seed's own flow
    assert block["series"][3]["predicted"] == {"like": "Transformer, seed 0"}
    assert block["series"][0]["steps"][-1] == pages.STEPS["node2vec"]


def test_every_section_says_where_its_numbers_come_from(content: dict[str, Any]) -> None:
    for section in content["parts"][0]["sections"]:
        source = section["source"]
        assert source["folder"] == str(pages.comparison_folder())
        assert source["command"]
        assert source["seeds"] in ("0, 1", "0")
        assert "numpy" in source["versions"]


def test_one_run_gets_a_prediction_of_its_own(tmp_path: Path) -> None:
    run = pages.comparison_folder() / "runs/node2vec-seed1"
    found = pages.content_of(render_page("run", parts_of(run)))
    (block,) = pages.blocks_of(found, "Embedding")
    assert [one["seed"] for one in block["series"]] == [1]
    assert block["series"][0]["predicted"] is not None


def test_large_graphs_are_drawn_within_the_limit() -> None:
    page = render_page("large", parts_of(pages.large_folder(600)))
    assert len(page.encode()) < LARGEST
    found = pages.content_of(page)
    (block,) = pages.blocks_of(found, "Embedding")
    assert len(block["nodes"]) == 600
    assert block["series"][0]["predicted"] is None  # it would take minutes, and the page says so
    titles = [section["title"] for section in found["parts"][0]["sections"]]
    assert "Similarity" not in titles


def test_sweeps_show_their_cells(tmp_path: Path) -> None:
    table = swept(
        {"weight_decay": [0.01, 0.1, 1.0], "init_std": [0.1, 1.0]},
        lambda seed, weight_decay, init_std: 0.3 - weight_decay + 0.01 * seed,
    )
    fail(table, (table["weight_decay"] == 1.0) & (table["seed"] == 1))
    folder = pages.sweep_folder(tmp_path / "s", table, "weight_decay", "init_std")
    found = pages.content_of(render_page("sweep", parts_of(folder)))
    assert found["parts"][0]["facts"] == [["runs", "12"], ["done", "10"], ["failed", "2"]]
    (phase,) = pages.blocks_of(found, "Phase diagram")
    cells = phase["figure"]["data"][0]
    by_cell = dict(zip(pages.numbers(cells["x"]), pages.numbers(cells["marker"]["color"]), strict=False))
    assert by_cell[0.1] == pytest.approx(0.205)
    assert by_cell[1.0] == pytest.approx(-0.7)  # of the seed that is done
    (runs,) = pages.blocks_of(found, "Runs")
    assert len(runs["rows"]) == len(table)
    curves = pages.blocks_of(found, "Scores over settings")
    assert [block["name"] for block in curves] == ["sweep-geometric_margin"]
    assert len(curves[0]["figure"]["data"]) == 2  # a line for each initialisation


def test_sweeps_over_one_setting_draw_a_curve(tmp_path: Path) -> None:
    table = swept({"weight_decay": [0.01, 0.1]}, lambda seed, weight_decay: weight_decay)
    folder = pages.sweep_folder(tmp_path / "s", table, "weight_decay", None)
    (phase,) = pages.blocks_of(pages.content_of(render_page("sweep", parts_of(folder))), "Phase diagram")
    np.testing.assert_allclose(pages.numbers(phase["figure"]["data"][0]["y"]), [0.01, 0.1])


def test_profiles_show_every_way(tmp_path: Path) -> None:
    entry = {"ms_median": 2.0, "ms_spread": [1.5, 3.0], "ratio_to_floor": [2.0, 1.5, 3.0], "tflops": 0.1, "gbps": 1.0}
    entry |= {"peak_mib": 4.0, "error": 1e-7}
    row = {"op": "linear", "N": 8, "D": 4, "V": 16, "dtype": "float32", "device": "cpu", "path": "chunked", **entry}
    peers = {
        "eager": {**entry, "ms_median": 4.0, "ratio_to_ours": [2.0, 1.9, 2.2]},
        "other": {"absent": "not installed"},
    }
    (tmp_path / "profile.json").write_text(
        json.dumps({"environment": {"command": "fiedler profile"}, "rows": [{**row, "floor_ms": 1.0, "peers": peers}]})
    )
    found = pages.content_of(render_page("profile", parts_of(tmp_path)))
    section = found["parts"][0]["sections"][0]
    assert "Not measured: other (not installed)." in section["notes"]
    assert section["source"]["command"] == "fiedler profile"
    bars = pages.blocks_of(found, "Kernels")[1]["figure"]["data"]
    assert [bar["y"] for bar in bars] == [[2.0], [4.0]]
    (table,) = pages.blocks_of(found, "Every measurement")
    assert [line[4] for line in table["rows"]] == ["fiedler (chunked)", "eager", "matrix products (floor)"]


def conditions_folder(folder: Path, per_seed: bool) -> Path:
    """As `fiedler paths` (scores of every seed in scores.json) and `fiedler recall` (in the runs alone) leave one."""
    values = {"trained": [0.9, 0.7], "frozen": [0.1, 0.3]}
    kept = RunDir.create(folder, {"conditions": {name: {} for name in values}, "seeds": [0, 1]})
    answer: dict[str, Any] = {"chance": 0.05}
    for name, accuracies in values.items():
        for seed, accuracy in enumerate(accuracies):
            run = RunDir.create(folder / f"runs/{name}-seed{seed}", {"seed": seed})
            run.append_metrics({"step": 0, "loss": 2.0})
            run.append_metrics({"step": 10, "loss": 1.0 - accuracy})
            run.write_scores({"accuracy": accuracy, "seconds": 1.0})
        if per_seed:
            entries = [{"seed": seed, "accuracy": accuracy} for seed, accuracy in enumerate(accuracies)]
            answer |= {"conditions": list(values), name: {"per_seed": entries}}
    kept.write_scores(answer)
    return folder


@pytest.mark.parametrize("per_seed", [True, False])
def test_conditions_show_their_scores_and_curves(tmp_path: Path, per_seed: bool) -> None:
    folder = conditions_folder(tmp_path / "c", per_seed)
    assert kind_of(folder) == "conditions"
    found = pages.content_of(render_page("conditions", parts_of(folder)))
    means = next(block for block in pages.blocks_of(found, "Scores") if block.get("name") == "scores")
    row = dict(zip(means["columns"], means["rows"][0], strict=True))
    assert row["score"] == "accuracy"
    # mean +- t(0.975, 1) sd / sqrt(2) of 0.9 and 0.7
    assert row["trained"] == f"0.8 [{0.8 - 12.70620474 * 0.1:.4g}, {0.8 + 12.70620474 * 0.1:.4g}]"
    (curves,) = [block for block in pages.blocks_of(found, "Training") if block["name"] == "curve-loss"]
    ends = {
        trace["hovertemplate"].partition("<")[0]: pages.numbers(trace["y"])[-1] for trace in curves["figure"]["data"]
    }
    assert ends["trained-seed0"] == pytest.approx(0.1)
    assert len(ends) == 4


def test_the_command_writes_beside_the_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "new" / "page.html"
    said = answer(capsys, "report", str(pages.comparison_folder()), "--out", str(out))
    assert said["kind"] == "comparison"
    assert said["bytes"] == out.stat().st_size
    assert "Embedding" in said["sections"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "is not a folder"),
        (lambda folder: folder.mkdir(), "holds no finished run"),
        (lambda folder: (folder.mkdir(), (folder / "profile.json").write_text("{}")), "no rows"),
        (lambda folder: (folder.mkdir(), (folder / "results.csv").write_text("")), "cannot be read as a sweep"),
        (lambda folder: RunDir.create(folder, {"graph": "karate"}), "not finished"),
    ],
)
def test_other_folders_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, make: Any, says: str) -> None:
    make(tmp_path / "there")
    assert says in refusal(capsys, "report", str(tmp_path / "there"))


def test_out_has_to_be_a_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = refusal(capsys, "report", str(pages.comparison_folder()), "--out", str(tmp_path))
    assert "must be a file ending in .html" in said


def test_kinds() -> None:
    assert kind_of(pages.comparison_folder()) == "comparison"
    assert kind_of(pages.comparison_folder() / "runs/node2vec-seed0") == "run"


@pytest.mark.parametrize("name", ["environment.json", "runs/node2vec-seed0/environment.json"])
def test_a_file_that_was_changed_is_named(tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(pages.comparison_folder(), tmp_path / "c"))
    path = folder / name
    path.write_text(path.read_text().replace("0", "1", 1))
    with pytest.warns(Damage) as warned:
        parts = parts_of(folder)
    assert len({str(one.message) for one in warned}) == 1
    first = parts[0].sections[0]
    assert first.title == "Files that were changed since"
    assert first.notes[0] == str(warned[0].message)
    assert first.notes[0].startswith(f"{path} does not have its checksum")


def test_a_sweep_s_table_that_was_changed_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("point,seed,status,init_std\na,0,done,0.1\n")
    write_sums(tmp_path, ["results.csv"])
    assert parts_of(tmp_path)[0].sections[0].title != "Files that were changed since"
    (tmp_path / "results.csv").write_text("point,seed,status,init_std\na,0,done,0.2\n")
    with pytest.warns(Damage, match=r"results\.csv does not have its checksum"):
        assert parts_of(tmp_path)[0].sections[0].title == "Files that were changed since"
