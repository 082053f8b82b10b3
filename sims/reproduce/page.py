"""The page for the browser: an overview, and a section for each claim."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..page.blocks import Part, Section, Table
from .claim import PAPERS, Claim
from .record import Record, command_of, read_record
from .report import counts, finding_rows, status_of

HEADER = ("what", "cell", "measured", "wanted", "holds")


def report_parts(claims: Sequence[Claim], out: Path) -> list[Part]:
    """One part with the overview, and one a paper."""
    records = {claim.name: read_record(claim, out) for claim in claims}
    rows = [
        [claim.name, status_of(claim, records[claim.name]), claim.title, command_of(claim),
         _reason(records[claim.name])]
        for claim in claims
    ]  # fmt: skip
    notes = [
        "Confirmed: every check holds, its whole 95 % t interval over at least five seeds in the range asked for.",
        "Deterministic claims hold for graphs, not for seeds.",
    ]
    table = Table("claims", ("claim", "verdict", "title", "command", "reason"), rows)
    facts = [(word, str(count)) for word, count in counts(claims, out).items()]
    parts = [Part("Claims and verdicts", [Section("Overview", [table], notes)], facts)]
    for letter, paper in PAPERS.items():
        own = [claim for claim in claims if claim.name.startswith(f"{letter}.")]
        if own:
            parts.append(Part(paper, [_section(claim, records[claim.name]) for claim in own]))
    return parts


def _section(claim: Claim, record: Record | None) -> Section:
    notes = [
        f"{claim.statement} ({claim.where}.)",
        f"Would confirm: {claim.confirms}. Would refute: {claim.refutes}.",
        *([claim.note] if claim.note else []),
        f"Verdict: {status_of(claim, record)}. {_reason(record)}",
        f"Command: {command_of(claim)}",
    ]
    if record is None or not record.verdict.findings:
        return Section(f"{claim.name}: {claim.title}", [], notes)
    rows = [[*row] for row in finding_rows(record.verdict.findings)]
    environment = record.content["environment"]
    source = {"command": environment.get("command"), "commit": environment.get("git_commit"),
              "seeds": list(record.seeds), "time": environment.get("time")}  # fmt: skip
    return Section(f"{claim.name}: {claim.title}", [Table(claim.name, HEADER, rows)], notes, source)


def _reason(record: Record | None) -> str:
    return "Not run yet." if record is None else f"{record.verdict.reason[0].upper()}{record.verdict.reason[1:]}."
