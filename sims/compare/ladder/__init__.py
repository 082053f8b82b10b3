"""From Node2Vec to a Transformer: each rung's runs against the flow of its own linear net, with nothing fitted."""

from typing import TYPE_CHECKING

from ...lazy import attach

if TYPE_CHECKING:
    from .agreement import Agreement as Agreement
    from .prediction import RungPrediction as RungPrediction
    from .prediction import predict_rung as predict_rung
    from .prediction import predict_rungs as predict_rungs
    from .rows import Ladder as Ladder
    from .rows import LadderRow as LadderRow
    from .rows import ladder_of as ladder_of
    from .rows import ladders_of as ladders_of

__getattr__, __dir__, __all__ = attach(__name__, __file__)
