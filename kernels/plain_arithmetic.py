"""A context for code that chooses its dtypes itself."""

from __future__ import annotations

import contextlib

import torch


def plain_arithmetic() -> contextlib.AbstractContextManager[object]:
    """Neither autograd nor autocast inside."""
    cast = [device for device in ("cuda", "cpu") if torch.is_autocast_enabled(device)]
    if not cast:
        return torch.no_grad()
    both = contextlib.ExitStack()
    both.enter_context(torch.no_grad())
    for device in cast:
        both.enter_context(torch.autocast(device, enabled=False))
    return both
