"""Between Node2Vec and a Transformer: linear nets of any depth on top of the embeddings, in closed form."""

from .end_to_end import EndToEndTrajectory, end_to_end_equation, end_to_end_flow
from .escape import escape_time
from .fourier import LadderModesTrajectory, cayley_ladder_flow
from .gram_flow import LadderGramTrajectory, ladder_gram_equation, ladder_gram_flow
from .limit import LadderLimit, ladder_limit
from .reduced import ReducedLadderTrajectory, reduced_ladder_flow
from .spectral import SpectralMap, spectral_map

__all__ = [
    "EndToEndTrajectory",
    "LadderGramTrajectory",
    "LadderLimit",
    "LadderModesTrajectory",
    "ReducedLadderTrajectory",
    "SpectralMap",
    "cayley_ladder_flow",
    "end_to_end_equation",
    "end_to_end_flow",
    "escape_time",
    "ladder_gram_equation",
    "ladder_gram_flow",
    "ladder_limit",
    "reduced_ladder_flow",
    "spectral_map",
]
