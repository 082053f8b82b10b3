"""Memory that shows what a kernel does wrong with it: tensors flush against pages that no one may touch, poisoned
before they are written, and tensors whose entries lie so far apart that offsets pass 2^31."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

PAGE = mmap.PAGESIZE
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Linux, which Triton runs on; named from Python 3.13
LIBC = ctypes.CDLL(None, use_errno=True)
FAR = 2**31
UNINITIALISED = {"aten::empty", "aten::empty_like", "aten::new_empty", "aten::empty_strided", "aten::new_empty_strided"}


def guarded_like(tensor: Tensor, *, front: bool) -> Tensor:
    """An uninitialised tensor of the same shape, strides and dtype whose memory ends where an unreadable page begins,
    or with ``front`` begins where one ends; touching that page kills the process."""
    bytes_needed = (1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))) * tensor.itemsize
    pages = -(-bytes_needed // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (address, address + (pages + 1) * PAGE):
        if LIBC.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
            raise OSError(ctypes.get_errno(), "mprotect refused to guard a page")
    start = PAGE if front else (pages + 1) * PAGE - bytes_needed
    numbers = torch.frombuffer(memory, dtype=torch.uint8, offset=start, count=bytes_needed)
    return torch.empty(0, dtype=tensor.dtype).set_(numbers.untyped_storage(), 0, tensor.shape, tensor.stride())


class Guarded(TorchDispatchMode):
    """Every tensor that an operation makes lies in guarded memory; uninitialised ones hold NaN, integers -1."""

    def __init__(self, *, front: bool) -> None:
        super().__init__()
        self.front = front
        self.made = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {one.untyped_storage().data_ptr() for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)}

        def moved(tensor: Tensor) -> Tensor:
            if tensor.numel() == 0 or tensor.untyped_storage().data_ptr() in given:
                return tensor
            new = guarded_like(tensor, front=self.front)
            self.made += 1
            if func._schema.name in UNINITIALISED:
                torch.empty(0, dtype=torch.uint8).set_(new.untyped_storage()).fill_(0xFF)
            else:
                new.copy_(tensor)
            return new

        return tree_map_only(Tensor, moved, out)


def far_copy(tensor: Tensor) -> Tensor:
    """The same numbers with entries of the first dimensions so far apart that offsets pass 2^31 elements, in address
    space that is backed by memory only where it is touched. The last dimension stays dense."""
    strides = [1]
    span = tensor.shape[-1]
    for size in reversed(tensor.shape[:-1]):
        apart = -(-FAR // max(1, size - 1)) if size > 1 else span
        strides.insert(0, -(-max(apart, span + 64) // 4096) * 4096)
        span = size * strides[0]
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
    memory = mmap.mmap(-1, -(-span * tensor.itemsize // PAGE) * PAGE, flags=kind)
    flat = torch.frombuffer(memory, dtype=torch.uint8)
    far = torch.empty(0, dtype=tensor.dtype).set_(flat.untyped_storage(), 0, tensor.shape, tuple(strides))
    far.copy_(tensor)
    return far


def resident_bytes() -> int:
    """Memory of this process that is really there."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


# The arguments that hold the strides of a kernel's tensors, first dimension first; NAME_stride where not listed.
STRIDES = {
    "logits": ("row_stride",),
    "matrix": ("stride",),
    "sums": ("sum_stride",),
    "partial": ("sum_stride", "partial_stride"),
}


def far_arguments(kernel: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arguments with every matrix far apart and every vector copied, and the names of the matrices. A matrix whose
    stride the kernel is not told cannot be moved: AssertionError."""
    moved: dict[tuple[Any, ...], Tensor] = {}
    made, names = dict(arguments), []
    for name, value in arguments.items():
        if not isinstance(value, Tensor):
            continue
        key = (value.data_ptr(), value.shape, value.stride())
        strides = STRIDES.get(name, (f"{name}_stride",))[-(value.dim() - 1) :] if value.dim() > 1 else ()
        if name == "partial" and value.dim() == 2:
            strides = ("partial_stride",)
        if key not in moved:
            far = value.dim() > 1 and all(stride in arguments for stride in strides)
            moved[key] = far_copy(value) if far else value.clone()
            if value.dim() > 1:
                assert far, f"{kernel}: the matrix {name} has no argument {' or '.join(strides)}: add it to STRIDES"
        made[name] = moved[key]
        for position, stride in enumerate(strides):
            made[stride] = moved[key].stride(position)
        if value.dim() > 1 and max(n * s for n, s in zip(value.shape, moved[key].stride(), strict=True)) > FAR:
            names.append(name)
    return made, names
