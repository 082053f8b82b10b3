"""A question about a whole graph, answered by the cheapest exact way: optimum, flow, growth rates, decay thresholds."""

from .decay import DecayThresholds, decay_thresholds, target_decay_thresholds
from .flow import GraphFlow, graph_flow, target_flow
from .growth import growth_rates, target_growth_rates
from .optimum import GraphOptimum, graph_optimum, target_optimum

__all__ = [
    "DecayThresholds",
    "GraphFlow",
    "GraphOptimum",
    "decay_thresholds",
    "graph_flow",
    "graph_optimum",
    "growth_rates",
    "target_decay_thresholds",
    "target_flow",
    "target_growth_rates",
    "target_optimum",
]
