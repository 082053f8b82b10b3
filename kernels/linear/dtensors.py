"""DTensors among the arguments of a loss that each process computes by itself.

Replicated ones become plain tensors. Others are refused: what a shard means, a part of the classes (tensor parallel) or
a part of the storage (FSDP), whose processes hold different rows of input, cannot be seen from its mesh.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PLAIN_TENSORS = (torch.Tensor, torch.nn.Parameter)


def is_dtensor(value: Any) -> bool:
    """Whether this is a DTensor; without importing torch.distributed.tensor for plain tensors."""
    return type(value) not in PLAIN_TENSORS and hasattr(value, "device_mesh") and hasattr(value, "placements")


def check_not_sharded(tensor: Any, name: str) -> None:
    """ValueError for a DTensor with a placement other than ``Replicate``; anything else passes."""
    if not is_dtensor(tensor) or all(placement.is_replicate() for placement in tensor.placements):
        return
    mesh = tensor.device_mesh
    where = f"placements {tuple(tensor.placements)} on a mesh of shape {tuple(mesh.shape)}"
    if name in ("weight", "bias"):
        remedy = (
            "a layer sharded by FSDP: compute the loss inside its module's forward, as LinearCrossEntropy does, or, "
            f"without gradients, pass {name}.full_tensor(). Classes spread over processes that all hold the same "
            "input: say vocab_parallel=True"
        )
    elif name == "class_weight":
        remedy = "it covers all classes: pass class_weight.full_tensor()"
    else:
        remedy = f"pass the rows of this process as a plain tensor, {name}.to_local()"
    raise ValueError(f"{name} is a DTensor with {where}, and each process computes its loss alone; {remedy}")


def local_parameter(parameter: Tensor, name: str, *, same_input: bool) -> Tensor:
    """A weight or bias that may be a replicated DTensor, as a plain tensor; ValueError for one sharded otherwise.

    Its gradient is again a replicated DTensor, so it has to be the same on all processes of the mesh: unless they are
    known to hold the ``same_input``, backward averages it over them, as DistributedDataParallel does.
    """
    check_not_sharded(parameter, name)
    if not is_dtensor(parameter):
        return parameter
    if same_input:
        return parameter.to_local()  # type: ignore[attr-defined]
    local: Tensor = _Averaged.apply(parameter)
    return local


def local_rows(tensor: Tensor, name: str) -> Tensor:
    """``input`` or another tensor of the rows that may be a replicated DTensor, as a plain tensor; ValueError for one
    sharded otherwise."""
    check_not_sharded(tensor, name)
    return tensor.to_local() if is_dtensor(tensor) else tensor  # type: ignore[attr-defined]


class _Averaged(torch.autograd.Function):
    """The local tensor of a replicated DTensor; backward gives every process the mean of the gradients of all."""

    @staticmethod
    def forward(ctx: Any, tensor: Any) -> Tensor:
        ctx.mesh = tensor.device_mesh
        local: Tensor = tensor._local_tensor
        return local.view_as(local)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        from torch.distributed.tensor import DTensor, Partial, Replicate

        mesh = ctx.mesh
        parts = [Partial()] * mesh.ndim  # a sum of fractions: not every backend has the mean
        share = DTensor.from_local(gradient / mesh.size(), mesh, parts, run_check=False)
        return share.redistribute(mesh, [Replicate()] * mesh.ndim)
