"""The graph losses with rows spread over the processes of a ring."""

from .cross_entropy import sharded_graph_cross_entropy, tied_sharded_graph_cross_entropy
from .target import ShardedTarget, sharded_target

__all__ = [
    "ShardedTarget",
    "sharded_graph_cross_entropy",
    "sharded_target",
    "tied_sharded_graph_cross_entropy",
]
