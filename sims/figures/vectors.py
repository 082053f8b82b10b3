"""Node2Vec's energy in the eigenvectors: ||V'e_i||, and ||C e_i|| of C = 2 S, which vanishes on what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from ..compare.presets.folder import PRESET, read_preset
from ..compare.show.spectral_bars import draw_vectors
from ..draw.sources import Unsuitable
from ..foreign import drawn
from .drawn import Drawn, only_one
from .style import Column

NODE2VEC = "node2vec"
QUANTITIES = (("vector_energy", "$\\|V'e_i\\|$"), ("coefficient_norms", "$\\|C e_i\\|$"))
HEIGHT = 0.95  # inches a panel


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Of the first seed of Node2Vec on every graph of the preset, each over its largest. Raises Unsuitable for a preset
    without Node2Vec."""
    path = only_one(folders, PRESET)
    preset, cells, source = read_preset(path)
    if not all(NODE2VEC in [one.model.name for one in comparison.models] for _, comparison in cells):
        raise Unsuitable(f"{path} holds the preset {preset.name}, which has no Node2Vec on every graph")
    shape = (len(QUANTITIES), len(cells)) if column.wide else (len(cells), len(QUANTITIES))
    figure, axes = plt.subplots(*shape, figsize=(column.width, HEIGHT * shape[0] + 0.75), sharey=True, squeeze=False)
    handles: dict[str, Any] = {}
    for panels, (_, comparison) in zip(axes.T if column.wide else axes, cells, strict=True):
        one = next(one for one in comparison.models if one.model.name == NODE2VEC)
        for ax, (key, label) in zip(panels, QUANTITIES, strict=True):
            handles |= draw_vectors(ax, np.array(one.scores[0][key]), comparison.task.spaces)
            ax.set(ylim=(0, 1.08), yticks=[0, 0.5, 1], title=f"{drawn(comparison.task.graph.name)}: {label}")
    for ax in axes[-1]:
        ax.set_xlabel("index $i$")
    figure.supylabel("over the largest", fontsize=plt.rcParams["axes.labelsize"])
    names = ["one eigenvector", "root mean square over its eigenspace"]
    figure.legend(handles.values(), names, loc="outside lower center", ncols=2)
    caption = (
        "Final Node2Vec embeddings V in the basis of (I - D⁻¹A) + (I - D⁻¹A)', ascending in eigenvalue, the first, "
        "near-constant vector left out: ‖V'e_i‖ and ‖Ce_i‖ with C = R + R', each over its largest. Colours change with "
        "the eigenspace; single bars inside one depend on LAPACK's basis, the dark steps, the root mean "
        "square over the "
        f"eigenspace, on none. Seed {comparison.models[0].runs[0].seed}. After figure 7 of arXiv 2510.26745."
    )
    return Drawn(figure, "Node2Vec: energy and coefficients in the eigenvectors", caption, (source,))
