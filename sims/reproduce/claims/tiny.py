"""Claims to come."""
from ..claim import Claim

CLAIMS: tuple[Claim, ...] = ()
