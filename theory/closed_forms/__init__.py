"""Optima that a formula gives: cycles, tori, Hamming graphs, path-stars, complete and multipartite graphs."""

from .form import ClosedForm
from .multipartite import multipartite_optimum
from .tied import closed_form_optimum, cycle_optimum, hamming_optimum, path_star_gram, torus_optimum
from .untied_cycle import MaxMargin, untied_cycle_max_margin, untied_cycle_optimum

__all__ = [
    "ClosedForm",
    "MaxMargin",
    "closed_form_optimum",
    "cycle_optimum",
    "hamming_optimum",
    "multipartite_optimum",
    "path_star_gram",
    "torus_optimum",
    "untied_cycle_max_margin",
    "untied_cycle_optimum",
]
