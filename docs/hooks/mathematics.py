"""Formulas as MathML, made when the site is built: every browser shows them, without a script or a font from afar.

pymdownx.arithmatex marks a formula, $...$ or $$...$$, as <span class="arithmatex">\\(...\\)</span> (or a div with
\\[...\\]); latex2mathml turns what is inside into MathML, and what browsers draw badly of that is put right here.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from typing import Any

from latex2mathml.converter import convert

MARKED = re.compile(r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</\1>', re.DOTALL)
LONG = 50  # characters of LaTeX: a longer formula in a line of text may be wider than a phone, and scrolls by itself

# Browsers know no bold but that of Unicode's own letters.
BOLD = re.compile(r'<mn mathvariant="bold">(\d)</mn>')
# A prime's glyph is raised already; as a superscript it would be raised and made small once more.
PRIME = re.compile(r"<mi>&#x02032;</mi></msup>")
LOW_PRIME = '<mpadded voffset="-0.45em"><mo mathsize="135%" lspace="0" rspace="0">&#x02032;</mo></mpadded></msup>'
# Bars of a norm come without left and right, so that browsers stretch one of them only.
BAR = re.compile(r"<mo>(&#x0007C;|&#x02016;)</mo>")
SYMBOL = re.compile(r"<mi>&#x0?([0-9A-F]{4,5});</mi>")


def on_page_content(html: str, **_: Any) -> str:
    return MARKED.sub(_mathml, html)


def _mathml(found: re.Match[str]) -> str:
    latex = unescape(found[2]).strip()
    display = "block" if found[1] == "div" else "inline"
    formula = convert(latex, display=display)
    # A command that latex2mathml does not know comes back as it stands.
    if "\\" in formula:
        raise ValueError(f"latex2mathml cannot read a command of {latex!r}: write it another way")
    formula = BOLD.sub(lambda digit: f"<mn>{chr(0x1D7CE + int(digit[1]))}</mn>", formula)
    formula = SYMBOL.sub(_operator, PRIME.sub(LOW_PRIME, formula))
    formula = BAR.sub(r'<mo stretchy="false" lspace="0.05em" rspace="0.05em">\1</mo>', formula)
    if display == "block":
        return f'<div class="mathematics">{formula}</div>'
    return f'<span class="long-formula">{formula}</span>' if len(latex) > LONG else formula


def _operator(symbol: re.Match[str]) -> str:
    """A relation or operation, which wants space around it, that came as an identifier."""
    return f"<mo>{symbol[0][4:-5]}</mo>" if unicodedata.category(chr(int(symbol[1], 16))) == "Sm" else symbol[0]
