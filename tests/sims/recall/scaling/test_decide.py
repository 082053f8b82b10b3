"""Which data would tell the laws apart: what is expected is what simulated measurements give."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.recall.scaling.decide import DECISIVE, deciding_data, expected_advantage
from fiedler.sims.recall.scaling.fit import fit_law, fit_laws

SIZES = [16, 32, 64, 128, 256, 512, 1024]
DRAWS = 60


@pytest.mark.parametrize("name", ["log", "power"])
def test_the_expected_advantage_is_that_of_simulated_measurements(name: str) -> None:
    rng = np.random.default_rng(0)
    x = np.array(SIZES, dtype=float)
    law = fit_law(name, x, -4 + 2 * np.log2(x) if name == "log" else 2.7 * x**0.25)
    for seeds, deviation in ((3, 0.03), (6, 0.05)):
        at = np.repeat(x, seeds)
        fits = [fit_laws(at, law.predict(at) * np.exp(deviation * rng.standard_normal(len(at)))) for _ in range(DRAWS)]
        signed = [(fit.power.aic - fit.log.aic) * (1 if name == "log" else -1) for fit in fits]
        error = np.std(signed) / DRAWS**0.5
        # Three standard errors, and a tenth for what the leading order leaves out.
        assert expected_advantage(law, SIZES, seeds, deviation) == pytest.approx(
            np.mean(signed), abs=3 * error + 0.1 * np.mean(signed)
        )


def test_more_sizes_and_less_noise_need_fewer_seeds() -> None:
    rng = np.random.default_rng(1)
    x = np.repeat(SIZES[:5], 3)
    loud, quiet = (
        deciding_data(fit_laws(x, 2.7 * x**0.17 * np.exp(noise * rng.standard_normal(len(x)))), SIZES[:5])
        for noise in (0.1, 0.01)
    )
    for found in (loud, quiet):
        seeds = [one.seeds for one in found]
        assert seeds == sorted(seeds, reverse=True)
        assert [one.largest for one in found[:3]] == [256, 512, 1024]
        assert all(one.seeds * one.per_seed >= DECISIVE > (one.seeds - 1) * one.per_seed for one in found)
    assert quiet[0].seeds < loud[0].seeds


def test_what_cannot_be_expected_is_refused() -> None:
    law = fit_law("power", [1, 2, 4], [1, 2, 4])
    with pytest.raises(ValueError, match="positive standard deviation of log d; got 0"):
        expected_advantage(law, [1, 2, 4], 3, 0)
    with pytest.raises(ValueError, match="unknown law 'root'"):
        fit_law("root", [1, 2, 4], [1, 2, 4])
