"""Losses of layers and models that are sharded, replicated or averaged over two processes with rows of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import wrapped_processes
from fiedler.kernels import causal_lm_loss, linear_cross_entropy
from worlds import found_by
from wrapped_processes import PROCESSES, head, language_model, rows, tokens

several = pytest.mark.processes


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two processes found."""
    return found_by(wrapped_processes.__file__, tmp_path_factory.mktemp("processes"), PROCESSES)


def alone(rank: int) -> dict[str, torch.Tensor]:
    """Loss and gradients of one process's rows, without the other."""
    layer, (x, y) = head(), rows(rank)
    loss = linear_cross_entropy(x, layer.weight, y, bias=layer.bias)
    loss.backward()
    return {"loss": loss.detach(), "weight": layer.weight.grad, "bias": layer.bias.grad}


def model_gradients() -> dict[str, torch.Tensor]:
    """The mean over the processes of the gradients of the model's own loss."""
    model = language_model()
    for rank in range(PROCESSES):
        (model(tokens(rank), labels=tokens(rank)).loss / PROCESSES).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def assert_mean(parts: list[dict[str, torch.Tensor]], names: tuple[str, ...] = ("weight", "bias")) -> None:
    each = [alone(rank) for rank in range(PROCESSES)]
    for part in parts:
        for name in names:
            torch.testing.assert_close(part[name], sum(one[name] for one in each) / PROCESSES)


@several
def test_a_head_sharded_by_fsdp(found: list[dict[str, Any]]) -> None:
    """In its forward: its own rows and averaged gradients. Read from outside: refused, but for the gathered weight."""
    for rank, part in enumerate(found):
        fsdp, own = part["fsdp"], alone(rank)["loss"]
        torch.testing.assert_close(fsdp["loss"], own)
        torch.testing.assert_close(fsdp["gathered"], own)
        assert "weight is a DTensor with placements (Shard(dim=0),)" in fsdp["outside"]
        assert "inside its module's forward" in fsdp["outside"]
        assert "weight.full_tensor()" in fsdp["outside"]
    assert_mean([part["fsdp"]["gradients"] for part in found])


@several
def test_a_model_sharded_by_fsdp(found: list[dict[str, Any]]) -> None:
    expected = model_gradients()
    for part in found:
        assert "output embedding of FSDPLlamaForCausalLM is not whole here" in part["fsdp"]["model outside"]
        for name, gradient in part["fsdp"]["training"].items():
            torch.testing.assert_close(gradient, expected[name])


@several
def test_replicated_weights_get_the_same_gradient_everywhere(found: list[dict[str, Any]]) -> None:
    assert_mean([part["replicated"]["own rows"] for part in found])
    first = alone(0)
    for rank, part in enumerate(found):
        torch.testing.assert_close(part["replicated"]["own rows"]["loss"], alone(rank)["loss"])
        for name, tensor in part["replicated"]["same rows"].items():
            torch.testing.assert_close(tensor, first[name])
        assert "input is a DTensor with placements (Shard(dim=0),)" in part["replicated"]["sharded input"]
        assert "input.to_local()" in part["replicated"]["sharded input"]


@several
def test_gradients_are_averaged_or_the_call_is_refused(found: list[dict[str, Any]]) -> None:
    expected = model_gradients()
    for rank, part in enumerate(found):
        ddp = part["ddp"]
        assert ddp["wrapped"].startswith("TypeError: model is wrapped in DistributedDataParallel")
        assert "its gradients would not be averaged" in ddp["past the wrapper"]
        for message in (ddp["wrapped"], ddp["past the wrapper"]):
            assert "put the loss into the forward of a small module" in message
        assert ddp["inner module past the wrapper"] == "nothing"
        torch.testing.assert_close(ddp["evaluation"], language_model()(tokens(rank), labels=tokens(rank)).loss.detach())
        for name, gradient in ddp["training"].items():
            torch.testing.assert_close(gradient, expected[name])


def test_vocabulary_parallelism_is_for_dtensors() -> None:
    x, y = rows(0)
    with pytest.raises(ValueError, match="vocab_parallel_linear_cross_entropy with their process_group"):
        linear_cross_entropy(x, head().weight, y, vocab_parallel=True)


def test_a_trunk_that_holds_the_head() -> None:
    """PEFT's base_model is the whole language model."""

    class Adapted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base_model = language_model()

        def get_output_embeddings(self) -> torch.nn.Module:
            return self.base_model.get_output_embeddings()

    with pytest.raises(TypeError, match=r"base_model of Adapted holds the output embedding.*get_base_model\(\)"):
        causal_lm_loss(Adapted(), tokens(0))


def test_a_head_that_was_put_away() -> None:
    """ZeRO-3 leaves an empty weight."""
    model = language_model()
    model.get_output_embeddings().weight = torch.nn.Parameter(torch.empty(0))
    with pytest.raises(ValueError, match=r"not whole here \(shape \(0,\)\), as FSDP and ZeRO-3 leave it"):
        causal_lm_loss(model, tokens(0))


def test_wrappers_are_told_by_name() -> None:
    class DeepSpeedEngine(torch.nn.Module):
        pass

    with pytest.raises(TypeError, match="model is wrapped in DeepSpeedEngine"):
        causal_lm_loss(DeepSpeedEngine(), tokens(0))
