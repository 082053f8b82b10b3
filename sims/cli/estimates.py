"""What --dry-run prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def print_estimates(estimates: list[Any], folder: Path, json: bool) -> None:
    """What --dry-run says: one line or object for each model."""
    from ..disk.jsonio import to_json
    from ..runs.estimate import describe_estimate

    answers = [describe_estimate(estimate, folder) for estimate in estimates]
    if json:
        print(to_json({"estimates": answers}))
        return
    for answer in answers:
        print(answer["text"])
