"""What the reports share: tables, and the section on where a run was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .sources import versions_text


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, numbers to the right."""
    return [
        "| " + " | ".join(header) + " |",
        "|" + "|".join("---" if i == 0 else "--:" for i in range(len(header))) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def setting_words(settings: Mapping[str, Any]) -> str:
    """ "width 16, steps 1000": every one that is given."""
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value not in ("", None))


def settings_lines(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line of what all conditions share, and one of its own for each; ``settings`` by the condition's name."""
    first = next(iter(settings.values()))
    shared = [key for key in first if all(values[key] == first[key] for values in settings.values())]
    lines = ["All: " + ", ".join(f"{key} {first[key]}" for key in shared) + "."]
    for name, values in settings.items():
        own = [f"{key} {values[key]}" for key in values if key not in shared]
        if own:
            lines += ["", f"{name}: {', '.join(own)}."]
    return lines


def environment_section(environment: Mapping[str, Any]) -> list[str]:
    """Lines of command, commit, machine and versions, as environment.json has them."""
    return [
        "## Environment",
        "",
        f"- command: `{environment.get('command')}`",
        f"- commit: {environment.get('git_commit')}, {environment.get('time')}",
        f"- {environment.get('processor')}; Python {environment.get('python')}; {versions_text(environment)}",
    ]
