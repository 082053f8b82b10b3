"""Mode energies over time, lines the theory and markers the runs: of a few eigenspaces, and of all others together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fiedler.theory import Eigenspaces

from ...draw.style import COLOURS, MARKERS, REST_COLOUR
from ..energy_series import ModeGroup, eigenspace_name, energy_series, positive, spread_modes
from ..model_comparison import ModelComparison

Floats = NDArray[np.float64]

DRAWN_MODES = 5  # eigenspaces with a line of their own; the others are summed
DOTS = 26  # measured points drawn along the time axis
RESIDUAL_REACHES = (0.2, 0.5, 1.0, 2.0, 5.0)  # decades shown of the residuals: the first that holds every dot
FLOORS = 1e-4, 1e-8  # the energy axis ends at these fractions of the predicted final and of the largest energy


def drawn_modes(models: Sequence[ModelComparison], count: int = DRAWN_MODES) -> NDArray[np.int64]:
    """The eigenspaces that get a line, the same for all models: ``spread_modes`` of the predicted energies, the
    measured ones where there is no prediction."""
    energies = [
        one.mean_modes.centred_energy if one.predicted is None else one.predicted.centred_energy for one in models
    ]
    return spread_modes(energies, count)


def draw_energy(
    ax: Axes,
    below: Axes,
    compared: ModelComparison,
    spaces: Eigenspaces,
    modes: Sequence[int] | NDArray[np.int64],
    limits: tuple[float, float] | None = None,
) -> None:
    """Energies of the eigenspaces ``modes`` over flow time, within ``limits``, and below them log10 of measured over
    predicted."""
    fit, used = compared.mean_fit, compared.mean_modes.steps > 0
    scale = fit.time_scale if np.isfinite(fit.time_scale) else 1.0
    times = np.asarray(scale * compared.mean_modes.steps[used], dtype=np.float64)
    energies = positive(np.array([run.modes.centred_energy[used] for run in compared.runs])) / fit.amplitude
    known = compared.predicted
    total = energies.mean(axis=0).sum(axis=1) if known is None else known.centred_energy.sum(axis=1)
    top = max(float(total.max()), float(energies.sum(axis=2).max()))
    floor = max(FLOORS[0] * float(total[-1]), FLOORS[1] * top)
    widest = 0.0
    for series in energy_series(_groups(modes, spaces), times, energies, compared.predicted, DOTS):
        if series.largest < floor:
            continue  # nothing to see, so no line in the legend either: the constant mode of a regular graph
        group, dots, ratio_dots = series.group, series.dots, series.compared
        if known is not None:
            ax.plot(known.times, np.asarray(series.predicted), group.dash, color=group.colour, lw=1.6, zorder=2)
        ends = series.measured.min(axis=0), series.measured.max(axis=0)
        spread = np.abs(np.stack([series.centre - ends[0], ends[1] - series.centre]))
        face = "white" if group.dash == "-" else group.colour
        look: dict[str, Any] = {"fmt": group.marker, "ms": 4, "color": group.colour, "mfc": face, "mew": 1.1}
        ax.errorbar(times[dots], series.centre[dots], yerr=spread[:, dots], label=group.label, zorder=3,
                    elinewidth=0.8, **look)  # fmt: skip
        ratio = series.log_ratio
        below.plot(times[ratio_dots], ratio, group.marker, ms=3.5, color=group.colour, mfc=face, mew=1.0)
        widest = max(widest, float(np.abs(ratio).max(initial=0.0)))
    ax.set(xscale="log", yscale="log", ylim=limits or (floor, 4 * top), ylabel=r"mode energy $\|\Pi_k V\|^2$")
    ax.tick_params(labelbottom=False)
    below.axhline(0, color="black", lw=0.8)
    reach = next((limit for limit in RESIDUAL_REACHES if widest <= limit), float(np.ceil(widest)))
    below.set(ylabel="log$_{10}$ ratio", xlabel=_time_label(compared), ylim=(-1.1 * reach, 1.1 * reach))
    below.set_yticks([-reach, 0, reach])


def mode_label(spaces: Eigenspaces, k: int) -> str:
    """How eigenspace ``k`` is called in a legend."""
    return f"$\\mu$ = {eigenspace_name(spaces.eigenvalues[k], spaces.multiplicities[k])}"


def _groups(modes: Sequence[int] | NDArray[np.int64], spaces: Eigenspaces) -> list[ModeGroup]:
    """The modes one by one, and the sum of all others."""
    chosen = [int(k) for k in modes]
    groups = []
    for number, k in enumerate(chosen):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        groups.append(ModeGroup(mode_label(spaces, k), (k,), colour, marker, "-"))
    rest = tuple(k for k in range(len(spaces.eigenvalues)) if k not in chosen)
    followed = int(spaces.multiplicities.sum())  # of a large graph the lowest only
    others = "all other modes" if followed == len(spaces.basis) else f"others of the {followed} lowest modes"
    return [*groups, ModeGroup(others, rest, REST_COLOUR, "x", "--")]


def _time_label(compared: ModelComparison) -> str:
    if compared.mean_fit.fitted:
        fit = compared.mean_fit
        return f"flow time $t$ (fitted: {fit.time_scale:.2g} a step, energies ÷ {fit.amplitude:.2g})"
    if compared.predicted is None and not np.isfinite(compared.mean_fit.time_scale):
        return "step"
    return "flow time $t$ = learning rate × steps (nothing fitted)"
