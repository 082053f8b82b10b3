"""The last verdict on each claim, in OUT/claims/NAME.json: with every number, the criterion, command and versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..disk.files import write_text
from ..disk.jsonio import from_json, to_json
from ..runs.environment import describe_environment
from .claim import Claim
from .criterion import LEAST_SEEDS
from .measured import Measured
from .verdict import Finding, Verdict

CLAIMS = "claims"
FORMAT_KEY = "fiedler_claim"


@dataclass(frozen=True)
class Record:
    """A verdict with what it stands on. ``seeds`` that were run; ``seconds`` of all cells, over all their parts;
    ``digest``: of the claim's cells and criterion at the time; ``content``: of the file."""

    verdict: Verdict
    seeds: tuple[int, ...]
    seconds: float
    digest: str
    content: Mapping[str, Any]

    def outdated(self, claim: Claim) -> bool:
        """Whether cells or criterion of the claim have changed since."""
        return self.digest != claim.digest


def command_of(claim: Claim) -> str:
    """What runs it."""
    return f"fiedler reproduce {claim.name}"


def stated(claim: Claim) -> dict[str, str]:
    """What of a claim is fixed before anything is measured, in words."""
    return {
        "claim": claim.name,
        "title": claim.title,
        "paper": claim.paper,
        "where": claim.where,
        "statement": claim.statement,
        "confirms": claim.confirms,
        "refutes": claim.refutes,
    }


def write_record(
    claim: Claim, verdict: Verdict, measured: Measured, seeds: tuple[int, ...], seconds: float, out: Path
) -> Path:
    """The file's path."""
    path = out / CLAIMS / f"{claim.name}.json"
    command = command_of(claim) if seeds == tuple(range(LEAST_SEEDS)) else f"{command_of(claim)} --seeds {len(seeds)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        FORMAT_KEY: 1,
        **stated(claim),
        "note": claim.note,
        "command": command,
        "verdict": verdict.status,
        "reason": verdict.reason,
        "deterministic": verdict.deterministic,
        "seeds": list(seeds),
        "findings": [dataclasses.asdict(one) for one in verdict.findings],
        "criterion": claim.criterion,
        "cells": [{"name": cell.name, **cell.options} for cell in claim.cells],
        "missing": dict(measured.missing),
        "seconds": seconds,
        "digest": claim.digest,
        "environment": describe_environment(command),
    }
    write_text(path, f"{to_json(content, indent=2)}\n")
    return path


def read_record(claim: Claim, out: Path) -> Record | None:
    """None where the claim was never run there, or the file is damaged."""
    try:
        content = from_json((out / CLAIMS / f"{claim.name}.json").read_text(encoding="utf-8"))
        if content[FORMAT_KEY] != 1:
            return None
        findings = tuple(_finding(one) for one in content["findings"])
        seeds = tuple(int(seed) for seed in content["seeds"])
        fewest = min((len(one.values) for one in findings), default=0)
        verdict = Verdict(
            str(content["verdict"]), str(content["reason"]), findings, bool(content["deterministic"]), fewest
        )
        return Record(verdict, seeds, float(content["seconds"]), str(content["digest"]), content)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _finding(content: Mapping[str, Any]) -> Finding:
    interval = content["interval"]
    return Finding(
        content["what"],
        content["cell"],
        content["least"],
        content["most"],
        tuple(content["values"]),
        float(content["mean"]),
        None if interval is None else (float(interval[0]), float(interval[1])),
        content["holds"],
    )
