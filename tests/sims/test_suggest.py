"""The nearest valid word, in every refusal of an unknown one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from commands import Capture, refusal
from fiedler.kernels import graph_cross_entropy
from fiedler.kernels.compile_report import compile_report
from fiedler.kernels.graph.csr import csr_target
from fiedler.sims.models.node2vec import Node2VecSettings
from fiedler.sims.suggest import choose, did_you_mean, nearest
from fiedler.theory import parse, spectrum


def test_nearest_sets_case_and_dashes_aside_and_knows_beginnings() -> None:
    known = ("in_weights", "frozen_embeddings", "in_context", "trained")
    assert nearest("In-Wieghts", known) == "in_weights"
    assert nearest("frzen", known) == "frozen_embeddings"
    assert nearest("xyzzy", known) is None
    assert nearest(3, known) is None
    assert nearest("a", []) is None


def test_an_exact_length_wins_over_a_longer_word() -> None:
    assert nearest("node2vce", ("node2vec-untied", "node2vec")) == "node2vec"


def test_messages() -> None:
    assert did_you_mean("fgi1", ["fig1", "knobs"]) == "did you mean 'fig1'? "
    assert did_you_mean("xyzzy", ["fig1"]) == ""
    assert choose("lin", ("node", "line")) == "did you mean 'line'? choose from node, line"


COMMANDS = {
    "theory cylce:15": "'cycle:15'",
    "theory pth-star:6x3": "'path-star:6x3'",
    "theory cycle:5 --laplacian symetric": "'symmetric'",
    "theory cycle:5 --edges forwrd": "'forward'",
    "theory cycle:5 --weights lin": "'line'",
    "compare --preset fgi1": "'fig1'",
    "compare cycle:5 -m transfomer": "'transformer'",
    "train cycle:5 -m transformer:layer_nrom=false": "'layer_norm'",
    "train cycle:5 -m hf:lama": "hf:llama",
    "train cycle:5 --log tensorbord": "'tensorboard'",
    "headroom cylce:5": "'cycle:5'",
    "headroom -m transfomer": "'transformer'",
    "paths --preset cup": "'cpu'",
    "paths --only in_wieghts": "'in_weights'",
    "paths --recipe mixd": "'mixed'",
    "paths --objective ful": "'full'",
    "paths --edges bth": "'both'",
    "paths --task frward": "'forward'",
    "paths --split leav": "'leaf'",
    "paths --projection pac": "'pca'",
    "paths --arch gtp2": "hf:gpt2",
    "paths --device cup": "'cpu'",
    "recall --preset structre": "'structure'",
    "recall --only frzen_subjects": "'frozen_subjects'",
    "recall --preset scaling --only block": "'blocks'",
    "recall --device cup": "'cpu'",
    "profile --op liner": "'linear'",
    "profile --dtype float23": "'float32'",
    "profile --device cudda": "'cuda'",
    "profile --path chunkd --shape 4,4,4 --no-peers": "'chunked'",
    "score cycle:5 v.npyy": "'.npy'",
    "score cycle:5 two.npz --key embeding": "'embedding'",
    "sweep table.toml": "'axes'",
    "sweep key.toml": "'seeds'",
    "sweep option.toml": "'learning_rate'",
    "sweep scale.toml": "'linear'",
    "sweep phase.toml": "'width'",
    "sweep good.toml --backend dsak": "'dask'",
    "export . --to word2vce": "'word2vec'",
}

SWEEPS = {
    "good": "",
    "table": "[axs]\nwidth = [2]",
    "key": "[sweep]\nseds = 2",
    "option": "[axes]\nlearning_rte = [0.1]",
    "scale": "[axes]\nwidth = {from = 1, to = 2, points = 2, scale = 'linaer'}",
    "phase": "[axes]\nwidth = [2, 3]\n[phase]\nx = 'widht'",
}


@pytest.mark.parametrize("line", list(COMMANDS))
def test_commands_suggest(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in SWEEPS.items():
        Path(f"{name}.toml").write_text(f"[base]\ngraph = 'cycle:5'\n{text}\n")
    Path("v.npyy").touch()
    np.savez("two.npz", embedding=np.ones((5, 2)), context=np.ones((5, 2)))
    assert f"did you mean {COMMANDS[line]}?" in refusal(capsys, *line.split())
    assert not Path("runs").exists()


def test_python_calls_suggest() -> None:
    with pytest.raises(ValueError, match="did you mean 'gaussian'"):
        Node2VecSettings(init="gausian")
    with pytest.raises(ValueError, match="did you mean 'random-walk'"):
        spectrum(parse("cycle:5"), "random-wlak")
    target = csr_target(torch.eye(3))
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        graph_cross_entropy(torch.ones(3, 2), torch.ones(3, 2), target, reduction="maen")
    with pytest.raises(ValueError, match="did you mean"):
        compile_report(architectures=[90], names=["row cross entropy: chunked bf61 1024x32000 plain"])
