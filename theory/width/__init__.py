"""How runs of finite width scatter around the limit of infinite width."""

from .finite_width import (
    WidthBands,
    WidthPrediction,
    initial_energy_moments,
    predict_from_tangent,
    predict_width,
    width_bands,
)
from .tangent import Tangent, symmetric_basis, tied_tangent

__all__ = [
    "Tangent",
    "WidthBands",
    "WidthPrediction",
    "initial_energy_moments",
    "predict_from_tangent",
    "predict_width",
    "symmetric_basis",
    "tied_tangent",
    "width_bands",
]
