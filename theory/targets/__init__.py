"""Targets: the distribution that each node predicts, from one hop to second-order walks, and lines of one direction."""

from .directions import one_way_arcs, one_way_target
from .one_hop import one_hop_sparse, one_hop_target
from .walks import SecondOrderChain, co_occurrence, directed_target, node2vec_target, second_order_chain, window_target

__all__ = [
    "SecondOrderChain",
    "co_occurrence",
    "directed_target",
    "node2vec_target",
    "one_hop_sparse",
    "one_hop_target",
    "one_way_arcs",
    "one_way_target",
    "second_order_chain",
    "window_target",
]
