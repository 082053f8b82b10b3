"""The statements of two papers, each with what would confirm it, measured in cells times seeds, and a verdict."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .claim import Cell as Cell
    from .claim import Claim as Claim
    from .criterion import Check as Check
    from .criterion import Criterion as Criterion
    from .measured import Measured as Measured
    from .registry import CLAIMS as CLAIMS
    from .registry import get_claim as get_claim
    from .run import run_claims as run_claims
    from .verdict import Finding as Finding
    from .verdict import Verdict as Verdict

__getattr__, __dir__, __all__ = attach(__name__, __file__)
