"""A Triton kernel with its grid, arguments and compile options: what a launcher runs and the compile report compiles.

Launchers build a ``Launch`` from tensors and shapes only, so the compile report can build the very same launch from
tensors on the ``meta`` device and compile it for a card that is not there. The architecture, which chooses tiles, is
an argument of the launchers for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .triton_version import warn_if_untested

OLDEST_ARCHITECTURE = 80
# Shared memory of a program, in bytes, that the tiles made for an architecture may take. Cards with less than the large
# ones of their generation (8.6, 8.9, 12.0) take the tiles for 8.0, which fit any of them.
TILE_MEMORY = {80: 101_376, 90: 232_448, 100: 232_448}
LARGEST_GRID = (2**31 - 1, 65_535, 65_535)  # programs along each axis that CUDA launches
ALIGNMENT = 16  # elements to which rows of logits are padded, so that loads and stores are whole 16-byte vectors


@dataclass(frozen=True)
class Launch:
    """One kernel launch: ``kernel`` over ``grid`` with ``arguments``: tensors, numbers, None, compile-time constants.

    ``matrix`` says that the kernel multiplies matrices in a 16-bit or TF32 type, so that its machine code must hold
    matrix instructions. ``run`` does nothing for an empty grid, raises ValueError for one larger than CUDA launches,
    and otherwise what Triton raises.
    """

    kernel: Any
    grid: tuple[int, ...]
    arguments: Mapping[str, Any]
    num_warps: int
    num_stages: int = 1
    matrix: bool = False

    def run(self) -> None:
        """Launch the kernel on the device of its first tensor."""
        if 0 in self.grid:
            return
        self.check_grid()
        warn_if_untested()
        first = next(value for value in self.arguments.values() if isinstance(value, Tensor))
        with torch.cuda.device_of(first):
            self.kernel[self.grid](**self.arguments, num_warps=self.num_warps, num_stages=self.num_stages)

    def check_grid(self) -> None:
        """ValueError, before any device is asked, for a grid of more programs along an axis than CUDA launches."""
        if len(self.grid) > 3 or any(count > most for count, most in zip(self.grid, LARGEST_GRID, strict=False)):
            name = getattr(self.kernel, "__name__", "the kernel")
            raise ValueError(
                f"{name} would run over a grid of {' x '.join(f'{count:,}' for count in self.grid)} programs; CUDA "
                f"takes at most {' x '.join(f'{most:,}' for most in LARGEST_GRID)}: pass fewer rows or columns at once"
            )


def tile_architecture(capability: int, shared_memory: int) -> int:
    """The architecture, of ``TILE_MEMORY``, whose tiles run on a card of this compute capability (89 for 8.9) and
    shared memory of a program in bytes: the newest that is no newer and fits. Raises ValueError if there is none."""
    fitting = [known for known, wanted in TILE_MEMORY.items() if known <= capability and wanted <= shared_memory]
    if not fitting:
        raise ValueError(
            f"this card has compute capability {capability // 10}.{capability % 10} and {shared_memory >> 10} KiB of "
            f"shared memory; the kernels with matrix products, and bfloat16, need 8.0 and {TILE_MEMORY[80] >> 10} KiB: "
            'use path="chunked" in float16 or float32 (linear_cross_entropy), or path="reference"'
        )
    return max(fitting)


@lru_cache(maxsize=16)
def _tile_architecture(index: int) -> int:
    found = torch.cuda.get_device_properties(index)
    memory = getattr(found, "shared_memory_per_block_optin", found.shared_memory_per_block)  # AMD has no first
    return tile_architecture(10 * found.major + found.minor, memory)


def architecture(tensor: Tensor) -> int:
    """Whose tiles run on the card ``tensor`` is on: 80, 90 or 100; the oldest off the card (Triton's interpreter).

    Raises ValueError for a card that can run none of them."""
    if tensor.device.type != "cuda":
        return OLDEST_ARCHITECTURE
    index = tensor.device.index
    return _tile_architecture(torch.cuda.current_device() if index is None else index)


@lru_cache(maxsize=16)
def _multiprocessors(index: int) -> int:
    return int(torch.cuda.get_device_properties(index).multi_processor_count)


def multiprocessors(tensor: Tensor) -> int:
    """Streaming multiprocessors of the card of ``tensor``; 4 off the card, so that loops over programs are tested."""
    if tensor.device.type != "cuda":
        return 4
    index = tensor.device.index
    return _multiprocessors(torch.cuda.current_device() if index is None else index)


def power_of_two(value: int, *, least: int = 1, most: int | None = None) -> int:
    """The smallest power of two not below ``value`` and ``least``, cut to ``most``."""
    power = max(least, 1 << max(value - 1, 0).bit_length())
    return power if most is None else min(power, most)


def dot_precision(tensor: Tensor) -> str:
    """How ``tl.dot`` multiplies operands of this dtype: exactly for 16-bit types, as cuBLAS is set to for fp32.

    Where PyTorch allows TF32 (``torch.set_float32_matmul_precision("high")``, or ``torch.backends.cuda.matmul``), one
    TF32 product; else, the default, the sum of six bf16 products, which keeps all 24 bits and runs on the matrix units,
    where ``ieee`` would leave them idle. Triton's interpreter, on CPU tensors, multiplies in fp32 whatever is asked.
    """
    if tensor.dtype != torch.float32 or tensor.device.type == "cpu":
        return "ieee"
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "bf16x6"


def padded_classes(matrix: Tensor) -> int:
    """How many columns of ``matrix`` (N, V) a kernel may touch: V up to whole vectors if its rows have the room."""
    whole = -(-matrix.shape[1] // ALIGNMENT) * ALIGNMENT
    return whole if matrix.stride(0) >= whole and matrix.stride(0) % ALIGNMENT == 0 else matrix.shape[1]


def padded_logits(rows: int, classes: int, like: Tensor) -> Tensor:
    """An uninitialised (rows, classes) view, in dtype and on the device of ``like``, of rows padded for the kernels."""
    whole = -(-classes // ALIGNMENT) * ALIGNMENT
    return torch.empty((rows, whole), dtype=like.dtype, device=like.device)[:, :classes]
