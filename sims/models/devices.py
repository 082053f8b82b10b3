"""The devices a run may be trained on."""

from __future__ import annotations

import torch

from ..suggest import choose


def check_device(device: str) -> None:
    """Raises ValueError for a device that is none or not there."""
    if device not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {device!r}; {choose(device, ('cpu', 'cuda'))}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("this run needs a CUDA GPU and none is here; use --device cpu, or --dry-run for its size")
