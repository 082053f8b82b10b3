"""Graphs and embeddings in and out of other libraries. Names are imported when asked for, so that none of the optional
libraries is needed for the others."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .embedding_files import read_embedding as read_embedding
    from .estimators import Node2VecEmbedding as Node2VecEmbedding
    from .estimators import SoftmaxOptimumEmbedding as SoftmaxOptimumEmbedding
    from .geometric import from_data as from_data
    from .geometric import to_data as to_data
    from .node_attributes import get_embedding as get_embedding
    from .node_attributes import set_embedding as set_embedding
    from .run_export import export_run as export_run
    from .run_logs import export_logs as export_logs
    from .run_logs import follow_logs as follow_logs
    from .word_vectors import read_word_vectors as read_word_vectors
    from .word_vectors import write_word_vectors as write_word_vectors

__getattr__, __dir__, __all__ = attach(__name__, __file__)
