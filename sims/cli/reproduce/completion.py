"""The Tab key after `fiedler reproduce`."""

from __future__ import annotations


def complete_claim(incomplete: str) -> list[str]:
    """Names of claims."""
    from ...reproduce.registry import CLAIMS

    return [name for name in CLAIMS if name.lower().startswith(incomplete.lower())]
