"""Theory against experiment: predicted mode energies through measured ones, and the ratio of the two below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D

from ..compare.folder import COMPARISON, read_comparison
from ..compare.show.energies import draw_energy, drawn_modes, mode_label
from .drawn import Drawn, only_one
from .style import Column, look

HEIGHT = 2.9  # inches a model
LEGEND_HEIGHT = 0.55


def draw(
    folders: Sequence[Path],
    column: Column,
    modes: Sequence[int] | None = None,
    ylim: tuple[float, float] | None = None,
) -> Drawn:
    """One part a model, beside each other in two columns, below each other in one, and one legend. ``modes``: numbers
    of eigenspaces, counted from 1 in ascending eigenvalue; without them ``drawn_modes``."""
    comparison, source = read_comparison(only_one(folders, COMPARISON))
    models, spaces = comparison.models, comparison.task.spaces
    chosen = drawn_modes(models) if modes is None else _numbered(modes, len(spaces.eigenvalues))
    columns = min(2, len(models)) if column.wide else 1
    rows = -(-len(models) // columns)
    figure = plt.figure(figsize=(column.width, HEIGHT * rows + LEGEND_HEIGHT))
    parts = figure.subfigures(rows, columns, squeeze=False).ravel()
    handles: dict[str, Line2D] = {}
    for part, one in zip(parts, models, strict=False):
        energy, residual = part.subplots(2, 1, sharex=True, height_ratios=(3.0, 1.0))
        draw_energy(energy, residual, one, spaces, chosen, ylim)
        energy.set_title(one.model.title)
        fit = one.mean_fit
        residual.set_xlabel("flow time $t$, time and size fitted" if fit.fitted else "flow time $t$, nothing fitted")
        handles = {str(handle.get_label()): handle for handle in _tell_apart(energy)} | handles
    wanted = [mode_label(spaces, int(k)) for k in chosen]
    order = sorted(handles, key=lambda label: wanted.index(label) if label in wanted else len(wanted))
    figure.legend(
        handles=[handles[label] for label in order], loc="outside lower center", ncols=3 if column.wide else 2
    )
    seeds = len(models[0].runs)
    caption = (
        f"Energy of the embedding, less its mean, in the eigenspaces of (I - D⁻¹A) + (I - D⁻¹A)' of eigenvalue μ "
        f"(×multiplicity) on {comparison.task.title}. Lines: the flow of infinite width from the models' own starting "
        f"size. Markers: geometric mean over {seeds} seed(s), bars their range. Below: log10 of measured over "
        "predicted energy where a mode holds at least 1 % of the energy. "
        + " ".join(
            f"{one.model.title}: root mean square {one.mean_fit.rms_log10:.2g} decades, "
            + f"{one.mean_fit.what} fitted."
            for one in models
        )
    )
    return Drawn(figure, f"{comparison.task.title}: predicted and measured mode energies", caption, (source,))


def _numbered(modes: Sequence[int], count: int) -> list[int]:
    wrong = [number for number in modes if not 1 <= number <= count]
    if wrong or len(set(modes)) < len(modes):
        raise ValueError(f"--modes are different numbers from 1 to {count}, the eigenspaces; not {wrong or modes}")
    return sorted(number - 1 for number in modes)


def _tell_apart(energy: Axes) -> list[Line2D]:
    """Give the theory's lines styles of their own, for greyscale, and return handles with line and marker together."""
    lines = {line.get_color(): line for line in energy.lines if line.get_marker() in ("None", "", None)}
    handles = []
    for number, (points, label) in enumerate(zip(*energy.get_legend_handles_labels(), strict=True)):
        mark = cast(ErrorbarContainer, points).lines[0]
        line = lines[mark.get_color()]
        line.set_linestyle(look(number).linestyle)
        handles.append(Line2D([], [], color=mark.get_color(), ls=line.get_linestyle(), lw=1.2, marker=mark.get_marker(),
                              mfc=mark.get_markerfacecolor(), ms=4, label=label))  # fmt: skip
    return handles
