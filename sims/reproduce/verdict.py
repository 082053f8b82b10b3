"""What is said of a claim once it is measured."""

from __future__ import annotations

from dataclasses import dataclass

CONFIRMED, IN_PART, NOT, CONTRADICTED, OUT_OF_REACH = (
    "confirmed",
    "confirmed in part",
    "not confirmed",
    "contradicted",
    "out of reach here",
)
WORDS = (CONFIRMED, IN_PART, NOT, CONTRADICTED, OUT_OF_REACH)
NOT_MEASURED = "not measured"  # no verdict: a cell failed, or time ran out
SHORT = 3  # significant digits of a number in a sentence


@dataclass(frozen=True)
class Finding:
    """One check on one cell. ``values``: a number for each seed (one, where nothing is random); ``mean`` and its 95 % t
    ``interval`` over them, None for fewer than two; ``holds``: True or False where the interval lies on one side of the
    bound, None where it does not, or where there are too few seeds to say."""

    what: str
    cell: str
    least: float | None
    most: float | None
    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    holds: bool | None

    def text(self) -> str:
        """ "first token, trained 0.880 [0.749, 1.011], wanted >= 0.2"."""
        spread = "" if self.interval is None else f" [{number(self.interval[0])}, {number(self.interval[1])}]"
        return f"{self.what} ({self.cell}) {number(self.mean)}{spread}, wanted {bounds(self.least, self.most)}"


@dataclass(frozen=True)
class Verdict:
    """``status``: one of ``WORDS``, or ``NOT_MEASURED``; ``reason``: one sentence; ``deterministic``: nothing in it is
    random, several graphs stand in for seeds; ``seeds``: the fewest of any finding."""

    status: str
    reason: str
    findings: tuple[Finding, ...] = ()
    deterministic: bool = False
    seeds: int = 0


def number(value: float) -> str:
    """Three significant digits, short."""
    return f"{value:.{SHORT}g}"


def bounds(least: float | None, most: float | None) -> str:
    """The range that is asked for, in words."""
    if least is not None and most is not None:
        return number(least) if least == most else f"{number(least)} to {number(most)}"
    return f">= {number(least)}" if least is not None else f"<= {number(most)}" if most is not None else "any"
