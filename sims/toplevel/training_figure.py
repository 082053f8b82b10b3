"""The figure of one training run: its loss, the energies of its modes, and the embedding it ended in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fiedler.theory import TiedOptimum

from ..compare.energy_series import eigenspace_name, spread_modes
from ..draw.style import COLOURS, STYLE
from ..foreign import drawn
from ..runs.engine import Run
from ..tasks.task import Task
from .score_figure import draw_nodes

MODES = len(COLOURS)  # eigenspaces with a line


def plot_training(task: Task, run: Run, scores: Mapping[str, Any], optimum: TiedOptimum | None) -> Figure:
    """Three panels over the steps from 1 on: the loss per node beside the limit and the entropy of the target, where
    ``scores`` have them; energies of some eigenspaces, without the mean row; the nodes at the end, in the plane of
    ``optimum`` or, where that is None, in their own."""
    with plt.rc_context(STYLE):
        figure, (loss, energies, plane) = plt.subplots(1, 3, figsize=(11.0, 3.6), layout="constrained")
        title = f"{run.model.title} on {task.title}, seed {run.seed}"
        figure.suptitle(drawn(title), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        _draw_loss(loss, run, scores)
        _draw_energies(energies, task, run)
        plane.set_title("the embedding, in its plane" if optimum is None else "the embedding, in the predicted plane",
                        loc="left")  # fmt: skip
        draw_nodes(plane, task, np.asarray(run.final.embedding, dtype=np.float64), optimum)
    return figure


def _draw_loss(ax: Axes, run: Run, scores: Mapping[str, Any]) -> None:
    used = run.modes.steps > 0
    ax.semilogx(run.modes.steps[used], run.modes.loss[used], color=COLOURS[0], lw=1.6, label="this run")
    for name, key, dash in (("limit", "limit_loss_per_node", "--"), ("entropy floor", "entropy_floor", ":")):
        if scores.get(key) is not None:
            ax.axhline(scores[key], color="black", lw=1.1, ls=dash, label=name)
    ax.margins(y=0.08)  # or the lowest line lies on the axis
    ax.set(xlabel="training steps")
    ax.set_title("loss per node", loc="left")
    ax.legend(frameon=False)


def _draw_energies(ax: Axes, task: Task, run: Run) -> None:
    used = run.modes.steps > 0
    steps, energy = run.modes.steps[used], run.modes.centred_energy[used]
    for colour, k in zip(COLOURS, spread_modes([energy], MODES), strict=False):
        label = eigenspace_name(task.spaces.eigenvalues[k], task.spaces.multiplicities[k])
        ax.loglog(steps, energy[:, k], color=colour, lw=1.6, label=label)
    ax.set(xlabel="training steps")
    ax.set_title("energy of modes, by eigenvalue", loc="left")
    ax.legend(frameon=False)
