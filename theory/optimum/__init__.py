"""What training converges to on any graph, by a dense solver, with a certificate: tied, untied, and maximum margin."""

from .certificate import Certificate
from .drift import DriftLaw, drift_law
from .max_margin import MaxMarginLogits, untied_max_margin
from .rank import RankRange, tied_rank_range, twin_classes, untied_rank_range
from .tied import TiedOptimum, centre_gram, centre_rows, tied_optimum
from .untied import UntiedOptimum, untied_optimum

__all__ = [
    "Certificate",
    "DriftLaw",
    "MaxMarginLogits",
    "RankRange",
    "TiedOptimum",
    "UntiedOptimum",
    "centre_gram",
    "centre_rows",
    "drift_law",
    "tied_optimum",
    "tied_rank_range",
    "twin_classes",
    "untied_max_margin",
    "untied_optimum",
    "untied_rank_range",
]
