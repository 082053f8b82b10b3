"""Tiles of the kernels that keep no logits: rows held and streamed, per kind of kernel, dtype, card and width."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .launch import power_of_two

# Wider accumulators, or for fp32 the pieces its operands are split into, do not fit the registers of one program.
LARGEST_WIDTH = {torch.bfloat16: 256, torch.float16: 256, torch.float32: 128}
FP16_SHIFT = 14  # 2^14 times a probability is at most half of fp16's largest number


@dataclass(frozen=True)
class Tile:
    """Rows held and rows streamed per program step, the warps that share them and the pipeline's stages."""

    held: int
    streamed: int
    warps: int
    stages: int


# What bounds a tile: the accumulator (held x width fp32) and the tile of logits (held x streamed) live in registers
# together, the streamed operand in shared memory once per stage; fp32 operands are split into bf16 pieces in registers.
# Per kind of kernel, 16-bit or fp32, compute capability and padded width: the largest tile that does not spill, plain
# and with options (soft cap, bias, entropy, accuracy, smoothing, ragged width). ``compile_report`` checks them all.
_WIDE, _TALL, _SMALL = Tile(128, 128, 8, 2), Tile(128, 64, 8, 2), Tile(64, 64, 8, 2)
_FLAT, _SPLIT, _THIN = Tile(64, 32, 8, 2), Tile(32, 64, 8, 2), Tile(16, 64, 8, 2)
# Of four warps several programs share a multiprocessor, so that the exponentials of one overlap the products of
# another, at the price of more traffic from the L2 cache: a card has yet to say what that is.
_PAIR, _HIGH = Tile(64, 64, 4, 2), Tile(128, 64, 4, 2)
# Tiles of the symmetric form begin at the rows held: these are whole steps of those streamed.
_EVEN, _LOW = Tile(32, 32, 8, 2), Tile(32, 16, 4, 2)
PLAIN, OPTIONS = 0, 1
TILES: dict[tuple[str, int, int], dict[int, tuple[Tile, Tile]]] = {
    ("sums", 16, 80): {64: (Tile(128, 64, 8, 3), _TALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("average", 16, 80): {64: (Tile(128, 64, 8, 3), _TALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("sums", 16, 90): {64: (Tile(128, 128, 8, 3), _TALL), 128: (_WIDE, _TALL), 256: (_TALL, _SMALL)},
    ("average", 16, 90): {64: (Tile(128, 64, 4, 3), _TALL), 128: (_PAIR, _TALL), 256: (_TALL, _SMALL)},
    ("sums", 16, 100): {64: (Tile(128, 128, 8, 3), _SMALL), 128: (_WIDE, _SMALL), 256: (_TALL, _FLAT)},
    ("average", 16, 100): {64: (Tile(128, 128, 8, 3), _SMALL), 128: (_WIDE, _SMALL), 256: (_TALL, _FLAT)},
    ("gradient", 16, 80): {64: (Tile(128, 64, 8, 3), _SMALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("gradient", 16, 90): {64: (Tile(128, 64, 4, 2), _TALL), 128: (_PAIR, _TALL), 256: (_TALL, _SMALL)},
    ("gradient", 16, 100): {64: (_TALL, _TALL), 128: (_TALL, _TALL), 256: (_SMALL, _SMALL)},
    ("tied", 16, 80): {64: (_PAIR, _PAIR), 128: (_PAIR, _PAIR), 256: (_SMALL, _SMALL)},
    ("tied apart", 16, 80): {64: (Tile(128, 64, 8, 3), _SMALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("tied", 16, 90): {64: (_PAIR, _PAIR), 128: (_PAIR, _PAIR), 256: (Tile(64, 32, 4, 2), Tile(64, 32, 4, 2))},
    ("tied apart", 16, 90): {64: (_TALL, _TALL), 128: (_TALL, _TALL), 256: (_SMALL, _SMALL)},
    ("tied", 16, 100): {64: (_TALL, _TALL), 128: (_TALL, _TALL), 256: (_SMALL, _SMALL)},
    ("tied apart", 16, 100): {64: (_TALL, _TALL), 128: (_TALL, _TALL), 256: (_SMALL, _SMALL)},
    ("sums", 32, 80): {64: (_SPLIT, _THIN), 128: (_THIN, _THIN)},
    ("average", 32, 80): {64: (_SPLIT, _THIN), 128: (_THIN, _THIN)},
    ("sums", 32, 90): {64: (_FLAT, _FLAT), 128: (Tile(64, 16, 8, 2), _THIN)},
    ("average", 32, 90): {64: (_FLAT, _FLAT), 128: (Tile(64, 16, 8, 2), _THIN)},
    ("sums", 32, 100): {64: (_FLAT, _FLAT), 128: (_SPLIT, _THIN)},
    ("average", 32, 100): {64: (_FLAT, _FLAT), 128: (_SPLIT, _THIN)},
    ("gradient", 32, 80): {64: (_SPLIT, _THIN), 128: (_THIN, _THIN)},
    ("gradient", 32, 90): {64: (_FLAT, _FLAT), 128: (_THIN, _THIN)},
    ("gradient", 32, 100): {64: (_FLAT, _FLAT), 128: (_SPLIT, _THIN)},
    ("tied", 32, 80): {64: (_SPLIT, _THIN), 128: (_THIN, _THIN)},
    ("tied apart", 32, 80): {64: (_SPLIT, _THIN), 128: (_THIN, _THIN)},
    ("tied", 32, 90): {64: (Tile(64, 32, 4, 2), Tile(64, 32, 4, 2)), 128: (Tile(64, 16, 8, 2), _THIN)},
    ("tied apart", 32, 90): {64: (_FLAT, _FLAT), 128: (Tile(64, 16, 8, 2), _THIN)},
    ("tied", 32, 100): {64: (_FLAT, _FLAT), 128: (_THIN, _THIN)},
    ("tied apart", 32, 100): {64: (_FLAT, _FLAT), 128: (_THIN, _THIN)},
    ("symmetric", 16, 80): {64: (Tile(128, 64, 8, 3), _TALL), 128: (_TALL, _SMALL), 256: (_SMALL, _SMALL)},
    ("symmetric", 16, 90): {64: (_HIGH, _HIGH), 128: (_HIGH, _HIGH), 256: (_PAIR, _PAIR)},
    ("symmetric", 16, 100): {64: (_TALL, _SMALL), 128: (_TALL, _SMALL), 256: (_TALL, _FLAT)},
    ("symmetric", 32, 80): {64: (_EVEN, _EVEN), 128: (_LOW, _LOW)},
    ("symmetric", 32, 90): {64: (_FLAT, _FLAT), 128: (Tile(64, 16, 8, 2), _LOW)},
    ("symmetric", 32, 100): {64: (_FLAT, _FLAT), 128: (_LOW, _LOW)},
}


def flash_tile(kind: str, dtype: torch.dtype, width: int, architecture: int, *, options: bool) -> Tile:
    """The tile for operands of ``dtype`` and ``width`` columns on compute capability ``architecture``, rounded down.

    Raises ValueError for a width above ``LARGEST_WIDTH`` of the dtype.
    """
    if width > LARGEST_WIDTH[dtype]:
        raise ValueError(
            f"the flash form takes at most {LARGEST_WIDTH[dtype]} columns of {dtype}, got {width}; use a chunked path"
        )
    bits = 32 if dtype == torch.float32 else 16
    known = max(card for _, _, card in TILES if card <= max(architecture, 80))
    return TILES[kind, bits, known][power_of_two(width, least=64)][OPTIONS if options else PLAIN]
