"""The inner loops of machine code: what one iteration executes, counted from the text that ``cuobjdump -sass`` prints.

A loop is a branch back and all between its target and itself. The loops that count are the innermost of those with
matrix instructions, or in code without any, of those with loads from global memory. Counts are of instructions of one
warp, so an operation under a predicate counts like any other; ``loaded_bytes`` and ``matrix_flops`` are of the whole
program, all warps together.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from .machine_code import MachineCode

INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)\s*([^;]*);")
MATRIX = re.compile(r"HMMA|HGMMA|QGMMA|IMMA|UTC\w*MMA")
EXPONENTIAL = re.compile(r"MUFU\.EX2")
BARRIER = re.compile(r"BAR\.|SYNCS\.PHASECHK")
SHORT_LOAD = re.compile(r"LDG\.E\.[US](?:8|16)")
ASYNCHRONOUS = re.compile(r"LDGSTS|UTMALDG|UBLKCP")
LOAD = re.compile(r"LDG\.|LDGSTS|UTMALDG|UBLKCP")
LOCAL = re.compile(r"(?:LDL|STL)\b")
SHAPE = re.compile(r"(HGMMA|HMMA)\.(?:(\d+)x(\d+)x(\d+)|(\d{3,5}))")
# m, n and k as HMMA writes them without separators.
FRAGMENTS = {"1688": (16, 8, 8), "16816": (16, 8, 16), "1684": (16, 8, 4)}
WARP = 32


@dataclass(frozen=True)
class Loop:
    """One iteration of an inner loop: instructions, of them exponentials (MUFU.EX2), matrix instructions, barriers,
    loads of one or two bytes and asynchronous copies; bytes of operands from global memory and floating-point
    operations of matrix instructions by the program (0 where the instruction does not say its shape, as on Blackwell);
    whether it stores to global memory."""

    instructions: int
    exponentials: int
    matrix: int
    barriers: int
    short_loads: int
    asynchronous: int
    loaded_bytes: int
    matrix_flops: int
    stores: bool


@dataclass(frozen=True)
class LoopReport:
    """The inner loops of a kernel in the order of their addresses, the instructions of the whole kernel and its
    exponentials, and what bounds how many programs share a multiprocessor: ``programs`` of them, from registers, shared
    memory and ``warps``."""

    loops: tuple[Loop, ...]
    instructions: int
    exponentials: int
    registers: int
    shared_bytes: int
    warps: int
    programs: int


@dataclass(frozen=True)
class Multiprocessor:
    """What programs share: bytes of shared memory, warps, and at most so many ``programs`` (CUDA programming guide)."""

    shared_bytes: int
    warps: int
    programs: int


REGISTERS = 65_536  # of a multiprocessor, handed out in lots of 256 per warp
RESERVED_SHARED = 1_024  # bytes of every program that the system keeps
MULTIPROCESSORS = {
    80: Multiprocessor(167_936, 64, 32), 86: Multiprocessor(102_400, 48, 16), 89: Multiprocessor(102_400, 48, 24),
    90: Multiprocessor(233_472, 64, 32), 100: Multiprocessor(233_472, 64, 32), 120: Multiprocessor(102_400, 48, 24),
}  # fmt: skip


def programs_of_multiprocessor(registers: int, shared_bytes: int, warps: int, architecture: int) -> int:
    """How many programs of ``warps`` warps are resident on one multiprocessor at once; 0 if not one fits."""
    card = MULTIPROCESSORS[architecture]
    of_a_warp = max(256, -(-registers * WARP // 256) * 256)
    by_registers = REGISTERS // of_a_warp // warps
    return min(card.programs, card.warps // warps, by_registers, card.shared_bytes // (shared_bytes + RESERVED_SHARED))


def loop_report(code: MachineCode, text: str, warps: int, architecture: int) -> LoopReport:
    """The loops and the occupancy of a compiled launch of ``warps`` warps, ``text`` as ``disassembled`` gives it."""
    lines = _instructions(text)
    names = [name for _, name, _ in lines]
    return LoopReport(
        tuple(_loop(lines[start:stop], warps) for start, stop in inner_loops(lines)),
        len(lines),
        _count(EXPONENTIAL, names),
        code.registers,
        code.shared_bytes,
        warps,
        programs_of_multiprocessor(code.registers, code.shared_bytes, warps, architecture),
    )


def spills_in_loops(text: str) -> int:
    """Loads and stores of local memory in the loops that count: those of registers that did not suffice."""
    lines = _instructions(text)
    return sum(_count(LOCAL, [name for _, name, _ in lines[slice(*span)]]) for span in inner_loops(lines))


def _instructions(text: str) -> list[tuple[int, str, str]]:
    """Address, name and operands of every instruction but the padding at the end."""
    found = (INSTRUCTION.match(line) for line in text.splitlines())
    lines = [(int(match[1], 16), match[2], match[3]) for match in found if match]
    return [line for line in lines if line[1] != "NOP"]


def inner_loops(lines: list[tuple[int, str, str]]) -> list[tuple[int, int]]:
    """The loops that count, as (first instruction, one past the last), in order."""
    place = {address: position for position, (address, _, _) in enumerate(lines)}
    spans = set()
    for position, (address, name, operands) in enumerate(lines):
        target = re.search(r"0x([0-9a-f]+)\s*$", operands)
        if name.startswith("BRA") and target and int(target[1], 16) < address and int(target[1], 16) in place:
            spans.add((place[int(target[1], 16)], position + 1))
    wanted = MATRIX if any(MATRIX.match(name) for _, name, _ in lines) else LOAD
    holding = [span for span in spans if any(wanted.match(name) for _, name, _ in lines[slice(*span)])]
    # Of two loops with one start or end the shorter is inside the longer.
    inner = [a for a in holding if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in holding)]
    return sorted(inner)


def _loop(lines: list[tuple[int, str, str]], warps: int) -> Loop:
    names = [name for _, name, _ in lines]
    # Of a loop that copies its operands asynchronously the other loads are numbers of single rows and columns, which
    # many threads ask for at once, or of the rare tiles that hold a target: not what the cache has to bring.
    carrying = ASYNCHRONOUS if _count(ASYNCHRONOUS, names) else LOAD
    return Loop(
        instructions=len(names),
        exponentials=_count(EXPONENTIAL, names),
        matrix=_count(MATRIX, names),
        barriers=_count(BARRIER, names),
        short_loads=_count(SHORT_LOAD, names),
        asynchronous=_count(ASYNCHRONOUS, names),
        loaded_bytes=sum(_width(name) for name in names if carrying.match(name)) * WARP * warps,
        matrix_flops=sum(_flops(name, warps) for name in names if MATRIX.match(name)),
        stores=any(name.startswith("STG") for name in names),
    )


def _count(pattern: re.Pattern[str], names: list[str]) -> int:
    return sum(1 for name in names if pattern.match(name))


def _width(name: str) -> int:
    """Bytes that a load moves for each thread."""
    parts = name.split(".")
    for bits in (128, 64):
        if str(bits) in parts:
            return bits // 8
    return {"U8": 1, "S8": 1, "U16": 2, "S16": 2}.get(next((part for part in parts if part in NARROW), ""), 4)


NARROW = ("U8", "S8", "U16", "S16")


def _flops(name: str, warps: int) -> int:
    """Of one matrix instruction in all warps; four warps issue one HGMMA together."""
    shape = SHAPE.match(name)
    if shape is None:
        return 0
    m, n, k = FRAGMENTS.get(shape[5], (0, 0, 0)) if shape[5] else (int(shape[2]), int(shape[3]), int(shape[4]))
    return 2 * m * n * k * (warps // 4 if shape[1] == "HGMMA" else warps)


def as_json(report: LoopReport) -> dict[str, object]:
    """The report as JSON holds it."""
    return {**asdict(report), "loops": [asdict(loop) for loop in report.loops]}


def from_json(row: dict) -> LoopReport:
    """The report of ``as_json``. Raises TypeError for other keys."""
    return LoopReport(**{**row, "loops": tuple(Loop(**loop) for loop in row["loops"])})
