"""What should happen: graphs, targets, spectra, exact dynamics and certified optima of softmax embeddings; fact recall.

NumPy and SciPy, float64, no torch. The public map of the package; each name is defined in the file of its concept.
"""

from .alignment import (
    coefficient_norms,
    edge_margin,
    effective_rank,
    fiedler_score,
    geometric_level,
    geometric_margin,
    gram_distance,
    gram_error,
    gram_scale,
    mode_energy,
    principal_angles,
    vector_energy,
)
from .associative_memory import AssociativeMemory, associative_dimension, construct_associative
from .attribute_codes import circle_codes, code_coherence, sign_codes, typical_coherence
from .block_algebra import BlockAlgebra, block_algebra
from .cayley_flow import CayleyTrajectory, cayley_flow
from .certificate import Certificate
from .chain_of_thought import chain_answers
from .checked_loss import cross_entropy, log_sum_exp, residual, row_softmax, target_entropy
from .closed_forms import closed_form_optimum, cycle_optimum, hamming_optimum, path_star_gram, torus_optimum
from .closed_forms_base import ClosedForm
from .closed_forms_multipartite import multipartite_optimum
from .closed_forms_untied_cycle import MaxMargin, untied_cycle_max_margin, untied_cycle_optimum
from .coherent import Colouring, coherent_colouring
from .convert import as_graph
from .decay_thresholds import DecayThresholds, decay_thresholds, target_decay_thresholds
from .deep_memory import DeepMemory, construct_deep
from .descent import tied_descent, tied_gram_descent, untied_descent
from .directions import one_way_arcs, one_way_target
from .distinct_codes import distinct_code_dimension
from .eigensolver import Eigenpairs, laplacian_eigenpairs
from .fact_memory import FactMemory, construct_memory, memory_from_codes
from .fact_storage import FactStorage, code_dimension, fact_storage, multi_hop_dimension
from .facts import Facts, compose_facts, random_facts
from .finite_width import (
    WidthBands,
    WidthPrediction,
    initial_energy_moments,
    predict_from_tangent,
    predict_width,
    width_bands,
)
from .flow import tied_flow, tied_gram_flow, untied_flow, untied_gram_flow
from .flow_equations import FlowEquation, tied_equation, tied_gram_equation, untied_equation, untied_gram_equation
from .flow_integrator import Event, Integration, integrate
from .flow_path import FlowPath, energy_reaches, follow, loss_falls_below, space_energies, stationary
from .graph_flow import GraphFlow, graph_flow, target_flow
from .graph_optimum import GraphOptimum, graph_optimum, target_optimum
from .graphs import Graph, from_networkx, from_sparse
from .growth import growth_rates, target_growth_rates
from .inertia import inertia
from .laplacian import Eigenspaces, eigenspaces, laplacian, laplacian_eigenspaces, spectrum
from .linearized import EarlyModes, early_gram, early_modes
from .max_margin import MaxMarginLogits, untied_max_margin
from .memory import (
    StorageCost,
    associative_bits,
    associative_matrix,
    cycle_storage,
    geometric_bits,
    geometric_norm_bound,
    incidence_code,
    path_star_code,
    path_star_storage,
    shifted_adjacency_code,
    storage_cost,
)
from .mode_times import ModeTimes, early_spaces, measured_mode_times, reach_times
from .multi_hop_bounds import multi_hop_bits, one_shot_dimension_bound, weight_bits_bound
from .multi_hop_plan import MultiHopPlan, multi_hop_plan
from .one_layer import OneLayerTrajectory, one_layer_descent, one_layer_equation, one_layer_flow, one_layer_logits
from .one_shot_memory import OneShotMemory, construct_one_shot
from .optimum import TiedOptimum, centre_gram, centre_rows, tied_optimum
from .readers import read_graph
from .recall_bounds import packing_dimension, random_margin_dimension, recall_bits
from .recall_margins import margin_bound, recall_margins, worst_facts
from .reduced_flow import ReducedTrajectory, reduced_flow
from .reduced_optimum import ReducedOptimum, reduced_tied_optimum
from .reduced_untied import ReducedUntiedOptimum, reduced_untied_optimum
from .rivals import (
    Factors,
    LaplacianCoordinates,
    centred_support,
    laplacian_coordinates,
    netmf_logits,
    positive_factors,
    qwem_matrix,
    qwem_mode_energy,
    qwem_times,
    shifted_pmi,
    singular_factors,
)
from .spectra import closed_form_spectrum
from .starts import compact_start, gaussian_starts, untied_gaussian_starts, wide_tied_start, wide_untied_start
from .symmetry import Symmetry, graph_symmetry, hamming_symmetry, path_star_symmetry
from .tangent import Tangent, symmetric_basis, tied_tangent
from .targets import one_hop_sparse, one_hop_target
from .trajectory import TiedGramTrajectory, TiedTrajectory, UntiedGramTrajectory, UntiedTrajectory
from .untied import UntiedOptimum, untied_optimum
from .walks import SecondOrderChain, co_occurrence, directed_target, node2vec_target, second_order_chain, window_target
from .words import parse

__all__ = [
    "AssociativeMemory",
    "BlockAlgebra",
    "CayleyTrajectory",
    "Certificate",
    "ClosedForm",
    "Colouring",
    "DecayThresholds",
    "DeepMemory",
    "EarlyModes",
    "Eigenpairs",
    "Eigenspaces",
    "Event",
    "FactMemory",
    "FactStorage",
    "Factors",
    "Facts",
    "FlowEquation",
    "FlowPath",
    "Graph",
    "GraphFlow",
    "GraphOptimum",
    "Integration",
    "LaplacianCoordinates",
    "MaxMargin",
    "MaxMarginLogits",
    "ModeTimes",
    "MultiHopPlan",
    "OneLayerTrajectory",
    "OneShotMemory",
    "ReducedOptimum",
    "ReducedTrajectory",
    "ReducedUntiedOptimum",
    "SecondOrderChain",
    "StorageCost",
    "Symmetry",
    "Tangent",
    "TiedGramTrajectory",
    "TiedOptimum",
    "TiedTrajectory",
    "UntiedGramTrajectory",
    "UntiedOptimum",
    "UntiedTrajectory",
    "WidthBands",
    "WidthPrediction",
    "as_graph",
    "associative_bits",
    "associative_dimension",
    "associative_matrix",
    "block_algebra",
    "cayley_flow",
    "centre_gram",
    "centre_rows",
    "centred_support",
    "chain_answers",
    "circle_codes",
    "closed_form_optimum",
    "closed_form_spectrum",
    "co_occurrence",
    "code_coherence",
    "code_dimension",
    "coefficient_norms",
    "coherent_colouring",
    "compact_start",
    "compose_facts",
    "construct_associative",
    "construct_deep",
    "construct_memory",
    "construct_one_shot",
    "cross_entropy",
    "cycle_optimum",
    "cycle_storage",
    "decay_thresholds",
    "directed_target",
    "distinct_code_dimension",
    "early_gram",
    "early_modes",
    "early_spaces",
    "edge_margin",
    "effective_rank",
    "eigenspaces",
    "energy_reaches",
    "fact_storage",
    "fiedler_score",
    "follow",
    "from_networkx",
    "from_sparse",
    "gaussian_starts",
    "geometric_bits",
    "geometric_level",
    "geometric_margin",
    "geometric_norm_bound",
    "gram_distance",
    "gram_error",
    "gram_scale",
    "graph_flow",
    "graph_optimum",
    "graph_symmetry",
    "growth_rates",
    "hamming_optimum",
    "hamming_symmetry",
    "incidence_code",
    "inertia",
    "initial_energy_moments",
    "integrate",
    "laplacian",
    "laplacian_coordinates",
    "laplacian_eigenpairs",
    "laplacian_eigenspaces",
    "log_sum_exp",
    "loss_falls_below",
    "margin_bound",
    "measured_mode_times",
    "memory_from_codes",
    "mode_energy",
    "multi_hop_bits",
    "multi_hop_dimension",
    "multi_hop_plan",
    "multipartite_optimum",
    "netmf_logits",
    "node2vec_target",
    "one_hop_sparse",
    "one_hop_target",
    "one_layer_descent",
    "one_layer_equation",
    "one_layer_flow",
    "one_layer_logits",
    "one_shot_dimension_bound",
    "one_way_arcs",
    "one_way_target",
    "packing_dimension",
    "parse",
    "path_star_code",
    "path_star_gram",
    "path_star_storage",
    "path_star_symmetry",
    "positive_factors",
    "predict_from_tangent",
    "predict_width",
    "principal_angles",
    "qwem_matrix",
    "qwem_mode_energy",
    "qwem_times",
    "random_facts",
    "random_margin_dimension",
    "reach_times",
    "read_graph",
    "recall_bits",
    "recall_margins",
    "reduced_flow",
    "reduced_tied_optimum",
    "reduced_untied_optimum",
    "residual",
    "row_softmax",
    "second_order_chain",
    "shifted_adjacency_code",
    "shifted_pmi",
    "sign_codes",
    "singular_factors",
    "space_energies",
    "spectrum",
    "stationary",
    "storage_cost",
    "symmetric_basis",
    "target_decay_thresholds",
    "target_entropy",
    "target_flow",
    "target_growth_rates",
    "target_optimum",
    "tied_descent",
    "tied_equation",
    "tied_flow",
    "tied_gram_descent",
    "tied_gram_equation",
    "tied_gram_flow",
    "tied_optimum",
    "tied_tangent",
    "torus_optimum",
    "typical_coherence",
    "untied_cycle_max_margin",
    "untied_cycle_optimum",
    "untied_descent",
    "untied_equation",
    "untied_flow",
    "untied_gaussian_starts",
    "untied_gram_equation",
    "untied_gram_flow",
    "untied_max_margin",
    "untied_optimum",
    "vector_energy",
    "weight_bits_bound",
    "wide_tied_start",
    "wide_untied_start",
    "width_bands",
    "window_target",
    "worst_facts",
]
