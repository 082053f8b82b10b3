"""fiedler.score: the numbers of `fiedler score` for arrays, tensors, tables and dictionaries, in the nodes' order."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch

import fiedler
from commands import Capture, answer
from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

ROUNDING = 1e-9  # of scores that a rotation or the order of nodes leaves as they are
GRAPH = nx.karate_club_graph()
VECTORS = np.random.default_rng(0).standard_normal((34, 6))


def test_it_is_the_answer_of_the_command(tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    told = answer(capsys, "score", "karate", str(tmp_path / "v.npy"), "--weight-decay", "0.1")
    assert told.pop("file") == str(tmp_path / "v.npy")
    assert json.loads(to_json(fiedler.score("karate", VECTORS, weight_decay=0.1).answer)) == told


def test_the_optimum_scores_one_and_a_rotation_changes_nothing() -> None:
    optimum = fiedler.predict(GRAPH).optimum
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((optimum.rank,) * 2))
    for embedding in (optimum.embedding(), optimum.embedding() @ rotation, 3.0 + 2.0 * optimum.embedding()):
        found = fiedler.score(GRAPH, embedding)
        assert found["fiedler_score"] == pytest.approx(1.0, abs=ROUNDING)
        assert found["gram_error"] == pytest.approx(0.0, abs=1e-6)
    assert found.optimum is not None


@pytest.mark.parametrize("form", [torch.tensor, pd.DataFrame, list, lambda v: torch.nn.Parameter(torch.tensor(v))])
def test_forms_of_an_embedding(form: object) -> None:
    found = fiedler.score(GRAPH, form(VECTORS), optimum=False)  # type: ignore[operator]
    assert np.array_equal(found.embedding, VECTORS)


def test_a_dictionary_goes_by_the_nodes() -> None:
    names = [f"node {i}" for i in range(34)]
    graph = nx.relabel_nodes(GRAPH, dict(enumerate(names)))
    shuffled = np.random.default_rng(2).permutation(34)
    found = fiedler.score(graph, {names[i]: VECTORS[i] for i in shuffled})
    assert found["gram_error"] == pytest.approx(fiedler.score(GRAPH, VECTORS)["gram_error"], abs=ROUNDING)
    with pytest.raises(ValueError, match=r"no vector of node 'node 1' \(33 of 34 lack\)"):
        fiedler.score(graph, {"node 0": VECTORS[0]})


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.zeros((3, 2)), "has 3 rows but the graph has 34 nodes"),
        (np.zeros(34), "must be a matrix"),
        (np.zeros((34, 0)), "shape"),
        (np.full((34, 2), np.nan), "not finite|NaN"),
        ([[1.0], [1.0, 2.0]], "the embedding"),
        ("karate.npy", "the embedding"),
        (None, "the embedding"),
        (np.full((34, 2), 1j), "the embedding"),
    ],
)
def test_bad_embeddings(embedding: object, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as found:
        fiedler.score(GRAPH, embedding)
    assert "\n" not in str(found.value)


def test_bad_options_and_tasks() -> None:
    with pytest.raises(TypeError, match=r"unknown option 'selfedges'; did you mean 'self_edges'\?"):
        fiedler.score(GRAPH, VECTORS, selfedges=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="has no optimum without weight decay"):
        fiedler.score("path-star:4x5", np.zeros((17, 2)), edges="forward")
    with pytest.raises(ValueError, match="weight_decay"):
        fiedler.score(GRAPH, VECTORS, weight_decay=-1.0)
    task = Task(parse("karate"), self_edges=True)
    assert fiedler.score(task, VECTORS).task is task
    with pytest.raises(TypeError, match="the task has its options"):
        fiedler.score(task, VECTORS, self_edges=True)


def test_frame_table_and_figure() -> None:
    found = fiedler.score(GRAPH, VECTORS)
    assert found.to_frame()["gram_error"].tolist() == [found["gram_error"]]
    assert repr(found).startswith("EmbeddingScores(Zachary's Karate Club: 34 nodes, dimension 6, fiedler_score 0.")
    assert "gram_error" in found._repr_html_()
    figure = found.plot()
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        f"gram_error {found['gram_error']:.3g}", f"fiedler_score {found['fiedler_score']:.3g}"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"optimum=True"):
        fiedler.score(GRAPH, VECTORS, optimum=False).plot()
    fiedler.score(nx.path_graph(2), np.ones((2, 1))).plot()  # rank one, and an embedding of nothing
