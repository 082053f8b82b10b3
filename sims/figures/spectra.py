"""Predicted and measured spectra of the centred Gram matrix, a panel a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from ..compare.folder import COMPARISON, read_comparison
from ..compare.show.figure import draw_spectrum
from .drawn import Drawn, letter_panels, only_one
from .style import Column

HEIGHT = 2.3  # inches a row


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Of every model of a comparison."""
    comparison, source = read_comparison(only_one(folders, COMPARISON))
    models = comparison.models
    columns = min(3, len(models)) if column.wide else 1
    rows = -(-len(models) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(column.width, HEIGHT * rows), squeeze=False)
    shown = axes.ravel()[: len(models)]
    for ax, one in zip(shown, models, strict=True):
        draw_spectrum(ax, one)
        ax.set_title(one.model.title)
        ax.set_ylabel("Gram eigenvalue")
    for ax in axes.ravel()[len(models) :]:
        ax.set_visible(False)
    if len(models) > 1:
        letter_panels(shown)
    caption = (
        f"Eigenvalues of the centred Gram matrix VV' on {comparison.task.title}, largest first. Squares: the certified "
        "optimum (for untied models the flow at its last time). Dots: mean and standard deviation over "
        f"{len(models[0].runs)} seed(s) at the last step; × a number: the one factor, fitted by least squares, of "
        "models without a scale of their own."
    )
    return Drawn(figure, f"{comparison.task.title}: Gram spectra", caption, (source,))
