"""Mamba's scan against the steps of transformers: values, gradients, lengths, seeds together; what is left alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from fiedler.sims.models.architectures import build_causal_lm
from fiedler.sims.models.mamba_scan import selective_scan, use_selective_scan

# Two float64 sums of up to 20 products of numbers near one, in another order.
FLOAT64_ROUNDING = 1e-12
# The same in float32 through two blocks, in units of the largest entry.
FLOAT32_ROUNDING = 2e-5


def scan_inputs(batch: int, steps: int, channels: int = 3, states: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(steps)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    found = [
        normal(batch, steps, channels),
        normal(batch, steps, channels).exp(),
        -normal(channels, states).exp(),
        normal(batch, steps, states),
        normal(batch, steps, states),
    ]
    return [one.requires_grad_() for one in found]


def one_step_after_another(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    state, found = torch.zeros(len(x), *A.shape, dtype=x.dtype), []
    for t in range(x.shape[1]):
        state = torch.exp(dt[:, t, :, None] * A) * state + (dt * x)[:, t, :, None] * B[:, t, None, :]
        found.append((state * C[:, t, None, :]).sum(-1))
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_values_and_gradients_are_those_of_the_steps(steps: int) -> None:
    inputs = scan_inputs(2, steps)
    ours, theirs = selective_scan(*inputs), one_step_after_another(*inputs)
    assert torch.allclose(ours, theirs, rtol=0, atol=FLOAT64_ROUNDING * float(theirs.abs().max()))
    weight = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # The first step decays nothing: one step alone has no gradient by A, which autograd gives as None or zero.
    wanted = torch.autograd.grad(theirs, inputs, weight, allow_unused=True, materialize_grads=True)
    for mine, other in zip(torch.autograd.grad(ours, inputs, weight), wanted, strict=True):
        assert torch.allclose(mine, other, rtol=0, atol=FLOAT64_ROUNDING * (1 + float(other.abs().max())))


def test_gradients_are_difference_quotients() -> None:
    assert torch.autograd.gradcheck(selective_scan, scan_inputs(2, 4, 2, 3))


def test_a_second_derivative_is_refused() -> None:
    inputs = scan_inputs(1, 3)
    first = torch.autograd.grad(selective_scan(*inputs).square().sum(), inputs[0], create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def small(seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return build_causal_lm(
        "mamba", vocabulary=13, positions=20, width=8, layers=2, init_std=0.3, state_size=5, expand=2, **options
    )


def slow(model: Any) -> Any:
    """A copy that runs by transformers' own steps."""
    found = copy.deepcopy(model)
    for module in found.modules():
        module.__dict__.pop("forward", None)
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 19])
def test_a_model_is_the_model_of_transformers(steps: int, training: bool) -> None:
    fast = small().train(training)
    other = slow(fast)
    tokens = torch.randint(13, (3, steps), generator=torch.Generator().manual_seed(steps))
    found = []
    for model in (fast, other):
        logits = model(input_ids=tokens).logits
        weights = list(model.parameters())
        found.append((logits, torch.autograd.grad(logits.square().mean(), weights, materialize_grads=True,
                                                  allow_unused=True)))  # fmt: skip
    (mine, ours), (theirs, wanted) = found
    assert (mine - theirs).abs().max() <= FLOAT32_ROUNDING * theirs.abs().max()
    for one, other_grad in zip(ours, wanted, strict=True):
        assert (one - other_grad).abs().max() <= FLOAT32_ROUNDING * max(1e-3, float(other_grad.abs().max()))


def test_a_batch_of_different_lengths_is_masked_as_before() -> None:
    model = small().eval()
    tokens, mask = torch.randint(13, (2, 6)), torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    padded = model(input_ids=tokens, attention_mask=mask).logits
    assert torch.equal(padded, slow(model)(input_ids=tokens, attention_mask=mask).logits)
    # Rows of one length are called by themselves here; what the mask leaves is what they give.
    alone = model(input_ids=tokens[1:]).logits
    assert (alone - padded[1:]).abs().max() <= FLOAT32_ROUNDING * alone.abs().max()


def test_words_are_generated_from_a_cache_as_before() -> None:
    model = small().eval()
    tokens = torch.randint(13, (1, 4))
    options = {"max_new_tokens": 4, "do_sample": False, "use_cache": True, "pad_token_id": 0}
    assert torch.equal(model.generate(tokens, **options), slow(model).generate(tokens, **options))


def test_models_side_by_side_are_the_models_one_by_one() -> None:
    models = [small(seed) for seed in range(3)]
    weights, buffers = stack_module_state(models)
    tokens = torch.randint(13, (2, 5))
    stacked = vmap(lambda w, b: functional_call(models[0], (w, b), (tokens,)).logits)(weights, buffers)
    stacked.square().sum().backward()
    for number, model in enumerate(models):
        alone = model(input_ids=tokens).logits
        assert (stacked[number] - alone).abs().max() <= FLOAT32_ROUNDING * alone.abs().max()
        alone.square().sum().backward()
        for name, weight in model.named_parameters():
            assert weight.grad is not None
            off = (weights[name].grad[number] - weight.grad).abs().max()
            assert off <= FLOAT32_ROUNDING * max(1e-3, float(weight.grad.abs().max())), name


def test_other_models_and_weights_are_left_alone() -> None:
    model = small()
    assert use_selective_scan(model) == 2
    assert model.state_dict().keys() == slow(model).state_dict().keys()
    torch.manual_seed(0)
    gpt2 = build_causal_lm("gpt2", vocabulary=13, positions=20, width=8, layers=1, heads=2)
    assert use_selective_scan(gpt2) == 0
    assert not any("forward" in vars(module) for module in gpt2.modules())
