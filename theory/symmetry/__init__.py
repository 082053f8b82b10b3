"""The coherent algebra of a graph, its blocks, optimum and flow on them: exact at any size where symmetry is large."""

from .blocks import BlockAlgebra, block_algebra
from .coherent import Colouring, coherent_colouring
from .drift import reduced_drift_law
from .flow import ReducedTrajectory, reduced_flow
from .of_graph import Symmetry, graph_symmetry, hamming_symmetry, path_star_symmetry
from .optimum import ReducedOptimum, reduced_tied_optimum
from .untied import ReducedUntiedOptimum, reduced_untied_optimum

__all__ = [
    "BlockAlgebra",
    "Colouring",
    "ReducedOptimum",
    "ReducedTrajectory",
    "ReducedUntiedOptimum",
    "Symmetry",
    "block_algebra",
    "coherent_colouring",
    "graph_symmetry",
    "hamming_symmetry",
    "path_star_symmetry",
    "reduced_drift_law",
    "reduced_flow",
    "reduced_tied_optimum",
    "reduced_untied_optimum",
]
