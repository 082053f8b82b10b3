"""fiedler.train: the run and the numbers of `fiedler train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import fiedler
from commands import Capture, answer
from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.runs.folder import RunDir

SHORT: dict[str, Any] = {"steps": 40, "width": 6}
Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Records, list[tuple[str, float]]]:
    records, progress = Records(), list[tuple[str, float]]()
    found = fiedler.train(
        "cycle:7",
        seed=3,
        out=tmp_path_factory.mktemp("out") / "run",
        on_step=records.append,
        on_progress=lambda *told: progress.append(told),
        **SHORT,
    )
    return found, records, progress


def test_it_is_the_answer_and_the_folder_of_the_command(trained: Any, tmp_path: Path, capsys: Capture) -> None:
    found, theirs = trained[0], tmp_path / "theirs"
    line = ("train", "cycle:7", "--seed", "3", "--steps", "40", "--width", "6", "--out", str(theirs))
    assert json.loads(to_json(found.answer)) == answer(capsys, *line)
    assert {path.relative_to(found.folder) for path in found.folder.rglob("*")} == {
        path.relative_to(theirs) for path in theirs.rglob("*")
    }
    np.testing.assert_array_equal(found.embedding, RunDir.open(theirs).read_embeddings()["embedding"])


def test_every_recorded_step_is_told_and_in_the_frame(trained: Any) -> None:
    found, records, progress = trained
    logged = RunDir.open(found.folder).read_metrics()
    assert records == [{"model": "node2vec", "seed": 3, **line} for line in logged]
    frame = found.to_frame()
    for name in ("step", "time", "loss_per_node", "edge_recall"):
        assert frame[name].tolist() == [line[name] for line in logged]
    assert {stage for stage, _ in progress} >= {"Node2Vec", "optimum"}


def test_table_and_figure(trained: Any) -> None:
    found = trained[0]
    loss = f"loss_per_node {found.answer['loss_per_node']:.6g}"
    assert repr(found).startswith(f"TrainingResult(Node2Vec on cycle:7, seed 3: 7 nodes, width 6, {loss}, gram_error ")
    assert "<td>gram_error</td>" in found._repr_html_()
    losses, _, plane = found.plot().axes
    assert [line.get_label() for line in losses.lines] == ["this run", "limit", "entropy floor"]
    assert [one.get_label() for one in plane.collections[1:]] == ["predicted", "embedding"]


def test_a_finished_run_is_read_and_not_scored_again(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = trained[0]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr("fiedler.sims.runs.scored.score_run", refuse)
    again = fiedler.train("cycle:7", seed=3, out=found.folder, resume=True, **SHORT)
    assert again.answer == json.loads(to_json(found.answer))
    np.testing.assert_array_equal(again.embedding, found.embedding)
    assert again.to_frame().equals(found.to_frame())
    with pytest.raises(ValueError, match="is not empty"):
        fiedler.train("cycle:7", out=found.folder, **SHORT)


def test_any_graph_and_model_and_nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = nx.relabel_nodes(nx.path_graph(4), dict(enumerate("dcba")))
    found = fiedler.train(graph, "node2vec-untied", optimum=False, **SHORT)
    assert found.nodes == tuple("dcba")
    assert found.context.shape == found.embedding.shape == (4, 6)
    assert found.folder is None
    assert found.optimum is None
    assert "gram_error" not in repr(found)
    assert "predicted" not in [one.get_label() for one in found.plot().axes[2].collections]
    whole = fiedler.train(nx.to_scipy_sparse_array(graph), "one-layer", optimum=False, **SHORT)
    assert whole.context is None
    assert whole.to_frame()["time"].isna().all()  # Adam has no clock
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"seed": 1.5}, TypeError, "seed must be an integer; got 1.5"),
        ({"seed": True}, TypeError, "seed must be an integer; got True"),
        ({"seed": -1}, ValueError, "zero or more; got -1"),
        ({"model": "node2vek"}, ValueError, "did you mean 'node2vec'"),
        ({"width": -1}, ValueError, "width"),
        ({"overwrite": True, "resume": True}, ValueError, "give one of them"),
        ({"smoothing": 0.1}, TypeError, "unknown option 'smoothing'; did you mean 'label_smoothing'"),
    ],
)
def test_bad_input(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fiedler.train("cycle:5", **options)
