"""The machine code of a launch for a card that is not there, from Triton's compiler and the tools that come with it.

Wants Linux and Triton; neither a GPU nor a driver.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from ..gpu.launch import Launch
from .recorded import Card

# Largest dynamic shared memory of one block, in bytes (CUDA programming guide, compute capabilities), and the streaming
# multiprocessors of a common card: A100, RTX 3090, L4, H200, B200, RTX 5090.
CARDS = {
    80: Card(80, 166_912, 108), 86: Card(86, 101_376, 82), 89: Card(89, 101_376, 58), 90: Card(90, 232_448, 132),
    100: Card(100, 232_448, 148), 120: Card(120, 101_376, 170),
}  # fmt: skip
SHARED_LIMIT = {capability: card.shared_memory for capability, card in CARDS.items()}
TYPES = {
    torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.int64: "i64", torch.int32: "i32",
    torch.bool: "i1",
    torch.uint8: "u8",
}  # fmt: skip
Signature = tuple[dict[str, str], dict[str, object], dict[tuple[int, ...], list]]


@dataclass(frozen=True)
class MachineCode:
    """A compiled launch: registers of a thread, bytes of stack and of shared memory, the code itself and its PTX."""

    registers: int
    stack_bytes: int
    shared_bytes: int
    cubin: bytes
    ptx: str


def card_of(architecture: int) -> Card:
    """The card of an architecture. Raises ValueError for one whose limits are not known."""
    if architecture not in CARDS:
        raise ValueError(f"architecture {architecture} is not one of {sorted(CARDS)}")
    return CARDS[architecture]


def launch_signature(launch: Launch) -> Signature:
    """Types, constants and divisibility of a launch's arguments, as Triton's launcher specialises them."""
    signature: dict[str, str] = {}
    constants: dict[str, object] = {}
    attributes: dict[tuple[int, ...], list] = {}
    for position, parameter in enumerate(launch.kernel.params):
        value = launch.arguments[parameter.name]
        if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            signature[parameter.name] = "constexpr"
            constants[parameter.name] = value
        elif isinstance(value, torch.Tensor):
            signature[parameter.name] = "*" + TYPES[value.dtype]
            if (value.storage_offset() * value.element_size()) % 16 == 0:
                attributes[(position,)] = [["tt.divisibility", 16]]
        elif isinstance(value, int):
            signature[parameter.name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            if value % 16 == 0:
                attributes[(position,)] = [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[parameter.name] = "fp32"
        else:
            raise TypeError(f"argument {parameter.name} of {launch.kernel.__name__} is {value!r}")
    return signature, constants, attributes


def compile_key(launch: Launch) -> str:
    """Equal for two launches exactly if the compiler sees no difference between them."""
    signature, constants, attributes = launch_signature(launch)
    words = [f"{name}={constants.get(name, kind)}" for name, kind in signature.items()]
    aligned = "".join(str(int((position,) in attributes)) for position in range(len(signature)))
    return f"{launch.kernel.__name__}({', '.join(words)}) {aligned} {launch.num_warps} {launch.num_stages}"


def short_key(launch: Launch) -> str:
    """``compile_key`` in 16 digits, for records."""
    return hashlib.sha256(compile_key(launch).encode()).hexdigest()[:16]


def machine_code(launch: Launch, architecture: int) -> MachineCode:
    """Compile the launch's kernel. Raises what the compiler raises, whose exceptions have no common class, and
    ValueError for an unknown architecture."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    card_of(architecture)
    source = ASTSource(launch.kernel, *launch_signature(launch))
    options = {"num_warps": launch.num_warps, "num_stages": launch.num_stages}
    compiled = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    cubin = compiled.asm["cubin"]
    usage = _cuobjdump(cubin, "-res-usage")
    stack = _number(usage, "STACK") + _number(usage, "LOCAL")
    return MachineCode(_number(usage, "REG"), stack, int(compiled.metadata.shared), cubin, compiled.asm["ptx"])


def disassembled(code: MachineCode) -> str:
    """The instructions as text, which takes about as long as compiling."""
    return _cuobjdump(code.cubin, "-sass")


def _cuobjdump(cubin: bytes, flag: str) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    # cuobjdump looks for its helper nvdisasm on the path.
    environment = {**os.environ, "PATH": f"{tool.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        ran = subprocess.run([tool, flag, path], capture_output=True, text=True, check=True, env=environment)
    return ran.stdout


def _number(usage: str, word: str) -> int:
    match = re.search(rf"\b{word}:(\d+)", usage)
    if match is None:
        raise RuntimeError(f"cuobjdump -res-usage gave no {word}: {usage!r}")
    return int(match.group(1))
