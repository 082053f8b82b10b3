"""Two processes that train patched models wrapped by DDP, ``fully_shard``, with adapters of PEFT where it is installed,
and with a head split over its vocabulary: run as a script, imported for the cases. Each writes what it found to
FOLDER/RANK.pt."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from adopted_models import batch, make, step
from fiedler.kernels import patch, unpatch
from worlds import run_script

PROCESSES = 2
HAS_PEFT = importlib.util.find_spec("peft") is not None
REPLICATED = ("gpt2", "gpt_neox", "mixtral, router loss", "mamba")
SHARDED = ("llama", "qwen2, tied", "gemma2, capped", "qwen2_moe, router loss")


def ddp(model: Any) -> Any:
    # Experts that got no token have no gradient.
    return torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)


def sharded(model: Any, whole_head: bool = False, **policy: Any) -> Any:
    """Every layer, and an untied head too, gathered for its own call."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policies = {"mp_policy": MixedPrecisionPolicy(**policy)} if policy else {}
    head = model.get_output_embeddings()
    parts = list(model.base_model.layers)
    if head.weight is not model.get_input_embeddings().weight and not whole_head:
        parts.append(head)
    for part in parts:
        fully_shard(part, **policies)
    return fully_shard(model, **policies)


def compare(name: str, wrap: Callable[[Any], Any], rank: int, prepare: Callable[[Any], Any] = patch) -> dict[str, Any]:
    """Two steps and an evaluation of the model wrapped, patched before and not."""
    found: dict[str, Any] = {}
    inputs = batch(seed=rank)
    for kind in ("own", "patched"):
        model = make(name)
        wrapped = wrap(prepare(model) if kind == "patched" else model)
        found[kind] = step(wrapped, **inputs)
        found[f"{kind}, again"] = step(wrapped, **inputs, num_items_in_batch=torch.tensor(7))
        wrapped.eval()
        with torch.no_grad():
            output = wrapped(**inputs)
        found[f"{kind}, evaluated"] = output.loss.item(), {"logits": output.logits.clone()}
        if kind == "patched" and name == "llama":
            unpatch(model)
            found["own, unpatched"] = found["own"]
            found["patched, unpatched"] = step(wrapped.train(), **inputs)
    return found


def late(rank: int) -> dict[str, Any]:
    """A model patched after ``fully_shard``."""
    inputs = batch(seed=rank)
    return {"own": step(sharded(make("llama")), **inputs), "patched": step(patch(sharded(make("llama"))), **inputs)}


def half(rank: int) -> dict[str, Any]:
    """float16 parameters for forward and backward: the fused loss reads the head's weight again in backward."""
    inputs = batch(seed=rank)
    policy = {"param_dtype": torch.float16, "reduce_dtype": torch.float32}
    return {
        kind: step(sharded(prepare(make("llama")), **policy), **inputs)
        for kind, prepare in (("own", lambda model: model), ("patched", patch))
    }


def adapters(rank: int) -> dict[str, Any]:
    """LoRA, and a copy of the head that is trained whole, in a wrapper that is gathered for its own call; the loss
    reads the weight again in backward. Last what the model says whose wrapper came after ``patch``."""
    import peft

    def adapted(model: Any) -> Any:
        torch.manual_seed(0)
        options = {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"], "init_lora_weights": False}
        return peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **options)).train()

    def wrapped(model: Any) -> Any:
        sharded(model.get_base_model())
        return model

    inputs, late = batch(seed=rank), wrapped(adapted(patch(make("llama"))))
    try:
        said = str(step(late, **inputs)[0])
    except TypeError as error:
        said = str(error)
    return {
        "own": step(wrapped(adapted(make("llama"))), **inputs),
        "patched": step(wrapped(patch(adapted(make("llama")), path="recompute")), **inputs),
        "own, patched again": step(wrapped(adapted(make("llama"))), **inputs),
        "patched, patched again": step(patch(late, path="recompute"), **inputs),
        "own, replicated": step(ddp(adapted(make("llama"))), **inputs),
        "patched, replicated": step(ddp(adapted(patch(make("llama")))), **inputs),
        "said": said,
    }


def split_head() -> dict[str, Any]:
    """The head's weight a DTensor, Shard(0) of its classes; tokens are the same on both processes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    model = patch(make("llama"), logits="never", vocab_parallel=True)
    head = model.get_output_embeddings()
    mesh = init_device_mesh("cpu", (PROCESSES,))
    head.weight = torch.nn.Parameter(distribute_tensor(head.weight.detach(), mesh, [Shard(0)]))
    return {"own": step(make("llama"), **batch()), "patched": step(model, **batch())}


def styled_head() -> str:
    """What a head says that is split by a style, whose hook on the output wants logits."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    model = patch(make("llama"))
    plan = {"lm_head": ColwiseParallel(output_layouts=Replicate())}
    parallelize_module(model, init_device_mesh("cpu", (PROCESSES,)), plan)
    try:
        model(**batch())
    except TypeError as error:
        return str(error)
    return "nothing"


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=100))
    found: dict[Any, Any] = {("ddp", name): compare(name, ddp, rank) for name in REPLICATED}
    found |= {("fully_shard", name): compare(name, sharded, rank) for name in SHARDED}
    found["fully_shard", "head with the root"] = compare("llama", lambda model: sharded(model, whole_head=True), rank)
    found["fully_shard", "patched late"] = late(rank)
    found["half precision", "llama"] = half(rank)
    if HAS_PEFT:
        found["adapters", "llama"] = adapters(rank)
    found["split head", "llama"] = split_head()
    found["styled head"] = styled_head()
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(run_script(PROCESSES, process))
