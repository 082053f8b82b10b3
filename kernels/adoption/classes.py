"""Objects that change their class for one derived from it, and back.

The derived class has the name of the other, so that configs, logs and registries by name see no difference. A module
that changes its class keeps its parameters, hooks and attributes, and is copied and pickled with the change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_made: dict[tuple[type, type], type] = {}


class Adopted:
    """What every derived class has: its instances are copied and pickled by the class they came from."""

    adopted_from: type
    adopted_by: type

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced = super().__reduce_ex__(protocol)
        own = vars(type(self))
        if not ("adopted_from" in own and isinstance(reduced, tuple)):
            return reduced  # a wrapper derived its own class from ours
        return (_remake, (own["adopted_by"], own["adopted_from"]), *reduced[2:])


def derived(mixin: type, original: type) -> type:
    """The class that puts ``mixin`` before ``original``: made once, so that all instances share it."""
    if (mixin, original) not in _made:
        more: Callable[[type], dict[str, Any]] | None = getattr(mixin, "members", None)
        names = {"__module__": original.__module__, "__qualname__": original.__qualname__, "__doc__": original.__doc__}
        members = {**names, "adopted_from": original, "adopted_by": mixin, **(more(original) if more else {})}
        _made[mixin, original] = type(original.__name__, (mixin, original), members)
    return _made[mixin, original]


def adopt(module: torch.nn.Module, mixin: type) -> None:
    """Give ``module`` the derived class, unless it has it or a class that a wrapper derived from it."""
    if not isinstance(module, mixin):
        module.__class__ = derived(mixin, type(module))


def release(module: torch.nn.Module) -> None:
    """The class back. One that a wrapper derived since (``fully_shard`` does) stays: the wrapper needs it."""
    module.__class__ = vars(type(module)).get("adopted_from", type(module))


def _remake(mixin: type, original: type) -> Any:
    made: Any = derived(mixin, original)
    return made.__new__(made)
