"""The command `fiedler sweep`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..tasks.search import TIME_LIMIT, Search
from .entry import print_line
from .options import Address, BackendName, CheckpointEvery, Json, Optimum, TimeLimit, Tolerance, Workers

WORST = 5  # failures that are printed
MANY = 2000  # runs, from which it takes a moment until the first begins


def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A sweep in TOML: base, axes, seeds; or knobs, which ships.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Output folder (default runs/FILE's name).")] = None,
    jobs: Workers = None,
    backend: BackendName = "local",
    address: Address = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again the runs that failed.")] = False,
    checkpoint_every: CheckpointEvery = None,
    optimum: Optimum = None,
    tolerance: Tolerance = None,
    time_limit: TimeLimit = TIME_LIMIT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the runs and estimate their time; train and write nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Grids and random samples of training runs, in parallel, into one table and a phase diagram.

    A point is a run of fiedler train, or by `command` in the file of paths, recall or headroom, with its settings.

    The same command goes on after any end: finished runs are never run again, interrupted ones are taken up, failed
    ones only with --retry-failed. The file may have grown in between. A run is scored against the optimum with its own
    weight decay; --time-limit holds for each optimum.
    """
    from ..disk.jsonio import to_json
    from ..runs.stopping import Interrupted, heeding, stop_on_signals
    from ..sweep.plan import read_sweep
    from ..sweep.report import report_sweep
    from ..sweep.run import check_folder, run_sweep
    from .progress import Stages
    from .sweep_progress import SweepProgress

    search, plan = Search(optimum, tolerance, time_limit), read_sweep(file, _say_many)
    folder = out or Path("runs") / plan.name
    check_folder(folder)
    if dry_run:
        _estimate(plan, folder, jobs, search, json)
        return
    for point in plan.points:
        point.check()  # an impossible graph is bad input, to be said before anything is made
    try:
        with SweepProgress(plan.axes) as progress, stop_on_signals() as stop:
            counts = run_sweep(
                plan,
                folder,
                jobs=jobs,
                backend=backend,
                address=address,
                retry_failed=retry_failed,
                checkpoint_every=checkpoint_every,
                search=search,
                on_outcome=progress.update,
                stop=stop,
            )
    except (Interrupted, RuntimeError):  # a back end that fails, say
        report_sweep(plan, folder, draw=False)  # the table of what there is, at once
        raise
    with Stages(transient=True) as stages, stop_on_signals() as stop:
        stages.update("table and figures", 0.0)
        answer = heeding(stop, lambda: report_sweep(plan, folder))
        stages.update("table and figures", 1.0)
    if json:
        print(to_json(answer))
    else:
        _print(answer)
    if counts.busy:
        raise RuntimeError(f"{counts.busy} runs in {folder} are being written by other processes: run this again later")
    if answer["failed"] and not answer["done"] and not answer["pending"]:
        raise RuntimeError(f"every run failed ({answer['failed']}): see the column error of {answer['csv']}")


def _say_many(runs: int) -> None:
    if runs >= MANY:
        print_line(f"{runs} runs; --dry-run says about how long they take")


def _print(answer: dict[str, Any]) -> None:
    console = Console()
    failed = f", {answer['failed']} failed" if answer["failed"] else ""
    console.print(f"{answer['done']} of {answer['runs']} runs done{failed}", highlight=False)
    for message, count in list(answer["errors"].items())[:WORST]:
        console.print(f"  {count} x {message}", highlight=False, markup=False)
    for name in ("csv", "parquet", "phase_figure"):
        if answer[name] is not None:
            print(f"{name.replace('_', ' ')}: {answer[name]}")
    if answer["phase_note"]:
        print(answer["phase_note"])


def _estimate(plan: Any, folder: Path, jobs: int | None, search: Search, json: bool) -> None:
    """One point of every command, graph, model and size is timed; the others count by their steps."""
    from ..disk.jsonio import to_json
    from ..runs.duration import duration
    from ..runs.workers import processes
    from ..sweep.commands import SIZES
    from ..sweep.run import outstanding

    counts, left = outstanding(plan, folder, search=search)
    optima: dict[tuple[Any, ...], float | None] = {}
    per_step: dict[tuple[Any, ...], float] = {}
    seconds = 0.0
    for job in left:
        point, settings = job.point, job.point.settings()
        sizes = [getattr(settings, name, None) for name in SIZES]
        kind = (*(point.option(name) for name in ("command", "graph", "model")), len(job.seeds), *sizes)
        if kind not in per_step:
            per_step[kind] = point.command.seconds(point.own, settings, job.seeds) / settings.steps
        seconds += per_step[kind] * settings.steps
        shared = (point.option("graph"), getattr(settings, "weight_decay", 0.0))
        if shared not in optima:
            optima[shared] = point.command.optimum_seconds(point.own, search)
    known = [value for value in optima.values() if value is not None]
    optimum = None if len(known) < len(optima) else sum(known)
    workers = min(processes(jobs), max(1, len(left)))
    text = (
        f"{counts.total} runs: {counts.done} done, {counts.failed} failed, {counts.left} to do in {len(left)} jobs on "
        f"{workers} processes: about {duration(seconds / workers)} of training"
        + (", without the optimum (--no-optimum)" if search.optimum is False else "")
        + (f", at most {duration(search.time_limit)} for each optimum" if optimum is None else "")
        + (f", about {duration(optimum)} for {len(optima)} optima" if optimum else "")
    )
    answer = {
        "runs": counts.total,
        "done": counts.done,
        "failed": counts.failed,
        "left": counts.left,
        "jobs": len(left),
        "processes": workers,
        "seconds": seconds / workers,
        "optimum_seconds": optimum,
        "folder": str(folder),
        "text": text,
    }
    print(to_json(answer) if json else text)
