"""Inner loops read from machine code, on a few lines of it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("triton", reason="the module reads what Triton's compiler makes")

from fiedler.kernels.profiling.loops import as_json, from_json, loop_report, programs_of_multiprocessor
from fiedler.kernels.profiling.machine_code import MachineCode

CODE = MachineCode(64, 0, 0, b"", "")
TEXT = """
        /*0000*/                   LDC R1, c[0x0][0x28] ;                    /* 0x00000a00ff017b82 */
                                                                             /* 0x000e620000000800 */
        /*0010*/                   MUFU.EX2 R3, R2 ;                         /* 0x0 */
        /*0020*/              @!P0 BRA 0xa0 ;                                /* 0x0 */
        /*0030*/                   LDGSTS.E.BYPASS.LTC128B.128 [R1], desc[UR4][R2.64] ;    /* 0x0 */
        /*0040*/               @P1 LDG.E.U16 R5, desc[UR4][R6.64] ;          /* 0x0 */
        /*0050*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;             /* 0x0 */
        /*0060*/                   HGMMA.64x128x16.F32.BF16 R88, gdesc[UR8], RZ, !UPT ;    /* 0x0 */
        /*0070*/                   MUFU.EX2 R124, R120 ;                     /* 0x0 */
        /*0080*/               @P3 BRA 0x30 ;                                /* 0x0 */
        /*0090*/              @!P4 BRA 0x10 ;                                /* 0x0 */
        /*00a0*/                   STG.E.128 desc[UR4][R2.64], R4 ;          /* 0x0 */
        /*00b0*/                   EXIT ;                                    /* 0x0 */
        /*00c0*/                   BRA 0xc0;                                 /* 0x0 */
        /*00d0*/                   NOP;                                      /* 0x0 */
"""


def test_the_innermost_loop_with_matrix_instructions() -> None:
    report = loop_report(MachineCode(64, 0, 1000, b"", ""), TEXT, 8, 90)
    (loop,) = report.loops
    assert (loop.instructions, loop.exponentials, loop.matrix, loop.barriers) == (6, 1, 1, 1)
    assert (loop.short_loads, loop.asynchronous, loop.stores) == (1, 1, False)
    assert loop.loaded_bytes == 16 * 256  # its operands: the other load is of single numbers
    assert loop.matrix_flops == 2 * 64 * 128 * 16 * 2  # two groups of four warps
    assert (report.instructions, report.exponentials, report.programs) == (13, 2, 4)
    assert from_json(json.loads(json.dumps(as_json(report)))) == report


def test_without_asynchronous_copies_every_load_counts() -> None:
    text = TEXT.replace("LDGSTS.E.BYPASS.LTC128B.128", "LDG.E.128")
    (loop,) = loop_report(MachineCode(64, 0, 1000, b"", ""), text, 8, 90).loops
    assert (loop.asynchronous, loop.loaded_bytes) == (0, (16 + 2) * 256)


def test_without_matrices_the_loops_that_load() -> None:
    report = loop_report(CODE, TEXT.replace("HGMMA.64x128x16.F32.BF16", "FADD"), 4, 90)
    assert [loop.instructions for loop in report.loops] == [6]
    assert loop_report(CODE, "no code", 4, 90).loops == ()


@pytest.mark.parametrize(
    ("registers", "shared", "warps", "architecture", "programs"),
    [(255, 98304, 8, 90, 1), (128, 98304, 8, 90, 2), (128, 120000, 8, 90, 1), (32, 0, 4, 90, 16), (32, 0, 4, 86, 12),
     (168, 99328, 8, 89, 1), (16, 0, 1, 80, 32)],
)  # fmt: skip
def test_programs_of_a_multiprocessor(
    registers: int, shared: int, warps: int, architecture: int, programs: int
) -> None:
    assert programs_of_multiprocessor(registers, shared, warps, architecture) == programs
