"""Claims and verdicts in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...disk.jsonio import to_json
from ...reproduce.claim import Claim
from ...reproduce.record import command_of, read_record
from ...reproduce.report import counts, describe_claims, finding_rows, status_of, summary_line
from ...reproduce.verdict import CONFIRMED, CONTRADICTED, IN_PART, NOT, OUT_OF_REACH, WORDS, Verdict, bounds

WIDTH = 80  # of a terminal that does not say its own
COLOURS = {CONFIRMED: "green", IN_PART: "yellow", NOT: "yellow", CONTRADICTED: "red", OUT_OF_REACH: "blue"}


def print_list(claims: Sequence[Claim], out: Path, json: bool) -> None:
    """Every claim with its last verdict."""
    if json:
        print(to_json({"claims": describe_claims(claims, out)}))
        return
    console = _console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    verdict = max(map(len, WORDS))
    table.add_column("claim", no_wrap=True)
    table.add_column("what it says", min_width=30)
    table.add_column("about", justify="right", no_wrap=True)
    table.add_column("last verdict", min_width=verdict, max_width=verdict)
    for claim in claims:
        status = status_of(claim, read_record(claim, out))
        table.add_row(claim.name, claim.title, about(claim.seconds), _coloured(status))
    console.print(table)
    console.print(f"{len(claims)} claims: {summary_line(counts(claims, out))}", highlight=False)
    console.print("one: fiedler reproduce A.obs1a   all: fiedler reproduce --all --budget 2h", highlight=False)


def print_claims(claims: Sequence[Claim], out: Path, json: bool) -> None:
    """Statement, criterion and last verdict of each."""
    if json:
        print(to_json({"claims": describe_claims(claims, out)}))
        return
    console = _console()
    for claim in claims:
        console.print(Text(f"{claim.name}  {claim.title}", style="bold"))
        for word, text in (
            ("where", f"{claim.paper}; {claim.where}"),
            ("says", claim.statement),
            ("confirms", claim.confirms),
            ("refutes", claim.refutes),
            ("note", claim.note),
            ("out of reach", claim.criterion.reach),
            ("cells", "; ".join(cell.name for cell in claim.cells)),
            ("time", f"about {about(claim.seconds)} on one core for five seeds"),
            ("command", command_of(claim)),
            ("last verdict", status_of(claim, read_record(claim, out))),
        ):
            if text:
                console.print(Text(f"  {word}: {text}"), highlight=False)
        for check in claim.criterion.checks:
            wanted = bounds(check.least, check.most)
            less = f" less that of {check.minus}" if check.minus else ""
            console.print(Text(f"  check: {check.what}{less}, {', '.join(check.cells)}: {wanted}"))
        console.print()


def print_verdict(claim: Claim, verdict: Verdict, *, brief: bool) -> None:
    """As a claim ends: two lines, or all of its findings."""
    console = _console()
    line = Text(f"{claim.name} ", style="bold")
    console.print(line.append(_coloured(verdict.status)).append(f"  {claim.title}", style="not bold"))
    if verdict.findings and not brief:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
        for name in ("what", "cell", "measured", "wanted", ""):
            table.add_column(name)
        for row in finding_rows(verdict.findings):
            table.add_row(*row)
        console.print(table)
    kind = "deterministic" if verdict.deterministic else f"{verdict.seeds} seeds" if verdict.seeds else ""
    console.print(Text(f"  {verdict.reason}{f' ({kind})' if kind else ''}"))
    if claim.note and not brief:
        console.print(Text(f"  {claim.note}"))


def _coloured(status: str) -> Text:
    return Text(status, style=COLOURS.get(status, "dim"))


def about(seconds: float) -> str:
    """A time in words, without importing what estimates runs."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=WIDTH, highlight=False)
