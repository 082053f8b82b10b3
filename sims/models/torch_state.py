"""What a torch training keeps of itself, and the one thread that small models train on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def learned_state(weights: Mapping[str, Tensor], optimiser: torch.optim.Optimizer) -> dict[str, NDArray[Any]]:
    """Every weight once, and the optimiser's moments, as arrays for ``load_learned_state``."""
    kept = {f"weight/{name}": value.detach().cpu().numpy() for name, value in weights.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        found = {name: value.cpu().numpy() for name, value in moments.items() if isinstance(value, Tensor)}
        kept |= {f"optimiser/{index}/{name}": value for name, value in found.items()}
    return kept


def load_learned_state(
    weights: Mapping[str, Tensor], optimiser: torch.optim.Optimizer, kept: Mapping[str, NDArray[Any]]
) -> None:
    """Put ``learned_state`` back; other entries of ``kept`` are left alone."""
    with torch.no_grad():
        for name, value in weights.items():
            value.copy_(torch.from_numpy(np.array(kept[f"weight/{name}"])))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, array in kept.items():
        kind, _, rest = name.partition("/")
        if kind == "optimiser":
            index, _, moment = rest.partition("/")
            moments.setdefault(int(index), {})[moment] = torch.from_numpy(np.array(array))
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread for the time of the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
