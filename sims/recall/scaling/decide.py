"""Which measurements would tell d = a + b log2 x from d = c x^alpha.

Under one law with independent normal errors of log d, of standard deviation s, n = sizes x seeds points favour it over
the other by about

    E[difference of AIC] = n log(1 + m^2 / s^2),    m^2: mean squared difference of log d between the law and the
                                                    nearest of the other kind at those sizes,

for the other kind leaves a mean square of s^2 + m^2 where the true one leaves s^2; both have two parameters. (Of the
logarithm of a mean square of few points that is the leading order; see the tests for how near it is.) It has to be
large whichever law is true, so the smaller of both counts. Errors that more seeds do not average out, a fit that is bad
for both, make it too hopeful.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from .fit import Law, ScalingFit, fit_law

DECISIVE = 6.0  # difference of AIC; the worse law is exp(-3) = 0.05 times as likely
PARAMETERS = 2


@dataclass(frozen=True)
class Deciding:
    """To ``largest`` x, in octaves from the smallest: ``seeds`` a size at which the expected difference is DECISIVE;
    ``per_seed``: the expected difference of one seed a size, the smaller of both laws being true."""

    largest: int
    seeds: int
    per_seed: float


def expected_advantage(law: Law, sizes: Sequence[float], seeds: float, deviation: float) -> float:
    """E[AIC of the other law - AIC of ``law``] where ``law`` is true, see the module. Raises ValueError for a
    ``deviation`` that is not positive, and as ``fit_laws``."""
    if not deviation > 0:
        raise ValueError(f"deviation must be a positive standard deviation of log d; got {deviation}")
    other = fit_law("power" if law.name == "log" else "log", sizes, law.predict(sizes))
    return len(sizes) * seeds * log(1 + other.residual**2 / deviation**2)


def deciding_data(fit: ScalingFit, sizes: Sequence[int], octaves: int = 6) -> list[Deciding]:
    """For ``sizes`` as measured, and with 1 ... ``octaves`` more sizes, each twice the last. The deviation is that of
    the better law's residuals, with its two parameters counted.

    Raises ValueError for a fit without residuals, which decides with any data.
    """
    better = fit.log if fit.better == "log" else fit.power
    deviation = better.residual * (better.points / max(1, better.points - PARAMETERS)) ** 0.5
    measured = sorted(set(sizes))
    found = []
    for more in range(octaves + 1):
        wanted = [*measured, *(measured[-1] * 2**k for k in range(1, more + 1))]
        least = min(expected_advantage(law, wanted, 1, deviation) for law in (fit.log, fit.power))
        found.append(Deciding(wanted[-1], max(1, ceil(DECISIVE / max(least, np.finfo(float).tiny))), least))
    return found
