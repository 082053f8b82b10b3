"""Neural training: the steps of plain PyTorch loops with dense targets, seeds together or alone, what runs leave."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from fiedler.sims.models import neural
from fiedler.sims.models.nets import build_network, edge_inputs
from fiedler.sims.models.neural import NeuralTraining
from fiedler.sims.models.neural_settings import NeuralSettings
from fiedler.sims.tasks.task import Task
from fiedler.theory import LinearNet, ladder_descent, one_layer_descent, parse
from neural_runs import State, states_of, train_alone
from plain_transformer import STEPS, plain_training

SAME = 2e-6  # 30 float32 steps of order 0.01 in another order of operations; 4e-7 measured
TASK = Task(parse("path-star:3x2"))  # a star of 4 nodes: degrees one and three
N = TASK.graph.n


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A second thread only slows models this small down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(seed: int = 0, steps: Any = STEPS, task: Task = TASK, **changes: Any) -> list[State]:
    settings = NeuralSettings(**{"width": 8, **changes})
    return list(train_alone(task.sparse_target, settings, seed, steps))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"heads": 2, "layers": 2, "init_std": 0.1},
        {"weight_decay": 2.0, "learning_rate": 0.02},
    ],
    ids=["default", "deep", "weight decay"],
)
def test_training_is_the_plain_loop(changes: dict[str, Any]) -> None:
    expected = plain_training(TASK, 3, **changes)
    states = train(3, **changes)
    assert [state.step for state in states] == list(STEPS)
    for state, (embedding, logits, loss) in zip(states, expected, strict=True):
        assert state.embedding.dtype == np.float32
        np.testing.assert_allclose(state.embedding, embedding, atol=SAME)
        assert state.logits.shape == (N, N)
        np.testing.assert_allclose(state.logits, logits, atol=10 * SAME)  # products of several weights
        assert state.loss == pytest.approx(loss, abs=SAME)


def test_targets_with_self_edges_and_smoothing() -> None:
    task = Task(parse("grid:2x3"), self_edges=True, label_smoothing=0.2)
    for state, (embedding, _, loss) in zip(train(task=task), plain_training(task, 0), strict=True):
        np.testing.assert_allclose(state.embedding, embedding, atol=SAME)
        assert state.loss == pytest.approx(loss, abs=SAME)


def test_a_seed_decides_the_run() -> None:
    first, again, other = train(0), train(0), train(1)
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.embedding, two.embedding)
        assert np.array_equal(one.logits, two.logits)
        assert one.loss == two.loss
    assert not np.allclose(first[0].embedding, other[0].embedding)
    assert not np.allclose(first[-1].embedding, other[-1].embedding)


def test_what_else_is_recorded_changes_nothing() -> None:
    dense = train(steps=range(31))
    for state in train():
        assert np.array_equal(state.embedding, dense[state.step].embedding)
        assert np.array_equal(state.logits, dense[state.step].logits)
    # A state is its own copy: later steps leave it as it was.
    assert not np.array_equal(dense[0].embedding, dense[1].embedding)


def test_training_learns_the_edges() -> None:
    states = train(steps=(0, 10, 50, 200))
    losses = [state.loss for state in states]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(np.log(N + 1), abs=0.05)  # small weights: uniform over nodes and [EDGE]
    entropy = -(TASK.target * np.log(np.where(TASK.target > 0, TASK.target, 1))).sum(axis=1).mean()
    assert entropy < losses[-1] < entropy + 0.1
    top = states[-1].logits.argmax(axis=1)
    assert (TASK.target[np.arange(N), top] > 0).all()


def test_the_loss_counts_the_edge_token() -> None:
    """The logits over the nodes alone would give a smaller loss."""
    state = train(steps=[0])[0]
    z = state.logits.astype(np.float64)
    nodes_only = (np.log(np.exp(z).sum(axis=1)) - (TASK.target * z).sum(axis=1)).mean()
    assert state.loss - nodes_only == pytest.approx(np.log((N + 1) / N), abs=0.05)  # a share of 1 / 8 at the start


def test_the_callers_threads_and_random_numbers_are_left_alone() -> None:
    torch.rand(1)  # so that no earlier run's seed has left this state by chance
    state = torch.get_rng_state()
    torch.set_num_threads(2)
    for _ in states_of(NeuralTraining(TASK.sparse_target, NeuralSettings(width=8), [0]), [0, 1, 2]):
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), state)
    runs = [states_of(NeuralTraining(TASK.sparse_target, NeuralSettings(width=8), [seed]), STEPS) for seed in (0, 1)]
    for interleaved in zip(*runs, strict=True):
        assert interleaved[0].step == interleaved[1].step
    assert torch.get_num_threads() == 2
    with pytest.raises(FloatingPointError):
        train(learning_rate=1e30)
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), state)


def test_training_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    step = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *args: Any) -> Any:
        seen.append(torch.get_num_threads())
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    torch.set_num_threads(2)
    train(steps=[0, 3])
    assert seen == [1, 1, 1]


def test_divergence_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match=r"diverged at step \d: lower the learning rate"):
        train(learning_rate=1e30, steps=[0, 5])


@pytest.mark.parametrize(("width", "heads", "layers"), [(8, 1, 1), (8, 4, 1), (12, 3, 2), (32, 1, 1)])
def test_the_architecture(width: int, heads: int, layers: int) -> None:
    settings = NeuralSettings(width=width, heads=heads, layers=layers, init_std=0.5)
    model = build_network(N, settings).lm
    assert model.lm_head.weight is model.transformer.wte.weight
    # Tokens and positions, then per layer attention (4 w^2 + 4 w), perceptron (8 w^2 + 5 w) and two norms, then a norm.
    size = (N + 1 + 2) * width + layers * (12 * width**2 + 13 * width) + 2 * width
    assert sum(p.numel() for p in model.parameters()) == size
    assert len(model.transformer.h) == layers
    assert model.transformer.h[0].attn.num_heads == heads
    spread = model.transformer.h[0].mlp.c_fc.weight.std().item()
    assert spread == pytest.approx(0.5, rel=4 / np.sqrt(2 * 4 * width**2))  # four standard errors
    model.train()
    inputs = edge_inputs(N, settings)
    assert torch.equal(model(inputs).logits, model(inputs).logits)  # no dropout


def test_the_inputs_are_the_edge_token_and_a_node() -> None:
    assert edge_inputs(3, NeuralSettings()).tolist() == [[3, 0], [3, 1], [3, 2]]
    assert edge_inputs(3, NeuralSettings(edge_token=False)).tolist() == [[0], [1], [2]]


def test_a_block_that_reads_one_token_has_no_use_for_queries_and_keys() -> None:
    settings = NeuralSettings(width=8, heads=2, edge_token=False, other_tokens=0, init_std=0.5)
    network = build_network(N, settings)
    before = network(edge_inputs(N, settings)).detach()
    with torch.no_grad():
        network.lm.base_model.h[0].attn.c_attn.weight[:, :16] += 1.0
    torch.testing.assert_close(network(edge_inputs(N, settings)), before, rtol=0, atol=0)


@pytest.mark.parametrize("residual", [True, False])
def test_descent_on_a_linear_net_is_the_theorys(residual: bool) -> None:
    """Plain steps of the sum over nodes, t = learning rate * steps: theory.ladder_descent in float64."""
    settings = NeuralSettings(
        arch="linear", width=5, layers=3, other_tokens=0, optimiser="sgd", learning_rate=0.02, init_std=0.4,
        weight_decay=0.02, residual=residual, tied=False,
    )  # fmt: skip
    training = NeuralTraining(TASK.sparse_target, settings, [3])
    weights = {name: value.detach().double().numpy() for name, value in training._weights.items()}
    start = LinearNet(weights["embedding"], tuple((w,) for w in weights["matrices"]), weights["head"], residual)
    end = ladder_descent(TASK.target, start, 0.02, [30], weight_decay=0.02)
    training.advance(30)
    final = training.finals()[0]
    np.testing.assert_allclose(final.embedding, end.net.embedding[0], atol=20 * SAME)
    np.testing.assert_allclose(final.logits, end.logits[0], atol=100 * SAME)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({name: 0}, "steps, width, heads and layers must be at least 1") for name in ("steps", "width", "layers")),
        ({"heads": 0}, "steps, width, heads and layers must be at least 1"),
        ({"width": 10, "heads": 4}, "width 10 must be a multiple of heads 4"),
        ({"learning_rate": -1.0}, "learning_rate must be a positive number; got -1.0"),
        ({"learning_rate": float("inf")}, "learning_rate must be a positive number"),
        ({"init_std": 0.0}, "init_std must be a positive number; got 0.0"),
        ({"init_std": float("nan")}, "init_std must be a positive number"),
        ({"weight_decay": -1e-3}, "weight_decay must be >= 0; got -0.001"),
        ({"weight_decay": float("nan")}, "weight_decay must be >= 0"),
        ({"other_tokens": 0}, "other_tokens must be at least 1; got 0"),
        ({"arch": "linear", "layer_norm": False}, "the linear model has no layer_norm to change; leave it out"),
        ({"arch": "linear", "edge_token": False}, "the linear model has no edge_token to change; leave it out"),
        ({"arch": "mlp", "residual": False}, "the mlp model has no residual to change; leave it out"),
        ({"arch": "mlp", "activation": "relu"}, "the mlp model has no activation to change; leave it out"),
        ({"arch": "linear", "bias": True}, "bias is a setting of the one-layer and mlp models, not of linear"),
        ({"arch": "one-layer", "layers": 2}, "the one-layer model has one layer; use linear or mlp for 2"),
    ],
)
def test_bad_settings(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralSettings(**change)


# Nets against plain loops.


@pytest.mark.parametrize("arch", ["one-layer", "mlp"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_net_is_the_plain_loop(arch: str, tied: bool) -> None:
    """Written out in float64 from the same initial weights."""
    settings = NeuralSettings(
        arch=arch, width=6, other_tokens=2, bias=True, tied=tied, init_std=0.3, embedding_std=0.7, weight_decay=0.1
    )
    training = NeuralTraining(TASK.sparse_target, settings, [4])
    weights = {name: value.detach().double().requires_grad_() for name, value in training._weights.items()}
    target = torch.zeros(N, N + 2, dtype=torch.float64)
    target[:, :N] = torch.tensor(TASK.target)
    optimiser = torch.optim.AdamW(weights.values(), lr=0.01, weight_decay=0.1)
    for step in range(21):
        e = weights["embedding"]
        head = e if tied else weights["head"]
        if arch == "one-layer":
            hidden = e[:N] @ weights["inner"] + weights["bias"]
        else:
            first = e[:N] @ weights["blocks.0.weight"].T + weights["blocks.0.bias"]
            hidden = torch.nn.functional.gelu(first) @ weights["blocks.2.weight"].T + weights["blocks.2.bias"]
        logits = hidden @ head.T
        loss = torch.nn.functional.cross_entropy(logits, target)
        if step in (0, 20):
            shot, final = training.snapshots()[0], training.finals()[0]
            assert shot.loss == pytest.approx(loss.item(), abs=SAME)
            np.testing.assert_allclose(shot.embedding, e[:N].detach(), atol=SAME)
            np.testing.assert_allclose(final.logits, logits[:, :N].detach(), atol=20 * SAME)
            assert (final.context is None) == tied
            assert (final.inner is None) == (arch == "mlp")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        training.advance(1)


def test_gradient_descent_on_a_one_layer_net_is_the_theorys() -> None:
    """Plain steps of the sum over nodes, t = learning rate * steps: theory.one_layer_descent in float64."""
    settings = NeuralSettings(
        arch="one-layer", width=5, other_tokens=0, optimiser="sgd", learning_rate=0.05, init_std=0.4, weight_decay=0.02
    )
    training = NeuralTraining(TASK.sparse_target, settings, [1])
    first = training.finals()[0]
    assert first.inner is not None
    assert settings.time_per_step == 0.05
    expected = one_layer_descent(
        TASK.target, first.embedding.astype(float), first.inner.astype(float), 0.05, [0, 40], weight_decay=0.02
    )
    training.advance(40)
    last = training.finals()[0]
    np.testing.assert_allclose(last.embedding, expected.embedding[-1], atol=SAME)
    np.testing.assert_allclose(last.inner, expected.inner[-1], atol=SAME)


def test_positions_at_their_own_scale() -> None:
    """A net adds one vector to what it reads, trained unless its embeddings are frozen; GPT-2 has a table."""
    settings = NeuralSettings(arch="one-layer", width=6, position_std=2.0, init_std=0.3)
    training = NeuralTraining(TASK.sparse_target, settings, [3])
    plain = NeuralTraining(TASK.sparse_target, dataclasses.replace(settings, position_std=0.0), [3])
    weights = {name: value.detach().clone() for name, value in training._weights.items()}
    assert torch.equal(weights["embedding"], plain._weights["embedding"])  # drawn after everything else
    read = (weights["embedding"][:N] + weights["position"]) @ weights["inner"] @ weights["embedding"].T
    np.testing.assert_allclose(training.finals()[0].logits, read[:, :N], atol=SAME)
    training.advance(1)
    assert not torch.equal(training._weights["position"], weights["position"])
    frozen = NeuralTraining(TASK.sparse_target, dataclasses.replace(settings, frozen=True), [3])
    assert not frozen._weights["position"].requires_grad
    wide = build_network(N, NeuralSettings(width=512, position_std=1.0)).lm.transformer.wpe.weight
    assert wide.std().item() == pytest.approx(1.0, rel=4 / np.sqrt(2 * wide.numel()))
    with pytest.raises(ValueError, match="llama has no learned positions; leave out position_std"):
        build_network(N, NeuralSettings(arch="llama", position_std=1.0))


def test_frozen_embeddings_stay() -> None:
    for arch in ("one-layer", "gpt2", "mamba"):
        states = train(arch=arch, frozen=True, steps=[0, 10])
        assert np.array_equal(states[0].embedding, states[1].embedding)
        assert states[1].loss < states[0].loss


def test_the_cosine_schedule() -> None:
    """From the rate down to a tenth of it at the last step; the steps are a plain loop's with those rates."""
    settings = NeuralSettings(arch="one-layer", width=4, steps=10, schedule="cosine", learning_rate=0.2, init_std=0.5)
    rates = [settings.rate(step) for step in range(11)]
    assert rates == pytest.approx([0.2 * (0.1 + 0.9 * (1 + np.cos(np.pi * k / 10)) / 2) for k in range(11)])
    assert (rates[0], rates[10]) == (pytest.approx(0.2), pytest.approx(0.02))
    assert {NeuralSettings(learning_rate=0.2).rate(step) for step in (0, 5, 1000)} == {0.2}
    training = NeuralTraining(TASK.sparse_target, settings, [0])
    weights = {name: value.detach().double().requires_grad_() for name, value in training._weights.items()}
    target = torch.zeros(N, N + 1, dtype=torch.float64)
    target[:, :N] = torch.tensor(TASK.target)
    optimiser = torch.optim.AdamW(weights.values(), weight_decay=0.0)
    for step in range(10):
        optimiser.param_groups[0]["lr"] = rates[step]
        loss = torch.nn.functional.cross_entropy(weights["embedding"][:N] @ weights["inner"] @ weights["embedding"].T,
                                                 target)  # fmt: skip
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    training.advance(10)
    np.testing.assert_allclose(training.finals()[0].embedding, weights["embedding"][:N].detach(), atol=20 * SAME)


def test_row_weights() -> None:
    """Rows of weight zero have no loss of their own; equal weights are no weights."""
    weights = np.array([0.0, 2.0, 1.0, 0.5])
    settings = NeuralSettings(width=8)
    one = NeuralTraining(TASK.sparse_target, settings, [0], weights)
    z = torch.tensor(one.finals()[0].logits, dtype=torch.float64)
    plain = NeuralTraining(TASK.sparse_target, settings, [0])
    doubled = NeuralTraining(TASK.sparse_target, settings, [0], 2 * np.ones(N))
    assert plain.snapshots()[0].loss == pytest.approx(doubled.snapshots()[0].loss, abs=SAME)
    each = torch.logsumexp(z, 1) - (torch.tensor(TASK.target) * z).sum(1)
    over_nodes = float((torch.tensor(weights) * each).sum() / weights.sum())
    edge_token = one.snapshots()[0].loss - over_nodes
    assert edge_token == pytest.approx(np.log((N + 1) / N), abs=0.05)
    other = sp.csr_array(np.roll(TASK.target, 1, axis=1))
    mixed = sp.vstack([other[[0]], TASK.sparse_target[1:]]).tocsr()
    assert NeuralTraining(mixed, settings, [0], weights).snapshots()[0].loss == one.snapshots()[0].loss


# Seeds together.

ARCHS = ("one-layer", "linear", "mlp", "gpt2", "gpt_neox", "llama", "mamba")
STACKED = 3e-3  # of embeddings of order one after 20 steps of Adam, whose first ones turn rounding into whole steps


@pytest.mark.parametrize("arch", ARCHS)
def test_seeds_together_are_the_seeds_alone(arch: str) -> None:
    settings = NeuralSettings(arch=arch, width=8, heads=2, steps=20, weight_decay=0.01, schedule="cosine")
    together = NeuralTraining(TASK.sparse_target, settings, [7, 1, 3])
    starts = together.snapshots()
    together.advance(20)
    for i, seed in enumerate(together.seeds):
        alone = NeuralTraining(TASK.sparse_target, settings, [seed])
        np.testing.assert_array_equal(starts[i].embedding, alone.snapshots()[0].embedding)
        assert starts[i].loss == pytest.approx(alone.snapshots()[0].loss, rel=1e-5)
        alone.advance(20)
        assert together.snapshots()[i].loss == pytest.approx(alone.snapshots()[0].loss, rel=STACKED)
        one, two = together.finals()[i], alone.finals()[0]
        assert one.embedding.shape == two.embedding.shape == (N, 8)
        np.testing.assert_allclose(one.embedding, two.embedding, atol=STACKED)
        np.testing.assert_allclose(one.logits, two.logits, atol=20 * STACKED)


@pytest.mark.parametrize("seeds", [[5], [5, 2]])
@pytest.mark.parametrize("arch", ARCHS)
def test_a_state_is_gone_on_from_bit_for_bit(arch: str, seeds: list[int]) -> None:
    settings = NeuralSettings(arch=arch, width=8, dropout=0.0 if len(seeds) > 1 or arch == "mamba" else 0.1)
    straight, first, second = (NeuralTraining(TASK.sparse_target, settings, seeds) for _ in range(3))
    straight.advance(7)
    first.advance(4)
    second.restore(4, [{name: np.array(value) for name, value in one.items()} for one in first.state()])
    second.advance(3)
    for one, two in zip(straight.finals(), second.finals(), strict=True):
        assert np.array_equal(one.embedding, two.embedding)
        assert np.array_equal(one.logits, two.logits)


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(ValueError, match="2 seeds cannot be stacked with dropout or on 4 nodes"):
        NeuralTraining(TASK.sparse_target, NeuralSettings(dropout=0.1), [0, 1])
    frozen = build_network(N, NeuralSettings(arch="one-layer", frozen=True)).requires_grad_(False)
    with pytest.raises(ValueError, match="nothing is left to train"):
        neural._optimiser(dict(frozen.named_parameters()), NeuralSettings())


def test_large_graphs_take_the_fused_loss_and_end_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = train(steps=[0, 5], weight_decay=0.1)
    monkeypatch.setattr(neural, "DENSE_NODES", N - 1)
    training = NeuralTraining(TASK.sparse_target, NeuralSettings(width=8, weight_decay=0.1), [0])
    assert training._loss._sparse is not None
    for one, two in zip(dense, states_of(training, [0, 5]), strict=True):
        np.testing.assert_allclose(one.embedding, two.embedding, atol=SAME)
        assert one.loss == pytest.approx(two.loss, abs=SAME)
    assert neural.seeds_together(N, NeuralSettings()) == 1
