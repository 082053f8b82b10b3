"""What a step of sharded training costs a process, from the sizes alone: arithmetic, messages, memory, checkpoints.

With n_r of the n rows of width D on each of p processes, s bytes a number and e entries of the target besides one pivot
a row, a step of ``ShardedTraining`` takes on process r

    products      6 n_r n D FLOPs tied, 8 n_r n D untied, and 4 e_r D for the sparse target
    sends         (n - n_next) (2 D s + 2 s + 8) bytes tied, 2 (n - n_next) D s + n D s untied,

with 3 s for 2 s where the fused kernels of a card run, which send a factor beside each row's offset and slope;
n_next the rows of the process after it (docs/scaling.md says how this was checked). Exponentials are not counted as
FLOPs: the rate that a machine reaches on such steps, ``flops_per_second``, has them in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..suggest import choose
from .row_shards import row_sizes

ITEM_BYTES = {"float64": 8, "float32": 4}
INDEX_BYTES = 8
# As in kernels/sharded/tiles.py, target.py and kernels/gpu/flash_tiles.py, which cannot be imported without torch.
TILE_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}
PRODUCT_ROWS = 4096
FUSED_WIDTH = 128  # columns of float32 that the fused kernels of a card take
ROW_NUMBERS = 16  # numbers kept or at hand for each row: sums, slopes, shares


@dataclass(frozen=True)
class ShardedCost:
    """The cost of a run: ``n`` nodes, ``width`` D, ``entries`` of the target (pivots included) on ``processes``
    processes with even shards; all numbers are of one process, the one with the most rows unless a rank is given.

    Raises ValueError for sizes below one and for an unknown dtype or device.
    """

    n: int
    width: int
    entries: int
    processes: int = 1
    dtype: str = "float32"
    tied: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("n", "width", "entries", "processes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name, known in (("dtype", ITEM_BYTES), ("device", TILE_BYTES)):
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; {choose(getattr(self, name), known)}")

    @property
    def fused(self) -> bool:
        """Whether the fused kernels run, which make no tiles of logits, on a card of compute capability 8.0 or more."""
        return self.device == "cuda" and self.dtype == "float32" and self.width <= FUSED_WIDTH

    @property
    def item(self) -> int:
        """Bytes of a number."""
        return ITEM_BYTES[self.dtype]

    def rows(self, rank: int = 0) -> int:
        """Rows on a process."""
        return row_sizes(self.n, self.processes)[rank]

    def product_flops(self, rank: int = 0) -> int:
        """Of the matrix products of a step, two for each multiplication and addition."""
        return (6 if self.tied else 8) * self.rows(rank) * self.n * self.width

    @property
    def sparse_flops(self) -> float:
        """Of the products with the sparse target, on average over the processes: forward and backward."""
        return 4 * max(0, self.entries - self.n) * self.width / self.processes

    @property
    def flops(self) -> float:
        """Of a step."""
        return self.product_flops() + self.sparse_flops

    def bytes_sent(self, rank: int = 0) -> int:
        """Round the ring in a step, but for the handful of numbers in which the processes tell their losses."""
        if self.processes == 1:
            return 0
        passing = self.n - self.rows((rank + 1) % self.processes)
        row = self.width * self.item
        if self.tied:
            return passing * (2 * row + self._passing_numbers)
        return 2 * passing * row + self.n * row

    @property
    def _passing_numbers(self) -> int:
        """Bytes that travel with a row, tied: slope and pivot, and what its probabilities are made of."""
        return (3 if self.fused else 2) * self.item + INDEX_BYTES

    @property
    def peak_bytes(self) -> int:
        """Of memory in tensors: matrices, blocks on their way, tiles, the target. Libraries and the buffers of matrix
        products come on top. With the fused kernels averages take the place of tiles, and the estimate was not checked
        on a card."""
        rows, row = self.rows(), self.width * self.item
        matrix = rows * row
        arriving = min(2, self.processes - 1)  # blocks beside one's own
        side = math.isqrt(TILE_BYTES[self.device] // self.item)
        tile = min(side, rows) ** 2 * self.item
        scaled = min(side, rows) * row  # a tile's columns in units of log 2
        product = min(PRODUCT_ROWS, rows) * row  # of the sparse target; the first pass meets as many rows with it
        numbers = rows * self._passing_numbers
        sums = (1 if self.processes == 1 else 3) * matrix
        if self.fused:  # untied: the mean so far, a block's own and the contexts of the pivots
            averages = 0 if self.tied else min(3, self.processes + 1) * matrix
            first = arriving * matrix + max(averages, 2 * product)
            second = arriving * matrix + matrix + (numbers * (arriving + 1) if self.tied else sums)
        else:
            first = arriving * matrix + tile + max(scaled, 2 * product)
            second = arriving * matrix + tile + max(scaled, product)
            second += numbers * (arriving + 1) + tile if self.tied else sums
        entry = 3 * INDEX_BYTES + self.item  # column, value, at most a row number and a pointer each
        target = 2 * entry * -(-self.entries // self.processes) + ROW_NUMBERS * rows * self.item
        return (2 if self.tied else 3) * matrix + max(first, second) + target

    @property
    def checkpoint_bytes(self) -> int:
        """Of one checkpoint of the process; two are kept, and a third is there while it is written."""
        return (1 if self.tied else 2) * self.rows() * self.width * self.item

    def compute_seconds(self, flops_per_second: float) -> float:
        """Of a step's arithmetic at the rate that the machine reaches on it."""
        return self.flops / flops_per_second

    def transfer_seconds(self, bytes_per_second: float) -> float:
        """Of a step's messages at the bandwidth of the slowest link of the ring."""
        return self.bytes_sent() / bytes_per_second

    def seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """Of a step: messages travel while blocks are computed with, so the longer of the two."""
        return max(self.compute_seconds(flops_per_second), self.transfer_seconds(bytes_per_second))

    def describe(self) -> dict[str, object]:
        """Everything as --json prints it."""
        return {
            "n": self.n,
            "width": self.width,
            "entries": self.entries,
            "processes": self.processes,
            "dtype": self.dtype,
            "tied": self.tied,
            "rows": self.rows(),
            "flops_per_step": self.flops,
            "bytes_sent_per_step": self.bytes_sent(),
            "peak_bytes": self.peak_bytes,
            "checkpoint_bytes": self.checkpoint_bytes,
        }
