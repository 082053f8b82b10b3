"""What a call on a card launches, allocates and waits for, counted without one: tensors without memory (device meta)
that say they are on cuda take the very code of the card, and nothing is computed.

    python tests/support/gate_counts.py

writes tests/kernels/gate/counts.json, which the test compares exactly: a change that adds a launch, an allocation or a
wait has to say so there. Counted are launches by kernel, tensors of a mebibyte and more by dtype and bytes, the largest
sum of bytes alive at once beyond the arguments, and operations for which the host waits. Not counted is what a PyTorch
operation or cuBLAS allocates and frees inside itself.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from fiedler.kernels.gpu import launch as launch_module
from fiedler.kernels.gpu.launch import Launch

FILE = Path(__file__).resolve().parents[1] / "kernels" / "gate" / "counts.json"
LARGE = 1 << 20  # bytes
CARD, MULTIPROCESSORS = 90, 132  # an H200
WAITS = {
    "aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal", "aten::masked_select",
    "aten::unique2", "aten::_unique2", "aten::bincount",
}  # fmt: skip


class Counts(TorchDispatchMode):
    """Counts what runs inside; operations that would need a value get one that is good enough to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.clear()

    def clear(self) -> None:
        self.launches: Counter[str] = Counter()
        self.allocations: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.peak = self.live()

    def live(self) -> int:
        self.alive = {key: (ref, size) for key, (ref, size) in self.alive.items() if not ref.expired()}
        return sum(size for _, size in self.alive.values())

    def found(self) -> dict[str, Any]:
        return {
            "launches": dict(sorted(self.launches.items())),
            "allocations": dict(sorted(self.allocations.items())),
            "peak_bytes": self.peak,
            "waits": dict(sorted(self.waits.items())),
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name
        given = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
        on_card = any(_on_meta(one) for one in given)
        to = torch.device(kwargs["device"]).type if kwargs.get("device") is not None else None
        if on_card and (name in WAITS or to == "cpu"):
            self.waits[name.removeprefix("aten::")] += 1
        if on_card and to == "cpu":
            return torch.zeros_like(args[0], device="cpu", dtype=kwargs.get("dtype"))
        if on_card and name == "aten::_local_scalar_dense":
            return {torch.bool: False}.get(args[0].dtype, 0.0 if args[0].dtype.is_floating_point else 0)
        if on_card and name == "aten::nonzero":  # as many as there may be
            out = torch.empty((args[0].numel(), args[0].dim()), dtype=torch.int64, device="meta")
        elif on_card and name == "aten::bincount":
            bins = kwargs.get("minlength", args[2] if len(args) > 2 else 0)
            out = torch.empty(bins, dtype=torch.int64, device="meta")
        else:
            self.inside = True  # PyTorch's own code for tensors without memory asks where they are
            try:
                out = func(*args, **kwargs)
            finally:
                self.inside = False
        known = {one.untyped_storage()._cdata for one in given}
        for one in tree_flatten(out)[0]:
            if isinstance(one, Tensor) and _on_meta(one) and one.untyped_storage()._cdata not in known:
                self._allocated(one)
        return out

    def _allocated(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, self.live())
        if storage.nbytes() >= LARGE:
            self.allocations[f"{str(tensor.dtype).removeprefix('torch.')} {storage.nbytes()}"] += 1


def _without_memory(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same, and tensors that are to be on cuda without memory. (A mode would not reach backward passes.)"""

    def made(*args: Any, **kwargs: Any) -> Tensor:
        if kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda":
            kwargs["device"] = "meta"
        return make(*args, **kwargs)

    return made


def _on_meta(tensor: Tensor) -> bool:
    return torch._C.TensorBase.device.__get__(tensor).type == "meta"  # type: ignore[attr-defined]


@contextmanager
def counted_card() -> Iterator[Counts]:
    """Inside, tensors without memory are on cuda as far as Python code can see, and launches are only counted."""

    def device(self: Tensor) -> torch.device:
        own = torch._C.TensorBase.device.__get__(self)  # type: ignore[attr-defined]
        return torch.device("cuda", 0) if own.type == "meta" and not counts.inside else own

    def run(self: Launch) -> None:
        if 0 not in self.grid:
            self.check_grid()
            counts.launches[getattr(self.kernel, "__name__", None) or self.kernel.fn.__name__] += 1

    def tolist(self: Tensor) -> Any:  # one copy to the host, not one an entry
        counts.waits["tolist"] += 1
        return _zeros(list(self.shape))

    counts = Counts()
    with pytest.MonkeyPatch.context() as patch, counts:
        views = {
            "device": device,
            "is_cuda": lambda one: _on_meta(one) and not counts.inside,
            "is_meta": lambda one: _on_meta(one) and counts.inside,
        }
        for name, made in views.items():
            patch.setattr(Tensor, name, property(made), raising=False)
        for name in ("empty", "zeros", "ones", "full", "arange", "tensor", "empty_strided"):
            patch.setattr(torch, name, _without_memory(getattr(torch, name)))
        patch.setattr(Tensor, "tolist", tolist)
        patch.setattr(Launch, "run", run)
        patch.setattr(launch_module, "_tile_architecture", lambda index: CARD)
        patch.setattr(launch_module, "_multiprocessors", lambda index: MULTIPROCESSORS)
        yield counts


def _zeros(shape: list[int]) -> Any:
    return [_zeros(shape[1:]) for _ in range(shape[0])] if shape else 0


def count(call: Callable[[], tuple[Callable[[], Any], Callable[[Any], None] | None]]) -> dict[str, Any]:
    """The counts of a forward and a backward pass; ``call`` makes the arguments, which do not count, and returns what
    runs forward and what runs backward on its result."""
    with counted_card() as counts:
        forward, backward = call()
        counts.alive.clear(), counts.clear()
        result = forward()
        found = {"forward": counts.found()}
        if backward is not None:
            counts.clear()
            backward(result)
            found["backward"] = counts.found()
    return found


def main() -> None:
    from gate_counted_calls import COUNTED

    found = {name: count(call) for name, call in COUNTED.items()}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {FILE}: {len(found)} calls")


if __name__ == "__main__":
    sys.modules["gate_counts"] = sys.modules["__main__"]
    main()
