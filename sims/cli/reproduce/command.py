"""The command `fiedler reproduce`."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ...extras import check_part
from ..options import Address, BackendName, Json, Overwrite, Workers
from .completion import complete_claim

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}


def reproduce(
    claims: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLAIM",
            help="Claims to run, as the list names them: A.obs1a; 'B.' is all of paper B.",
            show_default=False,
            autocompletion=complete_claim,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Run all claims, the cheapest first.")] = False,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Time after which nothing is running any more: 90s, 30m, 2h.")
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Seeds 0, 1, ...; with fewer than five nothing is confirmed.")
    ] = 5,
    out: Annotated[Path, typer.Option("--out", help="Folder of all cells and verdicts.")] = Path("runs/reproduce"),
    jobs: Workers = None,
    backend: BackendName = "local",
    address: Address = None,
    overwrite: Overwrite = False,
    listed: Annotated[bool, typer.Option("--list", help="List the claims with their last verdicts.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Say what would confirm or refute the claims; run nothing.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write OUT/reproduction.html and .md of all claims; run nothing else.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is left to run and about how long; write nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Two papers claim by claim: each statement with a criterion fixed beforehand, measured over seeds, and a verdict.

    Without a claim: the list of all, with the last verdict on each. Cells that are finished are never run again, until
    their configuration changes; one that fails leaves its claim "not measured", and the others go on.
    """
    from ...reproduce.registry import CLAIMS, get_claims
    from .show import print_claims, print_list

    if every and claims:
        raise ValueError("--all runs every claim: leave the names out, or --all")
    if sum((listed, show, report, dry_run)) > 1:
        raise ValueError("give one of --list, --show, --report and --dry-run")
    seconds = None if budget is None else read_budget(budget)
    if not (show or listed) and (report or claims or every):
        check_part("sims", "reproduce")
    chosen = get_claims(claims) if claims else list(CLAIMS.values())
    if show:
        print_claims(chosen, out, json)
    elif report:
        from ...reproduce.write import write_report

        written = [str(path) for path in write_report(chosen, out)]
        _print(json, {"written": written}, [f"written: {path}" for path in written])
    elif dry_run:
        _estimate(chosen, range(seeds), out, jobs, seconds, json)
    elif listed or not (claims or every):
        print_list(chosen, out, json)
    else:
        how = {"jobs": jobs, "name": backend, "address": address}
        _run(chosen, range(seeds), out, how, seconds, overwrite, json)


def read_budget(text: str) -> float:
    """Seconds of "90s", "30m", "1.5h" or a plain number of seconds. Raises ValueError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or (found[2] and found[2] not in UNITS) or not 0 < float(found[1]) < 1e9:
        raise ValueError(f"--budget must be a time such as 90s, 30m or 2h; got {text!r}")
    return float(found[1]) * UNITS.get(found[2], 1)


def _run(
    claims: list[Any], seeds: range, out: Path, how: dict[str, Any], budget: float | None, overwrite: bool, json: bool
) -> None:
    from ...disk.jsonio import to_json
    from ...reproduce.report import describe_claims
    from ...reproduce.run import Backend, run_claims
    from ...runs.stopping import stop_on_signals
    from ..sweep_progress import SweepProgress
    from .show import print_verdict

    def ended(claim: Any, verdict: Any) -> None:
        if verdict is not None and not json:
            print_verdict(claim, verdict, brief=len(claims) > 1)

    with SweepProgress(("measure", "graph")) as progress, stop_on_signals() as stop:
        verdicts = run_claims(
            claims, out, seeds=tuple(seeds), budget=budget, backend=Backend(**how), overwrite=overwrite, stop=stop,
            on_claim=ended, on_outcome=progress.update,
        )  # fmt: skip
    if json:
        print(to_json({"claims": describe_claims(claims, out)}))
    elif len(verdicts) > 1:
        print(f"verdicts: {out / 'claims'}; all of them: fiedler reproduce --list --out {out}")


def _estimate(claims: list[Any], seeds: range, out: Path, jobs: int | None, budget: float | None, json: bool) -> None:
    from ...reproduce.run import work_left
    from ...runs.workers import processes
    from .show import about

    work = [work_left(claim, tuple(seeds), out) for claim in claims]
    seconds, workers = sum(one.seconds for one in work), processes(jobs)
    left, total = sum(one.runs for one in work), sum(one.of for one in work)
    fits = "" if budget is None else f"; the budget is {about(budget)}"
    text = (
        f"{len(claims)} claims, {total} runs, {left} left: about {about(seconds)} of one core, "
        f"{about(seconds / workers)} on {workers} processes{fits}"
    )
    answer = {
        "claims": [{"claim": one.claim.name, "runs": one.of, "left": one.runs, "seconds": one.seconds} for one in work],
        "runs": total, "left": left, "seconds": seconds, "processes": workers, "budget": budget, "text": text,
    }  # fmt: skip
    _print(json, answer, [text])


def _print(json: bool, answer: dict[str, Any], lines: list[str]) -> None:
    from ...disk.jsonio import to_json

    print(to_json(answer) if json else "\n".join(lines))
