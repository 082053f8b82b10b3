"""What is trained: the models and their settings, and what a training answers to."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .neural_settings import NeuralSettings as NeuralSettings
    from .node2vec import Node2VecSettings as Node2VecSettings
    from .node2vec import Node2VecState as Node2VecState
    from .node2vec import initial_embedding as initial_embedding
    from .node2vec import train_node2vec as train_node2vec
    from .protocol import Diverged as Diverged
    from .protocol import Final as Final
    from .protocol import Snapshot as Snapshot
    from .protocol import Training as Training
    from .registry import MODELS as MODELS
    from .registry import Model as Model
    from .registry import get_model as get_model

__getattr__, __dir__, __all__ = attach(__name__, __file__)
