"""The models behind one interface: their settings, their snapshots, and what the prediction is told of them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig

from fiedler.sims.models.nets import build_network
from fiedler.sims.models.neural_settings import NeuralSettings
from fiedler.sims.models.node2vec import Node2VecSettings, initial_embedding, train_node2vec
from fiedler.sims.models.protocol import Final, Snapshot
from fiedler.sims.models.registry import MODELS, Model, get_model
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

SAME = 1e-10  # products of the same float64 numbers in another order

TASK = Task(parse("path-star:3x2"))
N = TASK.graph.n
STEPS = np.array([0, 1, 4])
NEURAL = ("one-layer", "linear", "mlp", "transformer", "mamba", "associative", "associative-fast")
NAMES = ("node2vec", "node2vec-untied", *NEURAL)
SMALL: dict[str, dict[str, Any]] = {
    "node2vec": {"width": 20, "steps": 4},
    "node2vec-untied": {"width": 20, "steps": 4},
    **{name: {"width": 8, "steps": 4} for name in NEURAL},
}


def snapshots(name: str, seeds: list[int]) -> list[tuple[Snapshot, Final | None]]:
    """Every seed at every step of STEPS, with its results at the last."""
    model = get_model(name)
    found: list[tuple[Snapshot, Final | None]] = []
    settings = model.make_settings(**SMALL[name])
    for group in model.groups(TASK, settings, seeds):
        training = model.start(TASK, settings, group)
        for step in STEPS.tolist():
            training.advance(step - training.step)
            finals: list[Final | None] = [*training.finals()] if step == STEPS[-1] else [None] * len(group)
            found += zip(training.snapshots(), finals, strict=True)
    return found


def test_the_models_are_found_by_name() -> None:
    assert tuple(MODELS) == NAMES
    for name in NAMES:
        assert isinstance(get_model(name), Model)
        assert get_model(name).name == name
    titles = [
        "Node2Vec",
        "Node2Vec, untied",
        "One-layer net",
        "Linear net",
        "MLP",
        "Transformer",
        "Mamba",
        "Associative",
    ]
    assert [get_model(name).title for name in NAMES[:-1]] == titles
    assert [name for name in NAMES if not get_model(name).tied] == ["node2vec-untied"]
    assert [name for name in NAMES if get_model(name).exact_together] == ["node2vec", "node2vec-untied"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nod2vec", "did you mean 'node2vec'. "),
        ("transfomer", "did you mean 'transformer'. "),
        ("", ""),
        ("zzz", ""),
    ],
)
def test_another_name_is_an_error_that_names_the_choices(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown model '{name}'; {hint}choose from {', '.join(NAMES)}, hf:"):
        get_model(name)


# Settings.


def test_settings_without_overrides_are_the_defaults() -> None:
    assert get_model("node2vec").make_settings() == Node2VecSettings()
    assert get_model("node2vec-untied").make_settings() == Node2VecSettings(tied=False)
    assert get_model("transformer").make_settings() == NeuralSettings()
    assert get_model("associative").make_settings().frozen
    assert not get_model("one-layer").make_settings().frozen


@pytest.mark.parametrize("name", NAMES)
def test_overrides_change_what_they_name_and_nothing_else(name: str) -> None:
    model = get_model(name)
    plain = dataclasses.asdict(model.make_settings())
    given = {"steps": 77, "learning_rate": 0.5, "width": 16, "init_std": 0.1, "weight_decay": 0.25}
    assert dataclasses.asdict(model.make_settings(**given)) == {**plain, **given}
    some = dict.fromkeys(given) | {"steps": 3}  # None: not given
    assert dataclasses.asdict(model.make_settings(**some)) == {**plain, "steps": 3}


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("node2vec", {"heads": 2}),
        ("transformer", {"init": "orthogonal"}),
        ("node2vec-untied", {"rate": 1}),
        ("mlp", {"arch": "gpt2"}),
        ("mamba", {"config": "{}"}),
    ],
)
def test_an_unknown_override_is_an_error_that_names_the_known(name: str, override: dict[str, Any]) -> None:
    (unknown,) = override
    with pytest.raises(ValueError, match=f"the {name} model has no setting '{unknown}'; .*it has .*learning_rate.*wid"):
        get_model(name).make_settings(**override)
    assert get_model(name).make_settings(**dict.fromkeys(override)) == get_model(name).make_settings()


@pytest.mark.parametrize(("name", "tied"), [("node2vec", False), ("node2vec-untied", True)])
def test_a_model_cannot_be_turned_into_the_other(name: str, tied: bool) -> None:
    with pytest.raises(ValueError, match=f"the {name} model has no setting 'tied'; it has"):
        get_model(name).make_settings(tied=tied)


@pytest.mark.parametrize("name", NAMES)
def test_bad_values_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="learning_rate must be a positive number; got -1"):
        get_model(name).make_settings(learning_rate=-1)


# Snapshots.


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_yields_every_step_in_order(name: str) -> None:
    shots = snapshots(name, [5, 2])
    assert len(shots) == 2 * len(STEPS)
    for seed in (5, 2):
        own = [shot for shot, _ in shots if shot.seed == seed]
        assert [shot.step for shot in own] == STEPS.tolist()
        assert all(isinstance(shot.loss, float) for shot in own)
        assert own[0].loss != own[-1].loss


@pytest.mark.parametrize("name", NAMES[:2])
def test_node2vec_snapshots_are_the_training_s(name: str) -> None:
    seeds = [5, 2]
    settings = get_model(name).make_settings(**SMALL[name])
    states = list(train_node2vec(TASK.target, settings, seeds, STEPS))
    for shot, final in snapshots(name, seeds):
        state, i = states[STEPS.tolist().index(shot.step)], seeds.index(shot.seed)
        np.testing.assert_allclose(
            shot.embedding @ shot.embedding.T, state.full_embedding()[i] @ state.full_embedding()[i].T, atol=SAME
        )
        assert shot.loss == pytest.approx(state.loss[i], rel=SAME)
        if final is not None:
            v, u = state.full_embedding()[i], state.full_context()[i]
            assert final.embedding.shape == (N, 20)
            np.testing.assert_allclose(final.embedding, v, atol=SAME)
            np.testing.assert_allclose(final.logits, v @ u.T, atol=SAME)
            if name == "node2vec":
                assert final.context is None
            else:
                assert final.context is not None
                np.testing.assert_allclose(final.context, u, atol=SAME)
                assert not np.allclose(u, v)


# What the prediction is told.


@pytest.mark.parametrize("name", NAMES)
def test_the_time_of_a_step(name: str) -> None:
    model = get_model(name)
    expected = None if name in NEURAL else 0.3  # AdamW has no time
    assert model.time_per_step(model.make_settings(learning_rate=0.3)) == expected
    if name in NEURAL:
        descent = model.make_settings(learning_rate=0.3, optimiser="sgd")
        assert model.time_per_step(descent) == 0.3
        assert model.time_per_step(dataclasses.replace(descent, schedule="cosine")) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_initial_energy_is_that_of_the_initial_embedding(name: str) -> None:
    """Mean squared row norm over many rows, which has a relative standard error of sqrt(2 / entries)."""
    model = get_model(name)
    settings = model.make_settings(width=50, init_std=0.4)
    n, width = 400, 50
    if name in NEURAL:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            v = build_network(n, settings).input_embedding.detach().numpy()
    else:
        v = initial_embedding(n, settings, 0)
    assert model.initial_energy(settings) == pytest.approx((v**2).sum(axis=1).mean(), rel=4 * np.sqrt(2 / (n * width)))


def test_node2vec_does_without_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from fiedler.sims.models.registry import get_model\n"
        "from fiedler.sims.tasks.task import Task\n"
        "from fiedler.theory import parse\n"
        "model = get_model('node2vec')\n"
        "training = model.start(Task(parse('cycle:5')), model.make_settings(steps=1), [0])\n"
        "training.advance(1), training.snapshots(), training.finals()\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Words.


def test_settings_after_a_colon() -> None:
    model = get_model("transformer:layer_norm=false, heads=2,width=16,init_std=0.1")
    settings = model.make_settings(steps=7)
    assert settings == NeuralSettings(layer_norm=False, heads=2, width=16, init_std=0.1, steps=7)
    assert model.make_settings(width=8).width == 8  # what is given beside it comes first
    assert model.title == "Transformer (layer_norm=false,  heads=2, width=16, init_std=0.1)"
    assert get_model("node2vec:init=orthogonal").make_settings().init == "orthogonal"
    assert get_model("hf:llama:width=64").make_settings().width == 64
    assert get_model("hf:llama").make_settings().arch == "llama"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("transformer:norm=false", "the transformer model has no setting 'norm'; it has "),
        ("transformer:layer_norm=no", "layer_norm must be true or false; got 'no'"),
        ("transformer:heads=two", "heads must be a whole number; got 'two'"),
        ("mlp:init_std=x", "init_std must be a number; got 'x'"),
        ("mlp:width=3,width=4", "setting 'width' is given twice in 'width=3,width=4'; give it once"),
        ("one-layer:attention=false", "the one-layer model has no setting 'attention'; it has "),
        ("one-layer:layers=2", "the one-layer model has no setting 'layers'; it has "),
        ("linear:heads=2", "the linear model has no setting 'heads'; it has "),
        ("mamba:heads=2", "the mamba model has no setting 'heads'; it has "),
        ("transformer:state_size=8", "the transformer model has no setting 'state_size'; it has "),
        ("hf:llama:expand=3", "the hf:llama model has no setting 'expand'; it has "),
        ("linear:geometry_strength=0.5", "geometry_strength is read with geometry alone"),
        ("transformer:width=9,heads=2", "width 9 must be a multiple of heads 2"),
        ("hf:lama", "neither a causal LM of transformers nor a config file; did you mean hf:llama"),
        ("hf:", "neither a causal LM of transformers nor a config file"),
        ("hf:bert-nothing", "neither a causal LM of transformers nor a config file"),
    ],
)
def test_bad_words(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_model(word)


def test_a_config_file_at_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    LlamaConfig(
        vocab_size=99, hidden_size=24, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, initializer_range=0.3, rms_norm_eps=0.125,
    ).to_json_file(path)  # fmt: skip
    model = get_model(f"hf:{path}")
    settings = model.make_settings()
    assert (settings.width, settings.layers, settings.heads, settings.init_std) == (24, 2, 3, 0.3)
    lm = build_network(N, settings).lm
    assert lm.config.rms_norm_eps == 0.125  # what is no size is the file's
    assert lm.config.intermediate_size == 20
    assert lm.config.num_key_value_heads == 1
    assert lm.config.vocab_size == N + 1
    wider = build_network(N, model.make_settings(width=48)).lm
    assert wider.config.hidden_size == 48
    path.unlink()  # the run's settings hold all of it
    assert build_network(N, settings).lm.config.rms_norm_eps == 0.125


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON file"),
        ("[1]", "is no config of a causal LM: its model_type is 'list'"),
        ('{"model_type": "bert_of_mine"}', "is no config of a causal LM: its model_type is 'bert_of_mine'"),
        ('{"hidden_size": 3}', "is no config of a causal LM: its model_type is None"),
    ],
)
def test_bad_config_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        get_model(f"hf:{path}")


def test_groups() -> None:
    model = get_model("transformer")
    assert model.groups(TASK, model.make_settings(), [3, 1, 2]) == [(3, 1, 2)]
    assert model.groups(TASK, model.make_settings(dropout=0.1), [3, 1, 2]) == [(3,), (1,), (2,)]
    many = list(range(100_000))
    groups = model.groups(TASK, model.make_settings(width=1024), many)
    assert [seed for group in groups for seed in group] == many
    assert 1 < len(groups[0]) < len(many)
