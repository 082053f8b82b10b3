"""A question about a whole graph, answered the cheapest exact way: optimum, drift, flow, growth, decay thresholds."""

from .decay import DecayThresholds, decay_thresholds, target_decay_thresholds
from .drift import graph_drift_law
from .flow import GraphFlow, graph_flow, target_flow
from .growth import growth_rates, target_growth_rates
from .optimum import GraphOptimum, graph_optimum, target_optimum

__all__ = [
    "DecayThresholds",
    "GraphFlow",
    "GraphOptimum",
    "decay_thresholds",
    "graph_drift_law",
    "graph_flow",
    "graph_optimum",
    "growth_rates",
    "target_decay_thresholds",
    "target_flow",
    "target_growth_rates",
    "target_optimum",
]
