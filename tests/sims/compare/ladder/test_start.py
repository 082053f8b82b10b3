"""The linear net read from a model is the model, where it is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.ladder.start import starting_net
from fiedler.sims.models.registry import get_model
from fiedler.sims.tasks.task import Task
from fiedler.theory import LinearNet, ladder_logits, parse, pre_norm_logits

TASK = Task(parse("random:9,13,0"))
SINGLE = 2e-6  # the models' float32, relative to the largest logit
BLOCK = "transformer:optimiser=sgd,width=8,heads=2,edge_token=false,other_tokens=0,positions=false,biases=false"

EXACT = (
    "node2vec:width=20",
    "node2vec-untied:width=20",
    "one-layer:optimiser=sgd,width=6,init_std=0.5",
    "linear:optimiser=sgd,width=6,init_std=0.3,layers=3",
    "linear:optimiser=sgd,width=6,init_std=0.5,layers=2,residual=false,tied=false",
    f"{BLOCK},perceptron=false,layer_norm=false,init_std=0.4,layers=2",
    f"{BLOCK},perceptron=false,layer_norm=false,init_std=0.4,tied=false",
    f"{BLOCK},perceptron=false,init_std=0.4,layers=2",
    *(f"{BLOCK},activation={units},init_std=0.4" for units in ("identity", "relu", "gelu")),
    f"{BLOCK},activation=gelu,layer_norm=false,init_std=0.4,attention=false,layers=2",
)


@pytest.mark.parametrize("word", EXACT)
def test_the_logits_of_the_net_are_the_models(word: str) -> None:
    model = get_model(word)
    settings = model.make_settings()
    found = starting_net(TASK, model, settings, 3)
    assert found.exact
    assert not found.parts
    logits = model.start(TASK, settings, [3]).finals()[0].logits
    expected = ladder_logits(found.net) if isinstance(found.net, LinearNet) else pre_norm_logits(found.net)
    assert np.abs(expected - logits).max() <= SINGLE * np.abs(logits).max()


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        (BLOCK, {"GELU by tanh"}),
        (f"{BLOCK},activation=silu", {"units silu"}),
        (f"{BLOCK},activation=relu,tied=false", {"an output embedding of its own"}),
        (f"{BLOCK},perceptron=false,layer_norm=false".replace("optimiser=sgd,", ""), {"Adam"}),
        ("transformer:width=8", {"GELU by tanh", "the [EDGE] token", "positions", "biases", "Adam"}),
        ("linear:width=8", {"Adam"}),
        ("linear:width=8,optimiser=sgd,position_std=1,dropout=0.1", {"a position", "dropout"}),
        ("one-layer:width=8,optimiser=sgd,bias=true,other_tokens=2", {"a bias", "other tokens"}),
        ("associative:width=8,optimiser=sgd", {"frozen embeddings"}),
        ("mlp:width=8,optimiser=sgd", {"layers of units"}),
    ],
)
def test_what_the_net_leaves_out_is_named(word: str, parts: set[str]) -> None:
    model = get_model(word)
    found = starting_net(TASK, model, model.make_settings(), 0)
    assert not found.exact
    assert set(found.parts) == parts
    first = model.start(TASK, model.make_settings(), [0]).snapshots()[0].embedding
    assert np.array_equal(found.net.embedding, first)


def test_mamba_is_named_by_its_blocks() -> None:
    model = get_model("mamba:width=8,optimiser=sgd")
    found = starting_net(TASK, model, model.make_settings(), 0)
    assert "blocks that are not GPT-2's" in found.parts
    assert found.net.depth == 0
