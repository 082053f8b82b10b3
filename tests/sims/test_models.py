"""The models behind one interface: their settings, their snapshots, and what the prediction is told of them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from fiedler.sims.models import MODELS, Model, get_model
from fiedler.sims.node2vec import Node2VecSettings, initial_embedding, train_node2vec
from fiedler.sims.tasks import Task
from fiedler.sims.training import Final, Snapshot
from fiedler.sims.transformer import TransformerSettings, build_transformer, train_transformer
from fiedler.theory import parse

SAME = 1e-10  # products of the same float64 numbers in another order

TASK = Task(parse("path-star:3x2"))
N = TASK.graph.n
STEPS = np.array([0, 1, 4])
NAMES = ("node2vec", "node2vec-untied", "transformer")
SMALL: dict[str, dict[str, Any]] = {
    "node2vec": {"width": 20, "steps": 4},
    "node2vec-untied": {"width": 20, "steps": 4},
    "transformer": {"width": 8, "steps": 4},
}


def snapshots(name: str, seeds: list[int]) -> list[tuple[Snapshot, Final | None]]:
    """Every seed at every step of STEPS, with its results at the last."""
    model = get_model(name)
    found: list[tuple[Snapshot, Final | None]] = []
    for group in [seeds] if model.together else [[seed] for seed in seeds]:
        training = model.start(TASK, model.make_settings(**SMALL[name]), group)
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
    assert [get_model(name).title for name in NAMES] == ["Node2Vec", "Node2Vec, untied", "Transformer"]
    assert [get_model(name).tied for name in NAMES] == [True, False, True]


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
    with pytest.raises(ValueError, match=f"^unknown model '{name}'; {hint}choose from {', '.join(NAMES)}$"):
        get_model(name)


# Settings.


def test_settings_without_overrides_are_the_defaults() -> None:
    assert get_model("node2vec").make_settings() == Node2VecSettings()
    assert get_model("node2vec-untied").make_settings() == Node2VecSettings(tied=False)
    assert get_model("transformer").make_settings() == TransformerSettings()


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
    [("node2vec", {"heads": 2}), ("transformer", {"init": "orthogonal"}), ("node2vec-untied", {"rate": 1})],
)
def test_an_unknown_override_is_an_error_that_names_the_known(name: str, override: dict[str, Any]) -> None:
    (unknown,) = override
    with pytest.raises(ValueError, match=f"the {name} model has no setting '{unknown}'; it has .*learning_rate.*width"):
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


def test_transformer_snapshots_are_the_training_s() -> None:
    for shot, final in snapshots("transformer", [5, 2]):
        settings = TransformerSettings(**SMALL["transformer"])
        (state,) = train_transformer(TASK.sparse_target, settings, shot.seed, [shot.step])
        assert np.array_equal(shot.embedding, state.embedding)
        assert shot.loss == state.loss
        if final is not None:
            assert np.array_equal(final.embedding, state.embedding)
            assert np.array_equal(final.logits, state.logits)
            assert final.context is None


# What the prediction is told.


@pytest.mark.parametrize("name", NAMES)
def test_the_time_of_a_step(name: str) -> None:
    model = get_model(name)
    expected = None if name == "transformer" else 0.3
    assert model.time_per_step(model.make_settings(learning_rate=0.3)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_initial_energy_is_that_of_the_initial_embedding(name: str) -> None:
    """Mean squared row norm over many rows, which has a relative standard error of sqrt(2 / entries)."""
    model = get_model(name)
    settings = model.make_settings(width=50, init_std=0.4)
    n, width = 400, 50
    if name == "transformer":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            v = build_transformer(n, settings).transformer.wte.weight.detach().numpy()
    else:
        v = initial_embedding(n, settings, 0)
    assert model.initial_energy(settings) == pytest.approx((v**2).sum(axis=1).mean(), rel=4 * np.sqrt(2 / (n * width)))


def test_node2vec_does_without_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from fiedler.sims.models import get_model\n"
        "from fiedler.sims.tasks import Task\n"
        "from fiedler.theory import parse\n"
        "model = get_model('node2vec')\n"
        "training = model.start(Task(parse('cycle:5')), model.make_settings(steps=1), [0])\n"
        "training.advance(1), training.snapshots(), training.finals()\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
