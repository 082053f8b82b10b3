"""How a time is written for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds as people read them: 1.5 s, 12 min, 3.4 h."""
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
