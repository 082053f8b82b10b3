"""Two processes with different rows that compute losses under FSDP, DistributedDataParallel and replicated weights: run
as a script for both. Each writes what it found to FOLDER/RANK.pt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from fiedler.kernels import LinearCrossEntropy, causal_lm_loss, linear_cross_entropy
from worlds import run_script

PROCESSES = 2
N, D, V = 6, 4, 10


def rows(rank: int) -> tuple[Tensor, Tensor]:
    """Hidden states and targets of a process."""
    random = torch.Generator().manual_seed(10 + rank)
    return torch.randn(N, D, generator=random), torch.randint(V, (N,), generator=random)


def head() -> LinearCrossEntropy:
    torch.manual_seed(0)
    return LinearCrossEntropy(D, V, bias=True)


def language_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=V, **sizes))


def tokens(rank: int) -> Tensor:
    return torch.randint(V, (2, 5), generator=torch.Generator().manual_seed(20 + rank))


class Training(torch.nn.Module):
    """A model with its loss in the forward."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> Any:
        return causal_lm_loss(self.model, input_ids)


def said(call: Callable[[], Any]) -> str:
    try:
        call()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def whole(tensor: Any) -> Tensor:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def gradients(module: torch.nn.Module) -> dict[str, Tensor]:
    """Whole gradients by the names of the model, whatever holds it."""
    return {
        name.removeprefix("module.").removeprefix("model."): whole(parameter.grad)
        for name, parameter in module.named_parameters()
    }


def sharded(mesh: Any, rank: int) -> dict[str, Any]:
    """FSDP: a head whose loss is in its forward, and reads of its weight from outside."""
    from torch.distributed.fsdp import fully_shard

    x, y = rows(rank)
    module = fully_shard(head(), mesh=mesh)
    loss = module(x, y)
    loss.backward()
    found = {"loss": loss.detach(), "gradients": gradients(module)}
    module.reshard()
    found["outside"] = said(lambda: linear_cross_entropy(x, module.weight, y, bias=module.bias))
    with torch.no_grad():
        found["gathered"] = linear_cross_entropy(x, module.weight.full_tensor(), y, bias=module.bias.full_tensor())
    model = fully_shard(language_model(), mesh=mesh)
    found["model outside"] = said(lambda: causal_lm_loss(model, tokens(rank)))
    training = fully_shard(Training(language_model()), mesh=mesh)
    training(tokens(rank)).backward()
    found["training"] = gradients(training)
    return found


def replicated(mesh: Any, rank: int) -> dict[str, Any]:
    """A replicated weight with rows of its own on each process, and with a replicated input."""
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    found: dict[str, Any] = {}
    for name, source in (("own rows", rank), ("same rows", 0)):
        x, y = rows(source)
        layer = head()
        w, b = (distribute_tensor(p.detach(), mesh, [Replicate()]).requires_grad_() for p in (layer.weight, layer.bias))
        given = x if name == "own rows" else distribute_tensor(x, mesh, [Replicate()])
        loss = linear_cross_entropy(given, w, y, bias=b)
        loss.backward()
        found[name] = {"loss": loss.detach(), "weight": w.grad.to_local(), "bias": b.grad.to_local()}
    shared = distribute_tensor(x, mesh, [Shard(0)])
    found["sharded input"] = said(lambda: linear_cross_entropy(shared, w, y))
    return found


def averaged(rank: int) -> dict[str, Any]:
    """DistributedDataParallel: around the model, past it, and around a module with the loss."""
    from torch.nn.parallel import DistributedDataParallel

    model, ids = language_model(), tokens(rank)
    ddp = DistributedDataParallel(model)
    found: dict[str, Any] = {
        "wrapped": said(lambda: causal_lm_loss(ddp, ids)),
        "past the wrapper": said(lambda: causal_lm_loss(ddp.module, ids)),
    }
    with torch.no_grad():
        found["evaluation"] = causal_lm_loss(ddp.module, ids)
    training = DistributedDataParallel(Training(language_model()))
    training(ids).backward()
    found["training"] = gradients(training)
    found["inner module past the wrapper"] = said(lambda: causal_lm_loss(language_model(), ids))
    return found


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=100))
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh("cpu", (PROCESSES,))
    found = {"fsdp": sharded(mesh, rank), "replicated": replicated(mesh, rank), "ddp": averaged(rank)}
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(run_script(PROCESSES, process))
