"""How reports, tables and figures write a number over seeds: ± is its standard deviation, [low, high] its interval."""

from __future__ import annotations

from collections.abc import Sequence

from ..scores.statistics import CONFIDENCE

DEVIATION_NOTE = "Mean ± standard deviation over seeds (n - 1 in the denominator)."
T_INTERVAL = f"{100 * CONFIDENCE:g} % t interval"
INTERVAL_NOTE = f"[low, high]: {T_INTERVAL}."
ROUNDING = 1e-14  # seeds that agree but for the last bits: their spread is shown as 0


def mean_and_deviation(mean: float, deviation: float | None, form: str, spread_form: str | None = None) -> str:
    """ "mean ± deviation", each in its format (the same where there is one); the mean alone for a deviation of None."""
    if deviation is None:
        return f"{mean:{form}}"
    shown = deviation if deviation > ROUNDING * abs(mean) else 0.0
    return f"{mean:{form}} ± {shown:{spread_form or form}}"


def mean_and_interval(mean: float, interval: Sequence[float] | None, form: str) -> str:
    """ "mean [low, high]"; the mean alone for an interval of None."""
    if interval is None:
        return f"{mean:{form}}"
    low, high = interval
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]"


def legend(rows: Sequence[Sequence[str]]) -> list[str]:
    """The notes that the cells of a table ask for: none where they have neither ± nor an interval."""
    text = "\n".join(cell for row in rows for cell in row)
    return [note for sign, note in (("±", DEVIATION_NOTE), ("[", INTERVAL_NOTE)) if sign in text]
