"""Node2Vec with rows spread over processes: python -m fiedler.sims.sharded."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from ..runs.shards import read_shards as read_shards
    from .cost import ShardedCost as ShardedCost
    from .row_shards import row_range as row_range
    from .run import ShardedResult as ShardedResult
    from .run import run_sharded as run_sharded
    from .training import ShardedState as ShardedState
    from .training import ShardedTraining as ShardedTraining
    from .training import train_sharded as train_sharded

__getattr__, __dir__, __all__ = attach(__name__, __file__)
