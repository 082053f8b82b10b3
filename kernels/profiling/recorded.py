"""What a call would do on a card, step by step, on a machine without one: launches of kernels, and PyTorch's own work.

    steps = recorded(H200, lambda: forward(...))

runs the call with tensors of the ``meta`` device that say they are on the card: nothing is allocated or computed. The
call's own code decides, so a path that changes its kernels, tiles or passes changes its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..gpu import launch as launch_module
from ..gpu.launch import Launch

CARD = torch.device("cuda", 0)
META = torch.device("meta")
PRODUCTS = ("mm", "matmul", "addmm", "addmm_", "__matmul__", "mv", "dot")
EMPTY = ("empty", "new_empty", "empty_like", "empty_strided")


@dataclass(frozen=True)
class Card:
    """A card as the launchers see it: compute capability (90 for 9.0), the largest shared memory of a program in bytes,
    and how many streaming multiprocessors it has."""

    capability: int
    shared_memory: int
    multiprocessors: int


@dataclass(frozen=True)
class TensorStep:
    """One operation of PyTorch: its name, the bytes it reads and writes if every operand crosses memory once, and for a
    matrix product (M, N, K) with the operands' dtype."""

    name: str
    bytes: int
    product: tuple[int, int, int] | None = None
    dtype: torch.dtype | None = None


Step = Launch | TensorStep


def recorded(card: Card, call: Callable[[], object]) -> tuple[Step, ...]:
    """The steps of ``call()`` on ``card``. Tensors that it makes on a card, or like others, are made on ``meta``.

    Not for two threads at once: the launches are caught at ``Launch.run``. Raises what the call raises.
    """
    steps: list[Step] = []
    with (
        replaced(launch_module, "_tile_architecture", lambda _: _tiles(card)),
        replaced(launch_module, "_multiprocessors", lambda _: card.multiprocessors),
        replaced(Launch, "run", lambda launch: None if 0 in launch.grid else steps.append(launch)),
        _OnCard(steps),
    ):
        call()
    return tuple(steps)


def _tiles(card: Card) -> int:
    return launch_module.tile_architecture(card.capability, card.shared_memory)


@contextmanager
def replaced(holder: Any, name: str, value: Any) -> Iterator[None]:
    """``holder.name`` is ``value`` inside."""
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


class _OnCard(TorchFunctionMode):
    """Tensors of ``meta`` that say they are on the card; what is done to them is noted in ``steps``."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = steps

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function == torch.Tensor.device.__get__:
            return CARD
        if function == torch.Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
            return True
        given = {name: _moved(value) for name, value in (kwargs or {}).items()}
        made = function(*(_moved(value) for value in args), **given)
        self._note(getattr(function, "__name__", ""), args, given, made)
        return made

    def _note(self, name: str, args: Any, given: dict[str, Any], made: Any) -> None:
        results, operands = list(_tensors(made)), list(_tensors([args, given]))
        if name == "__setitem__":
            self.steps.append(TensorStep(name, 2 * sum(_bytes(tensor) for tensor in operands[1:])))
        if not results or name in EMPTY or name == "__get__":
            return
        in_place = "out" in given or (name.endswith("_") and not name.endswith("__"))
        known = {tensor.untyped_storage()._cdata for tensor in operands}
        if not in_place and all(tensor.untyped_storage()._cdata in known for tensor in results):
            return  # a view, or the tensor itself
        moved = sum(_bytes(tensor) for tensor in [*operands, *(() if "out" in given else results)])
        product, dtype = None, None
        if name in PRODUCTS:
            matrices = [tensor for tensor in operands[: 3 if name.startswith("addmm") else 2] if tensor.dim() == 2][-2:]
            if len(matrices) == 2:
                product = (matrices[0].shape[0], matrices[1].shape[1], matrices[0].shape[1])
                dtype = matrices[0].dtype
        self.steps.append(TensorStep(name, moved, product, dtype))


def _moved(value: Any) -> Any:
    if isinstance(value, torch.device) or (isinstance(value, str) and value.startswith("cuda")):
        return META
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
