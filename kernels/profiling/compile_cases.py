"""The launches that the compile report compiles: what the losses launch under every switch, each distinct one once.

Nothing is listed by hand but the switches and the shapes: the launches are recorded from the paths themselves
(``recorded``), so a changed kernel, tile or pass changes its cases. What matters to the compiler is only dtypes, which
arguments there are, and whether sizes divide by 16; ``compile_key`` tells two launches apart by just that.

Rule: every switch alone, none and all, for every path and dtype at its first shape; none and all at the other shapes,
ragged ones included. That is the whole set, which holds two smaller ones:
    extreme    none and all, in bf16, and in fp16 and fp32 at the first shape: of kernels whose tiles or vectors depend
               on all that, which multiply matrices or sweep logits; of the others in bf16 at the first shape
    short      besides these every switch alone in bf16, at the first shape
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from ..checks import did_you_mean
from ..gpu.flash_tiles import LARGEST_WIDTH
from ..gpu.launch import Launch
from ..gpu.row_cross_entropy import row_cross_entropy_kernel
from .calls import GRAPH_PATHS, Call, call_steps
from .machine_code import card_of, compile_key
from .switches import SWITCHES

ROWS, MANY_ROWS = 4096, 16_384  # of tied graphs both: larger ones take their sums from half of the tiles
DTYPES = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}
# (D, V) of each path, the first one with every switch. Ragged: D that is no multiple of 64, 16 or 8, and odd V.
WIDE = ((1024, 32000), (1000, 32001), (100, 1000))
NARROW = ((128, 32000), (64, 32000), (256, 32000), (96, 32000), (100, 32000), (228, 32000), (50, 32001))
SHAPES = {
    "chunked": WIDE, "sweep": WIDE, "recompute": WIDE[:2], "exponential": WIDE[:2], "flash": NARROW,
    "graph": (*NARROW, (1024, 32000)), "tied graph": (*NARROW, (1024, 32000)), "tied block": NARROW,
}  # fmt: skip
SETS = ("extreme", "short", "whole")  # each holds those before it
NO_PAIR = ("sweep", "exponential", "flash")  # these paths take no soft cap together with label smoothing
BLOCK = 1024  # rows of a block where the path is to take the vocabulary in pieces


@dataclass(frozen=True)
class CompileCase:
    """A launch and its name, which says kernel, path, dtype, D x V and switches; ``smallest`` of ``SETS`` that has it.

    ``kernel`` is the kernel's name.
    """

    name: str
    kernel: str
    launch: Launch
    smallest: str

    def within(self, chosen: str) -> bool:
        """Whether the case is in the set ``chosen`` of ``SETS``."""
        return SETS.index(self.smallest) <= SETS.index(chosen)


def switch_sets(path: str, dtype: torch.dtype) -> dict[str, frozenset[str]]:
    """The sets of switches of a path by name: none, each alone, all that can go together."""
    sets = {"plain": frozenset[str]()}
    if path in GRAPH_PATHS:
        alone: tuple[str, ...] = ("loss only", "bias") if path == "graph" else ("loss only",)
        alone = () if path == "tied block" else alone
        everything = {"all": frozenset({"bias"})} if path == "graph" else {}
    else:
        alone = (*SWITCHES, "loss only", "upstream", "factor")
        if path in NO_PAIR:
            everything = {f"all but {one}": frozenset(SWITCHES) - {one} for one in ("smoothing", "softcap")}
        else:
            alone = (*alone, "entropy upstream")
            everything = {"all": frozenset(SWITCHES), "all upstream": frozenset({*SWITCHES, "entropy upstream"})}
    sets |= {name: frozenset({name}) for name in alone} | everything
    if dtype == torch.float32:
        sets |= {f"{name} tf32": sets[name] | {"tf32"} for name in ("plain", *everything)}
    return sets


def _calls() -> Iterator[tuple[str, Call, tuple[str, str]]]:
    """Labels, calls and the smallest sets that have their kernels; see ``_smallest``."""
    for path, shapes in SHAPES.items():
        for dtype, word in DTYPES.items():
            if path in ("sweep", "exponential") and dtype == torch.float16:
                continue
            for place, (width, classes) in enumerate(shapes):
                if path in ("flash", "tied block") and width > LARGEST_WIDTH[dtype]:
                    continue
                for name, switches in switch_sets(path, dtype).items():
                    extreme = name.startswith(("plain", "all"))
                    if place and (not extreme or name == "all but softcap"):
                        continue
                    smallest = _smallest(path, name, half=dtype == torch.bfloat16, first=not place)
                    for most in (ROWS, MANY_ROWS) if path == "tied graph" else (ROWS,):
                        rows = most - classes % 2
                        columns = {"tied graph": rows, "tied block": rows - 1}.get(path, classes)
                        call = Call(path, dtype, rows, columns, width, switches, BLOCK if path == "recompute" else None)
                        yield f"{path} {word} {width}x{columns} {name}", call, smallest


def _smallest(path: str, name: str, *, half: bool, first: bool) -> tuple[str, str]:
    """The smallest set with the kernels of a call that multiply matrices or sweep logits, and with its other ones."""
    if path == "tied block":  # the kernels of "tied graph" for sides of unlike sizes
        return "whole", "whole"
    extreme = name.startswith(("plain", "all")) and (half or not name.startswith("all but softcap"))
    pieces = path == "recompute"  # the same kernels in more forms
    anywhere = half and path != "graph" and not pieces
    chief = "extreme" if extreme and (anywhere or (first and (half or not pieces))) else "short" if half else "whole"
    other = "extreme" if extreme and half and first else "short" if half and first else "whole"
    return ("whole", "whole") if pieces and not extreme else (chief, other)


def chief(launch: Launch) -> bool:
    """Whether a launch's kernel multiplies matrices or sweeps logits."""
    return launch.matrix or launch.kernel is row_cross_entropy_kernel


@lru_cache(maxsize=16)
def compile_cases(architecture: int, chosen: str = "whole") -> tuple[CompileCase, ...]:
    """The cases of the set ``chosen`` of ``SETS`` for the card of this architecture (80, 86, 89, 90, 100, 120), with
    the tiles that it gets. Raises ValueError for another architecture."""
    card = card_of(architecture)
    found: dict[str, CompileCase] = {}
    names: set[str] = set()
    # From the smallest set on, so that a smaller choice takes the same names from fewer calls.
    for label, call, smallest in sorted(_calls(), key=lambda item: min(map(SETS.index, item[2]))):
        if min(map(SETS.index, smallest)) > SETS.index(chosen):
            break
        for step in call_steps(call, card):
            if not isinstance(step, Launch):
                continue
            key, here = compile_key(step), smallest[0 if chief(step) else 1]
            before = found.get(key)
            if before is None:
                name = _name(step, label, names)
                names.add(name)
                found[key] = CompileCase(name, step.kernel.__name__, step, here)
            elif not before.within(here):
                found[key] = replace(before, smallest=here)
    return tuple(case for case in found.values() if case.within(chosen))


def _name(launch: Launch, label: str, taken: set[str]) -> str:
    kernel = launch.kernel.__name__.removesuffix("_kernel").replace("_", " ")
    on = [word.lower() for word in ("RETRY", "MAXIMUM", "SUMS", "GRADIENT") if launch.arguments.get(word)]
    name = f"{kernel}: {label}"
    if name in taken:
        name = " ".join([name, *on])
    plain, number = name, 2
    while name in taken:
        name, number = f"{plain} {number}", number + 1
    return name


def named_cases(names: Iterable[str], architecture: int) -> tuple[CompileCase, ...]:
    """The cases of these names, in the order of ``compile_cases``, from the smallest set that has them. Raises
    ValueError for an unknown name, with a guess what was meant."""
    wanted = set(names)
    cases: tuple[CompileCase, ...] = ()
    for chosen in SETS:
        cases = compile_cases(architecture, chosen)
        if wanted <= {case.name for case in cases}:
            return tuple(case for case in cases if case.name in wanted)
    known = [case.name for case in cases]
    missing = sorted(wanted - set(known))
    hint = did_you_mean(missing[0], tuple(known))
    raise ValueError(
        f"unknown cases {missing}{hint}; there are {len(known)} for sm_{architecture}, such as {known[0]!r}"
    )
