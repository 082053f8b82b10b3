"""The command `fiedler profile`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..extras import check_part
from ..suggest import choose
from .completion import choices
from .console import wide_console

COMPILERS = 2  # processes of the compile report
# Default shapes: seconds to a minute on the device.
CPU_SHAPES = ("256,256,8000", "1024,256,32000", "1024,1024,8000")
CUDA_SHAPES = ("4096,768,50257", "8192,2048,128256", "8192,4096,128256")
GRAPH_SHAPES = {"cpu": ("1000,64", "4000,64", "4000,128"), "cuda": ("10000,128", "100000,64", "100000,128")}

# Of the linear operation; the others have some of them.
PATHS = ("auto", "chunked", "sweep", "exponential", "recompute", "flash", "reference")


def profile(
    shape: Annotated[
        list[str] | None,
        typer.Option("--shape", help="N,D,V (graph operations: N,D). Repeatable. Default: three of the device's."),
    ] = None,
    op: Annotated[
        str,
        typer.Option(
            "--op", help="linear, graph or tied-graph.", autocompletion=choices("linear", "graph", "tied-graph")
        ),
    ] = "linear",
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            help="float32, bfloat16, float16 or float64 (default: bfloat16 on CUDA).",
            autocompletion=choices("float32", "bfloat16", "float16", "float64"),
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="cpu or cuda (default: cuda where there is one).",
            autocompletion=choices("cpu", "cuda"),
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Timed rounds of every way, in turns.")] = 7,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 1,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Also time every peer that is installed.")] = True,
    path: Annotated[
        str, typer.Option("--path", help="Which way the operation goes; see the guide.", autocompletion=choices(*PATHS))
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write profile.json, .png and .svg into this folder.")
    ] = None,
    compile_report: Annotated[
        bool, typer.Option("--compile-report", help="Instead: what the compiler makes of every kernel; needs no GPU.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Fused cross-entropy on this machine: time, memory, the floor of its matrix products, and peers."""
    from .progress import Stages

    if compile_report:
        _compile_report(json)
        return
    if out is not None:
        check_part("sims", "profile --out")
    import torch

    from fiedler.kernels.profiling.rows import profile as measure

    from ..disk.jsonio import to_json
    from ..draw.profile import absences, benchmark_json, profile_table, write_profile
    from ..runs.environment import describe_environment

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    numbers = dtype or ("bfloat16" if place == "cuda" else "float32")
    shapes = _shapes(shape, op, place)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with Stages() as stages:
            stages.update("profile", 0.0)
            rows = measure(
                shapes,
                operation=op,
                dtype=numbers,
                device=place,
                rounds=rounds,
                with_peers=peers,
                path=path,
                on_row=lambda k: stages.update("profile", (k + 1) / len(shapes)),
            )
        environment = describe_environment()
    finally:
        torch.set_num_threads(before)
    written = [] if out is None else write_profile(out, rows, environment)
    if json:
        print(to_json(benchmark_json(rows, environment)))
        return
    console = wide_console()
    for row in rows:
        console.print(profile_table(row))
    for line in absences(rows[0]):
        console.print(f"not run: {line}", highlight=False)
    for file in written:
        print(f"written: {file}")


def _shapes(given: list[str] | None, operation: str, device: str) -> list[Any]:
    """Raises ValueError for a shape that is not N,D,V (graph operations: N,D) in whole numbers."""
    from fiedler.kernels.profiling.rows import OPERATIONS, Shape

    if operation not in OPERATIONS:
        raise ValueError(f"unknown operation {operation!r}; {choose(operation, OPERATIONS)}")
    square = operation != "linear"
    defaults = GRAPH_SHAPES.get(device, ()) if square else CUDA_SHAPES if device == "cuda" else CPU_SHAPES
    form, count = ("N,D", 2) if square else ("N,D,V", 3)
    found = []
    for word in given or defaults:
        parts = word.split(",")
        if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
            raise ValueError(f"shape {word!r} is not {form} in whole numbers, such as {next(iter(defaults), form)}")
        sizes = [int(part) for part in parts]
        found.append(Shape(sizes[0], sizes[1], sizes[0] if square else sizes[2]))
    return found


def _compile_report(json: bool) -> None:
    from fiedler.kernels.compile_report import compile_report, report_table

    from ..disk.jsonio import to_json
    from .progress import Stages

    with Stages() as stages:
        stages.update("compiling", 0.0)
        reports = compile_report(workers=COMPILERS, on_report=lambda done, of: stages.update("compiling", done / of))
    if json:
        print(to_json([{**vars(report), "problems": report.problems} for report in reports]))
    else:
        print(report_table(reports))
    wrong = sum(bool(report.problems) for report in reports)
    if wrong:
        raise RuntimeError(f"{wrong} of {len(reports)} compiled kernels have a problem; see the last column")
