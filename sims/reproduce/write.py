"""The report of all claims, as a page for the browser and as one Markdown page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..disk.files import write_text
from ..page.html import write_page
from .claim import Claim
from .page import report_parts
from .report import markdown_report

PAGE, MARKDOWN = "reproduction.html", "reproduction.md"


def write_report(claims: Sequence[Claim], out: Path) -> list[Path]:
    """OUT/reproduction.md and OUT/reproduction.html."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / MARKDOWN, markdown_report(claims, out))
    write_page("Reproduction, claim by claim", report_parts(claims, out), out / PAGE)
    return [out / MARKDOWN, out / PAGE]
