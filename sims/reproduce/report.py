"""All claims with their last verdicts: rows, one Markdown table, one page for the browser, one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..draw.markdown import environment_section, markdown_table
from .claim import PAPERS, Claim
from .measured import Measured
from .record import Record, command_of, read_record, stated
from .verdict import NOT_MEASURED, WORDS, Finding, bounds, number


def status_of(claim: Claim, record: Record | None) -> str:
    """The last verdict, and whether it is of an earlier configuration."""
    if record is None:
        return NOT_MEASURED if claim.cells else claim.judge(Measured({}, {})).status
    return record.verdict.status + (" (outdated)" if record.outdated(claim) else "")


def describe_claims(claims: Sequence[Claim], out: Path) -> list[dict[str, Any]]:
    """What `fiedler reproduce --list --json` prints of each: the claim and, where there is one, its record."""
    described = []
    for claim in claims:
        record = read_record(claim, out)
        described.append(
            {
                **stated(claim),
                "seconds_estimated": claim.seconds,
                "command": command_of(claim),
                "verdict": status_of(claim, record),
                "record": None if record is None else dict(record.content),
            }
        )
    return described


def finding_rows(findings: Sequence[Finding]) -> list[list[str]]:
    """What, cell, mean with interval, the range asked for, and whether it holds."""
    return [[one.what, one.cell, measured_text(one), bounds(one.least, one.most), held_text(one)] for one in findings]


def measured_text(finding: Finding) -> str:
    """ "0.88 [0.749, 1.01]"."""
    if finding.interval is None:
        return number(finding.mean)
    return f"{number(finding.mean)} [{number(finding.interval[0])}, {number(finding.interval[1])}]"


def check_texts(findings: Sequence[Finding]) -> list[str]:
    """One text a check: what was measured in its cell, or over its cells, and where it does not hold."""
    by_check: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        by_check.setdefault((one.what, bounds(one.least, one.most)), []).append(one)
    texts = []
    for (what, wanted), group in by_check.items():
        means = sorted(one.mean for one in group)
        ends = dict.fromkeys((number(means[0]), number(means[-1])))
        spread = f"{' to '.join(ends)}, {len(group)} cells"
        text = f"{what} {measured_text(group[0]) if len(group) == 1 else spread} (wanted {wanted})"
        wrong = [f"{one.cell} {measured_text(one)} {held_text(one)}" for one in group if one.holds is not True]
        texts.append(f"{text}: {', '.join(wrong)}" if wrong else text)
    return texts


def held_text(finding: Finding) -> str:
    """Yes, no or open."""
    return "open" if finding.holds is None else "yes" if finding.holds else "no"


def counts(claims: Sequence[Claim], out: Path) -> dict[str, int]:
    """How many claims have which verdict."""
    found = Counter(status_of(claim, read_record(claim, out)).removesuffix(" (outdated)") for claim in claims)
    return {word: found[word] for word in (*WORDS, NOT_MEASURED) if found[word]}


def markdown_report(claims: Sequence[Claim], out: Path) -> str:
    """The page of docs/reproduction.md: one table a paper, then how it was made."""
    lines = ["# Reproduction, claim by claim", "", *_introduction(claims, out)]
    for letter, paper in PAPERS.items():
        own = [claim for claim in claims if claim.name.startswith(f"{letter}.")]
        if own:
            rows = [_markdown_row(claim, read_record(claim, out)) for claim in own]
            header = ["claim", "statement, in our words", "verdict", "measured: mean over seeds [95 % interval]",
                      "seeds", "command"]  # fmt: skip
            lines += [f"## {paper}", "", *_left(markdown_table(header, rows)), ""]
    records = [one for claim in claims if (one := read_record(claim, out)) is not None]
    if records:
        lines += environment_section({**records[-1].content["environment"], "command": "fiedler reproduce --all"})
        minutes = sum(one.seconds for one in records) / 60
        lines += [f"- wall time of all cells, one thread each, added up: {minutes:.0f} minutes"]
    return "\n".join(lines) + "\n"


def _introduction(claims: Sequence[Claim], out: Path) -> list[str]:
    said = ", ".join(f"{count} {word}" for word, count in counts(claims, out).items())
    return [
        f"{len(claims)} statements, each with a criterion that was written down before anything was measured.",
        f"What came out: {said}.",
        "",
        "This page is written by `fiedler reproduce --report`; `fiedler reproduce A.obs1a` runs one claim on a CPU,",
        "`fiedler reproduce --all --budget 2h` all that fit, and `fiedler reproduce --show A.obs1a` says what would",
        "confirm or refute it. Every number, with its seeds and versions:",
        "[reproduction.json](../benchmarks/results/reproduction.json). Tables of the runs behind earlier versions of",
        "this page: [tables](reproduction-tables.md).",
        "",
        "- *confirmed*: every check holds, its whole 95 % t interval over at least five seeds in the range asked for;",
        "  *in part*: some do; *contradicted*: all fail, or one of a statement about every case; *not confirmed*: "
        "open.",
        "- *deterministic*: nothing in it is random (proofs, certificates); several graphs stand in for seeds.",
        "- Sizes are a CPU's, so that a verdict is about the statement at that size. No interval is corrected for "
        "their",
        "  number.",
        "",
    ]


def _markdown_row(claim: Claim, record: Record | None) -> list[str]:
    if record is None:
        return [
            claim.name,
            _cell(f"{claim.statement} ({claim.where})"),
            status_of(claim, None),
            _cell(claim.criterion.reach) or "-",
            "-",
            f"`{command_of(claim)}`",
        ]
    verdict = record.verdict
    shown = "; ".join(check_texts(verdict.findings)) or verdict.reason
    shown += f". *{claim.note}*" if claim.note else ""
    seeds = "deterministic" if verdict.deterministic else str(verdict.seeds or "-")
    status = status_of(claim, record)
    return [claim.name, _cell(f"{claim.statement} ({claim.where})"), f"**{status}**", _cell(shown), seeds,
            f"`{command_of(claim)}`"]  # fmt: skip


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _left(table: Sequence[str]) -> list[str]:
    """Sentences are read from the left."""
    return [table[0], table[1].replace("--:", "---"), *table[2:]]


def summary_line(found: Mapping[str, int]) -> str:
    """ "12 confirmed, 3 contradicted"."""
    return ", ".join(f"{count} {word}" for word, count in found.items())
