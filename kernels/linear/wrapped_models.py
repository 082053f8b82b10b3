"""Models in wrappers whose forward has work of its own: averaging gradients, gathering parameters.

A loss that reads a wrapped model's parts past the wrapper's forward leaves that work undone: DistributedDataParallel
averages no gradients and says nothing. So wrappers are refused, and so is a model that one of them holds.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .dtensors import is_dtensor

WRAPPERS = ("DistributedDataParallel", "FullyShardedDataParallel", "DeepSpeedEngine")
REMEDY = (
    "patch(model) before it is wrapped, or put the loss into the forward of a small module (self.model = model; def "
    "forward(self, input_ids, labels): return causal_lm_loss(self.model, input_ids, labels)) and wrap that module"
)

# Models whose first call with gradients was no bypass: later ones are not searched for, and what is computed again in
# backward (checkpointing) runs outside the wrapper's forward.
_cleared: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()


def check_wrapping(model: torch.nn.Module) -> None:
    """TypeError for a model in a wrapper; ValueError where DistributedDataParallel holds the model, gradients are
    wanted and its forward is not running. The second is looked for at the first call of a model with gradients."""
    inner = getattr(model, "_orig_mod", model)  # under torch.compile
    names = {kind.__name__ for kind in type(inner).__mro__}
    wrapper = next((name for name in WRAPPERS if name in names), None)
    if wrapper is not None:
        raise TypeError(
            f"model is wrapped in {wrapper}, whose forward would not run; {REMEDY} in {wrapper}. "
            "Only without gradients (torch.no_grad()) may model.module be passed"
        )
    if torch.compiler.is_compiling() or not torch.is_grad_enabled() or inner in _cleared or not _among_several():
        return
    if _holder(inner) is not None:
        raise ValueError(
            f"{type(inner).__name__} is held by a DistributedDataParallel whose forward is not running: its gradients "
            f"would not be averaged over the processes; {REMEDY} in DistributedDataParallel"
        )
    _cleared.add(inner)


def check_gathered(weight: Tensor, name: str) -> None:
    """ValueError for an output embedding of which this process holds a part only."""
    sharded = is_dtensor(weight) and not all(p.is_replicate() for p in weight.placements)  # type: ignore[attr-defined]
    if weight.dim() == 2 and weight.numel() > 0 and not sharded:
        return
    what = f"placements {tuple(weight.placements)}" if sharded else f"shape {tuple(weight.shape)}"  # type: ignore[attr-defined]
    raise ValueError(
        f"the output embedding of {name} is not whole here ({what}), as FSDP and ZeRO-3 leave it outside of a forward; "
        f"{REMEDY}. Classes spread over processes that all hold the same tokens: say vocab_parallel=True"
    )


def _among_several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _holder(model: torch.nn.Module) -> Any:
    """A DistributedDataParallel with ``model`` in it, unless one's forward is running."""
    from torch.nn.parallel import DistributedDataParallel

    if DistributedDataParallel._get_active_ddp_module() is not None:
        return None
    wrapped = (held for held in gc.get_objects() if issubclass(type(held), DistributedDataParallel))
    return next((held for held in wrapped if any(module is model for module in held.modules())), None)
