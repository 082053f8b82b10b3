"""A Transformer with its batch spread over processes: python -m fiedler.sims.parallel_transformer."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .run import run_parallel as run_parallel
    from .training import ParallelState as ParallelState
    from .training import ParallelTransformerTraining as ParallelTransformerTraining
    from .training import train_parallel_transformer as train_parallel_transformer

__getattr__, __dir__, __all__ = attach(__name__, __file__)
