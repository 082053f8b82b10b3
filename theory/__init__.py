"""What should happen: graphs, targets, spectra, exact dynamics and certified optima of softmax embeddings.

NumPy and SciPy, float64, no torch. The public map of the package; each name is defined in the file of its concept.
"""

from .alignment import (
    coefficient_norms,
    edge_margin,
    effective_rank,
    fiedler_score,
    geometric_level,
    geometric_margin,
    gram_error,
    gram_scale,
    mode_energy,
    principal_angles,
    vector_energy,
)
from .certificate import Certificate
from .cross_entropy import cross_entropy, log_sum_exp, residual, row_softmax, target_entropy
from .descent import tied_descent, tied_gram_descent, untied_descent
from .flow import tied_flow, tied_gram_flow, untied_flow, untied_gram_flow
from .graphs import Graph, as_graph, from_networkx, from_sparse
from .laplacian import Eigenspaces, eigenspaces, laplacian, laplacian_eigenspaces, spectrum
from .linearized import EarlyModes, early_gram, early_modes
from .optimum import TiedOptimum, centre_gram, centre_rows, tied_optimum
from .readers import read_graph
from .spectra import closed_form_spectrum
from .targets import one_hop_sparse, one_hop_target
from .trajectory import TiedGramTrajectory, TiedTrajectory, UntiedGramTrajectory, UntiedTrajectory
from .untied import UntiedOptimum, untied_optimum
from .words import parse

__all__ = [
    "Certificate",
    "EarlyModes",
    "Eigenspaces",
    "Graph",
    "TiedGramTrajectory",
    "TiedOptimum",
    "TiedTrajectory",
    "UntiedGramTrajectory",
    "UntiedOptimum",
    "UntiedTrajectory",
    "as_graph",
    "centre_gram",
    "centre_rows",
    "closed_form_spectrum",
    "coefficient_norms",
    "cross_entropy",
    "early_gram",
    "early_modes",
    "edge_margin",
    "effective_rank",
    "eigenspaces",
    "fiedler_score",
    "from_networkx",
    "from_sparse",
    "geometric_level",
    "geometric_margin",
    "gram_error",
    "gram_scale",
    "laplacian",
    "laplacian_eigenspaces",
    "log_sum_exp",
    "mode_energy",
    "one_hop_sparse",
    "one_hop_target",
    "parse",
    "principal_angles",
    "read_graph",
    "residual",
    "row_softmax",
    "spectrum",
    "target_entropy",
    "tied_descent",
    "tied_flow",
    "tied_gram_descent",
    "tied_gram_flow",
    "tied_optimum",
    "untied_descent",
    "untied_flow",
    "untied_gram_flow",
    "untied_optimum",
    "vector_energy",
]
