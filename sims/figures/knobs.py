"""What makes the memory of a one-layer net geometric: the geometric margin of every condition of the preset knobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ..compare.presets.folder import PRESET
from ..draw.sources import Unsuitable, read_answer
from .drawn import Drawn, only_one
from .style import Column, look

MEASURE = "geometric_margin"
REACH = 1.5  # of the largest margin: half the axis
LINEAR = 1.0  # margins below it are on a linear part of the axis


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """A row a condition, a mark a seed, a diamond the published number (one seed)."""
    path = only_one(folders, PRESET)
    answer, source = read_answer(path, ("preset", "table"), PRESET)
    rows = [row for row in answer["table"] if row["measure"] == MEASURE]
    if answer["preset"] != "knobs" or not rows:
        raise Unsuitable(f"{path} holds the preset {answer['preset']}, not knobs")
    figure, ax = plt.subplots(figsize=(column.width, 0.3 * len(rows) + 0.9))
    for number, row in enumerate(rows):
        beside = number + np.linspace(-0.18, 0.18, len(row["values"]))
        label = "seeds" if number == 0 else None
        ax.plot(row["values"], beside, ls="none", marker=look(0).marker, color=look(0).color, label=label)
        if row["published"] is not None:
            ax.plot(row["published"], number, ls="none", marker="D", ms=5.5, mfc="none", color=look(1).color, mew=1.1,
                    label="published, one seed" if number == 0 else None)  # fmt: skip
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xscale("symlog", linthresh=LINEAR)
    reach = max(abs(value) for row in rows for value in row["values"]) * REACH
    ax.set_xlim(-reach, reach)
    ax.set_yticks(range(len(rows)), [row["title"] for row in rows])
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlabel="geometric margin")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    caption = (
        "One-layer net of width 512 on the 15-cycle: geometric margin, of the part of the logits that is "
        "diagonal in the "
        f"embedding's right singular basis, of {len(rows[0]['values'])} seeds; linear between -1 and 1, logarithmic "
        "beyond. Diamonds: the numbers published with arXiv 2510.26745."
    )
    return Drawn(figure, "What makes a memory geometric", caption, (source,))
