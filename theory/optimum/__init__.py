"""What training converges to on any graph, by an anytime solver, with a certificate: tied, untied, maximum margin."""

from .certificate import Certificate
from .drift import DriftLaw, drift_law
from .effort import default_tolerance, estimate_optimum_seconds
from .max_margin import MaxMarginLogits, untied_max_margin
from .rank import RankRange, tied_rank_range, untied_rank_range
from .row_pass import RowPass, RowSums
from .search import SolverState
from .target_parts import SmoothedTarget
from .tied import TiedOptimum, centre_gram, centre_rows, tied_optimum
from .twins import twin_classes
from .untied import UntiedOptimum, untied_optimum

__all__ = [
    "Certificate",
    "DriftLaw",
    "MaxMarginLogits",
    "RankRange",
    "RowPass",
    "RowSums",
    "SmoothedTarget",
    "SolverState",
    "TiedOptimum",
    "UntiedOptimum",
    "centre_gram",
    "centre_rows",
    "default_tolerance",
    "drift_law",
    "estimate_optimum_seconds",
    "tied_optimum",
    "tied_rank_range",
    "twin_classes",
    "untied_max_margin",
    "untied_optimum",
    "untied_rank_range",
]
