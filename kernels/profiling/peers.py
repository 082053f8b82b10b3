"""Other implementations of the linear layer's cross-entropy, mean over rows of hard targets, where they are installed.

Each is a function (input, weight, target) -> loss, for the profiler to run beside ours with the same tensors; nothing
of them is used anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Peer:
    """``loss`` and the ``version`` of its package, or why it is ``absent``."""

    name: str
    loss: Loss | None = None
    version: str | None = None
    absent: str | None = None


def torch_eager(input: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """PyTorch with full logits."""
    return F.cross_entropy(F.linear(input, weight), target)


def _torch_chunked(input: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    options = torch.nn.LinearCrossEntropyOptions()
    found: Tensor = F.linear_cross_entropy(input, weight, target, options=options)
    return found


def _torch_peers(device: torch.device) -> list[Peer]:
    version = torch.__version__
    peers = [Peer("torch eager", torch_eager, version)]
    compiled: Loss = torch.compile(torch_eager, dynamic=False)
    peers.append(Peer("torch.compile", compiled, version))
    if hasattr(F, "linear_cross_entropy") and hasattr(torch.nn, "LinearCrossEntropyOptions"):
        peers.append(Peer("torch chunked", _torch_chunked, version))
    else:
        peers.append(Peer("torch chunked", absent=f"torch {version} has no linear_cross_entropy; it came with 2.13"))
    return peers


def _liger() -> Loss:
    module = import_module("liger_kernel.transformers")
    loss = module.LigerFusedLinearCrossEntropyLoss()
    return lambda input, weight, target: loss(weight, input, target)


def _cut_cross_entropy() -> Loss:
    function = import_module("cut_cross_entropy").linear_cross_entropy
    return lambda input, weight, target: function(input, weight, target)


def _quack() -> Loss:
    function = import_module("quack.linear_cross_entropy").chunked_linear_cross_entropy
    return partial(_call_quack, function)


def _call_quack(function: Callable[..., Tensor], input: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return function(input, weight, target, reduction="mean")


_PACKAGES: dict[str, tuple[str, Callable[[], Loss]]] = {
    "liger-kernel": ("liger-kernel", _liger),
    "cut-cross-entropy": ("cut-cross-entropy", _cut_cross_entropy),
    "quack-kernels": ("quack-kernels", _quack),
}

NAMES = ("torch eager", "torch.compile", "torch chunked", *_PACKAGES)


def find_peers(device: torch.device) -> list[Peer]:
    """Every peer for ``device``, those that are missing or have no kernels there with the reason."""
    peers = _torch_peers(device)
    for name, (package, load) in _PACKAGES.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            peers.append(Peer(name, absent="not installed"))
            continue
        if device.type != "cuda":
            peers.append(Peer(name, version=version, absent="runs on CUDA only"))
            continue
        try:
            peers.append(Peer(name, load(), version))
        except (ImportError, AttributeError, RuntimeError) as error:
            peers.append(Peer(name, version=version, absent=f"cannot be loaded: {error}"))
    return peers
