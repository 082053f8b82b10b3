"""Laplacians, their eigenspaces, and eigenpairs of which none is missing."""

from .closed_form import closed_form_spectrum
from .counting import inertia
from .eigensolver import Eigenpairs, laplacian_eigenpairs
from .laplacians import Eigenspaces, eigenspaces, laplacian, laplacian_eigenspaces, spectrum

__all__ = [
    "Eigenpairs",
    "Eigenspaces",
    "closed_form_spectrum",
    "eigenspaces",
    "inertia",
    "laplacian",
    "laplacian_eigenpairs",
    "laplacian_eigenspaces",
    "spectrum",
]
