"""fiedler export: embeddings of run folders as files of other programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors
from torch_geometric.data import Data

from commands import Capture, answer, refusal
from fiedler.sims.cli.commands import main
from fiedler.sims.interop import from_data, read_word_vectors
from fiedler.sims.runs.folder import RunDir
from fiedler.theory import as_graph, parse


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in ("0", "1"):
        command = ["train", "davis", "-m", "node2vec-untied", "--steps", "20", "--width", "6", "--seed", seed]
        assert main([*command, "--out", str(folder / f"seed{seed}")]) == 0
    return folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_format_holds_the_embedding_and_its_nodes(capsys: Capture, runs: Path) -> None:
    run, graph = runs / "seed0", parse("davis")
    rows = RunDir(run).read_embeddings()["embedding"]
    for form in ("word2vec", "npy", "npz", "graphml", "pyg"):
        answer(capsys, "export", str(run), "--to", form)
    assert np.array_equal(np.load("exports/seed0.npy"), rows)
    names, found = read_word_vectors("exports/seed0.w2v")
    assert np.array_equal(found, rows)
    assert len(KeyedVectors.load_word2vec_format("exports/seed0.w2v")) == len(names) == graph.n
    with np.load("exports/seed0.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["embedding"], rows)
        assert arrays["graph_nodes"].tolist() == [str(node) for node in graph.nodes]
    network = nx.read_graphml("exports/seed0.graphml")
    assert list(network.nodes) == [str(node) for node in graph.nodes]
    assert np.array_equal([[network.nodes[node][f"v{k}"] for k in range(6)] for node in network], rows)
    assert (as_graph(network).adjacency != graph.adjacency).nnz == 0
    data = Data(**torch.load("exports/seed0.pt", weights_only=True))
    assert (from_data(data).adjacency != graph.adjacency).nnz == 0
    assert np.array_equal(data.x.numpy(), rows.astype(np.float32))


def test_several_runs_and_other_matrices(capsys: Capture, runs: Path) -> None:
    found = answer(capsys, "export", str(runs), "--to", "npy", "--key", "context", "--out", "here")
    first, second = f"here/{runs.name}-seed0.npy", f"here/{runs.name}-seed1.npy"
    assert found == {"files": [first, second]}
    context = RunDir(runs / "seed1").read_embeddings()["context"]
    assert np.array_equal(np.load(second), context)
    answer(capsys, "export", str(runs / "seed1"), "--to", "npy", "--key", "context", "--out", "deep/own.npy")
    assert np.array_equal(np.load("deep/own.npy"), context)


def test_runs_of_one_name_stay_apart(capsys: Capture, runs: Path) -> None:
    for point in ("p", "q"):
        shutil.copytree(runs / "seed0", Path("sweep", point, "seed0"))
    found = answer(capsys, "export", "sweep", "--to", "npy", "--out", "here")
    assert found == {"files": ["here/sweep-p-seed0.npy", "here/sweep-q-seed0.npy"]}


def test_folders_of_one_run_name_stay_apart_and_nothing_is_overwritten(capsys: Capture, runs: Path) -> None:
    for comparison in ("one", "two"):
        shutil.copytree(runs / "seed0", Path(comparison, "runs", "seed0"))
        found = answer(capsys, "export", comparison, "--to", "npy")
        assert found == {"files": [f"exports/{comparison}-seed0.npy"]}
    kept = Path("exports/one-seed0.npy")
    kept.write_bytes(b"mine")
    Path("three/one").mkdir(parents=True)
    shutil.copytree(runs / "seed0", "three/one/runs/seed0")
    for folder in ("one", "three/one"):
        assert "exports/one-seed0.npy is there: pass --overwrite" in refusal(capsys, "export", folder, "--to", "npy")
        assert kept.read_bytes() == b"mine"
    answer(capsys, "export", "one", "--to", "npy", "--overwrite")
    assert kept.read_bytes() != b"mine"


def test_refusals(capsys: Capture, runs: Path, tmp_path: Path) -> None:
    assert "holds no finished run" in refusal(capsys, "export", str(tmp_path))
    assert "is no folder" in refusal(capsys, "export", "absent")
    assert "did you mean 'context'" in refusal(capsys, "export", str(runs), "--key", "contxt")
    assert "give --out a folder" in refusal(capsys, "export", str(runs), "--out", "one.w2v")
    assert "leave --key out" in refusal(capsys, "export", str(runs), "--to", "tensorboard", "--key", "context")
