"""The theory's nets read through norms against runs: the same numbers from the same start, and the time of arrival."""

import numpy as np
import pytest

from fiedler.sims import Task, get_model
from fiedler.theory import PreNormNet, Sublayer, one_hop_target, parse, pre_norm_descent

SINGLE = 2e-5  # float32 over 60 steps, relative to the largest entry
BASE = "transformer:optimiser=sgd,learning_rate=0.01,positions=false,edge_token=false,other_tokens=0,biases=false"
TIMES = 0.03  # relative: a mean over five seeds, of times that scatter by one part in thirty


def started(word, steps, seeds):
    model = get_model(f"{BASE},{word}" if word else BASE)
    return model.start(Task(parse("cycle:15")), model.make_settings(steps=steps), seeds)


def to_net(run, norm, attention, unit):
    weights = {name: value.detach().numpy().astype(float) for name, value in run.network.named_parameters()}
    layer, m, sublayers = "lm.transformer.h.0.", 32, []
    if attention:
        read = weights[layer + "attn.c_attn.weight"][:, 2 * m :]
        sublayers.append(Sublayer(read, weights[layer + "attn.c_proj.weight"]))
    if unit:
        sublayers.append(Sublayer(weights[layer + "mlp.c_fc.weight"], weights[layer + "mlp.c_proj.weight"], unit))
    return PreNormNet(weights["lm.transformer.wte.weight"], tuple(sublayers), norm=norm)


@pytest.mark.parametrize(
    ("word", "norm", "attention", "unit"),
    [
        ("activation=gelu", "layer", True, "gelu"),
        ("activation=relu,attention=false,layer_norm=false", "none", False, "relu"),
        ("perceptron=false", "layer", True, ""),
        ("perceptron=false,attention=false", "layer", False, ""),
    ],
)
def test_a_run_is_the_descent_of_the_theorys_net(word, norm, attention, unit):
    run = started(word, 60, [0])
    net = to_net(run, norm, attention, unit)
    descent = pre_norm_descent(one_hop_target(parse("cycle:15")), net, 0.01, [60])
    run.advance(60)
    found = run.snapshots()[0]
    assert np.abs(found.embedding - descent.embedding[0]).max() < SINGLE * np.abs(descent.embedding[0]).max()
    assert found.loss == pytest.approx(descent.loss[0] / 15, rel=SINGLE)


def test_runs_reach_the_plateau_when_starts_of_the_theorys_own_do():
    target, level = one_hop_target(parse("cycle:15")), 1.43492 + 0.05
    run = started("perceptron=false,attention=false", 60, [0, 1, 2, 3, 4])
    reached = np.full(5, np.inf)
    for step in range(1, 61):
        run.advance(1)
        losses = np.array([one.loss for one in run.snapshots()])
        reached[(losses < level) & np.isinf(reached)] = step
    rng, own = np.random.default_rng(7), []
    for _ in range(5):
        net = PreNormNet(0.02 * rng.standard_normal((15, 32)))
        loss = pre_norm_descent(target, net, 0.01, np.arange(61)).loss / 15
        own.append(int(np.argmax(loss < level)))
    assert np.mean(reached) == pytest.approx(np.mean(own), rel=TIMES)
