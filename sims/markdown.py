"""What the reports share: tables, and the section on where a run was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, numbers to the right."""
    return [
        "| " + " | ".join(header) + " |",
        "|" + "|".join("---" if i == 0 else "--:" for i in range(len(header))) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def environment_section(environment: Mapping[str, Any]) -> list[str]:
    """Lines of command, commit, machine and versions, as environment.json has them."""
    versions = ", ".join(f"{k} {v}" for k, v in environment.get("versions", {}).items() if v)
    return [
        "## Environment",
        "",
        f"- command: `{environment.get('command')}`",
        f"- commit: {environment.get('git_commit')}, {environment.get('time')}",
        f"- {environment.get('processor')}; Python {environment.get('python')}; {versions}",
    ]
