"""What a fit of a run's mode energies says of itself."""

from __future__ import annotations

from dataclasses import replace

from fiedler.sims.compare.trajectory_fit import TrajectoryFit


def test_what_was_fitted_in_words() -> None:
    fit = TrajectoryFit(0.1, 0.2, 0.9, 0.0123, 2.5, ("time_scale", "amplitude"), 7)
    assert (fit.what, fit.words) == (
        "time scale and amplitude", "fitted: 0.0123 of flow time a step, energies divided by 2.5",
    )  # fmt: skip
    plain = replace(fit, fitted=())
    assert (plain.what, plain.words) == ("nothing", "nothing fitted")
