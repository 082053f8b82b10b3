"""One small valid call of every public function of ``fiedler.theory``, from which test_bad_input makes bad ones.

``RESULTS`` are classes that functions make and users read: their constructors promise nothing.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp

import fiedler.theory as theory
from bad_input_oracle import Call
from valid_inputs import (
    CONTEXT,
    EMBEDDING,
    FAILED,
    GRAM,
    INNER,
    LOGITS,
    ONE_HOP,
    PAW,
    PROBLEM,
    SIGN,
    SPACES,
    TARGET,
    TIMES,
    WEIGHT,
    WIDTH,
    call,
    first,
    made,
    shrink,
    twice,
)
from valid_recall_calls import RECALL_CALLS

# fmt: off
RESULTS = frozenset({
    "BlockAlgebra", "CayleyTrajectory", "Certificate", "ClosedForm", "Colouring", "DecayThresholds", "DriftLaw",
    "EarlyModes", "Eigenpairs", "Eigenspaces", "EndToEndTrajectory", "FactStorage", "Factors", "FlowPath",
    "GraphFlow", "GraphOptimum", "Integration", "JacobianModes", "LadderBalance", "LadderGramTrajectory",
    "LadderLimit", "LadderModesTrajectory", "LadderTrajectory", "LaplacianCoordinates", "MaxMargin",
    "MaxMarginLogits", "ModeTimes", "MultiHopPlan", "OneLayerTrajectory", "PreNormTrajectory", "RankRange", "Reading",
    "ReducedLadderTrajectory", "ReducedOptimum", "ReducedTrajectory", "ReducedUntiedOptimum", "RowPass",
    "RowSums", "SecondOrderChain", "SolverState", "SpectralMap", "StorageCost", "Symmetry", "Tangent",
    "TiedGramTrajectory", "TiedOptimum", "TiedTrajectory", "UnitModes", "UntiedGramTrajectory", "UntiedOptimum",
    "UntiedTrajectory", "WidthBands", "WidthPrediction",
})
# fmt: on

READING = theory.Reading("edge list", "all 1")
CLOSED: dict[str, Any] = {"weight_decay": 0.05, "self_edges": False, "label_smoothing": 0.1}
GIVEN = {"a": "int", "b": "int", "weight_decay": "float", "self_edges": "bool", "label_smoothing": "float"}
ANY_SHAPE = {"logits": "*"}
PARTS = {"embedding": WIDTH, "reference": WIDTH}


def torus(a: int, b: int, **options: Any) -> Any:
    return theory.torus_optimum(a, b, **options)


def multipartite(a: int, b: int, **options: Any) -> Any:
    return theory.multipartite_optimum(a, b, **options)


def scored(name: str, **more: Any) -> Call:
    """An embedding against the optimum. NaN is documented where nothing is left after centring."""
    return call(name, {"embedding": EMBEDDING, "optimum": made("optimum")}, loose=PARTS, nan_out=True, **more)


CALLS: dict[str, Call] = {
    # Records that users make.
    "Event": call("Event", {"name": "half", "measure": first, "terminal": False}),
    "FlowEquation": call(
        "FlowEquation",
        {"start": EMBEDDING, "velocity": shrink, "gram": twice, "loss": first, "trajectory": twice}
        | {"vectorized": True},
        loose={"start": "*"},
    ),
    "Graph": call(
        "Graph",
        {"adjacency": PAW.adjacency, "nodes": PAW.nodes, "name": "paw", "family": "irregular", "parameters": (3, 4)},
        loose={"nodes": "*", "parameters": "*"},
    ),
    # Graphs.
    "as_graph": call(
        "as_graph",
        {"obj": PAW.adjacency.toarray(), "symmetrize": False, "options": theory.ReadOptions()},
        loose={"obj": "shape: first entry"},
        kinds={"obj": "Array flags sparse Graph networkx text"},
    ),
    "from_networkx": call(
        "from_networkx",
        {"graph": nx.path_graph(4), "name": "path", "weight": "weight", "symmetrize": False, "reading": READING},
        kinds={"graph": "networkx"},
    ),
    "from_sparse": call(
        "from_sparse",
        {"matrix": PAW.adjacency, "name": "paw", "nodes": list("abcd"), "symmetrize": False, "reading": READING},
        kinds={"matrix": "sparse", "nodes": "array"},
    ),
    "parse": call("parse", {"word": "cycle:5", "symmetrize": False, "options": theory.ReadOptions()}),
    "read_graph": call(
        "read_graph",
        {"path": made("file"), "symmetrize": False, "options": theory.ReadOptions()},
        kinds={"path": "text path"},
    ),
    "ReadOptions": call("ReadOptions", {"delimiter": ",", "header": True, "comments": "#%", "weight": "weight"}),
    "laplacian": call("laplacian", {"graph": PAW, "kind": "symmetric"}),
    "laplacian_eigenspaces": call("laplacian_eigenspaces", {"graph": PAW, "kind": "symmetric"}),
    "laplacian_eigenpairs": call(
        "laplacian_eigenpairs",
        {
            "graph": PAW,
            "k": 2,
            "kind": "symmetric",
            "which": "bottom",
            "method": "dense",
            "vectors": True,
            "memory_limit": 1e6,
        },
        failures=FAILED,
        nan_in=frozenset({"memory_limit"}),  # infinite: no limit
        nan_out=True,  # no residual without vectors
        loose={"memory_limit": "10^400; 10^5000"},
    ),
    "laplacian_coordinates": call("laplacian_coordinates", {"graph": PAW, "k": 2, "kind": "symmetric"}),
    "closed_form_spectrum": call("closed_form_spectrum", {"graph": theory.parse("path-star:3x3"), "kind": "symmetric"}),
    "spectrum": call("spectrum", {"graph": PAW, "kind": "symmetric"}),
    "eigenspaces": call(
        "eigenspaces",
        {"symmetric_matrix": GRAM, "tolerance": 1e-9},
        kinds={"symmetric_matrix": "flags"},
        loose={"symmetric_matrix": "shape: first entry"},
    ),
    "inertia": call(
        "inertia",
        {"matrix": theory.laplacian(PAW), "shift": 0.3},
        failures=FAILED,
        loose={"shift": SIGN},
    ),
    # Targets.
    "one_hop_sparse": call("one_hop_sparse", {"graph": PAW, "self_edges": False}),
    "one_hop_target": call("one_hop_target", {"graph": PAW, **ONE_HOP}),
    "one_way_arcs": call("one_way_arcs", {"graph": PAW, "direction": "forward"}),
    "one_way_target": call("one_way_target", {"graph": PAW, "direction": "forward", **ONE_HOP, "weights": "line"}),
    "window_target": call("window_target", {"graph": PAW, "window": 2, **ONE_HOP}),
    "second_order_chain": call("second_order_chain", {"graph": PAW, "p": 0.5, "q": 2.0, "self_edges": False}),
    "co_occurrence": call("co_occurrence", {"chain": made("chain"), "window": 2, "side": "both"}),
    "node2vec_target": call(
        "node2vec_target", {"graph": PAW, "p": 0.5, "q": 2.0, "window": 2, "side": "both", **ONE_HOP}
    ),
    "directed_target": call(
        "directed_target",
        {"adjacency": np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]), "window": 2, "dangling": "uniform"}
        | ONE_HOP,
        kinds={"adjacency": "flags"},
    ),
    # The loss.
    "cross_entropy": call(
        "cross_entropy", {"logits": LOGITS, "target": TARGET, "row_weight": WEIGHT}, loose={"logits": "shape: deeper"}
    ),
    "residual": call(
        "residual", {"logits": LOGITS, "target": TARGET, "row_weight": WEIGHT}, loose={"logits": "shape: deeper"}
    ),
    "target_entropy": call("target_entropy", {"target": TARGET, "row_weight": WEIGHT}),
    "log_sum_exp": call("log_sum_exp", {"logits": LOGITS}, loose=ANY_SHAPE, nan_in=frozenset({"logits"})),
    "row_softmax": call("row_softmax", {"logits": LOGITS}, loose=ANY_SHAPE, nan_in=frozenset({"logits"})),
    # Scores.
    "mode_energy": call("mode_energy", {"embedding": EMBEDDING, "spaces": SPACES, "centred": True}, loose=PARTS),
    "vector_energy": call("vector_energy", {"embedding": EMBEDDING, "basis": GRAM}, loose={**PARTS, "basis": WIDTH}),
    "coefficient_norms": call(
        "coefficient_norms",
        {"embedding": EMBEDDING, "target": TARGET, "basis": GRAM, "row_weight": WEIGHT},
        loose={**PARTS, "basis": WIDTH},
    ),
    "effective_rank": call(
        "effective_rank",
        {"embedding": EMBEDDING, "components": np.array([0, 0, 1, 1])},
        loose={"embedding": WIDTH},
    ),
    "gram_error": scored("gram_error"),
    "gram_scale": scored("gram_scale"),
    "fiedler_score": scored("fiedler_score"),
    "principal_angles": scored("principal_angles"),
    "gram_distance": call("gram_distance", {"embedding": EMBEDDING, "reference": CONTEXT}, loose=PARTS, nan_out=True),
    "geometric_level": call(
        "geometric_level",
        {"embedding": EMBEDDING, "graph": PAW, "self_edges": False, "centred": True, "direction": "forward"},
        loose=PARTS,
        nan_out=True,
    ),
    "geometric_margin": call(
        "geometric_margin",
        {"embedding": EMBEDDING, "graph": PAW, "inner": INNER, "direction": "forward"},
        nan_out=True,
        loose={},
    ),
    "edge_margin": call("edge_margin", {"logits": LOGITS, "graph": PAW, "direction": "forward"}, nan_out=True),
    "centre_gram": call(
        "centre_gram",
        {"gram": GRAM, "components": np.array([0, 0, 1, 1])},
    ),
    "centre_rows": call(
        "centre_rows", {"embedding": EMBEDDING, "components": np.array([0, 0, 1, 1])}, loose={"embedding": WIDTH}
    ),
    "space_energies": call("space_energies", {"grams": GRAM, "spaces": SPACES}, loose={"grams": "shape: deeper"}),
    # Optima.
    "tied_optimum": call("tied_optimum", {"target": TARGET, **PROBLEM}, failures=FAILED),
    "untied_optimum": call("untied_optimum", {"target": TARGET, **PROBLEM}, failures=FAILED),
    "target_optimum": call("target_optimum", {"target": TARGET, "tied": True, **PROBLEM}, failures=FAILED),
    "SmoothedTarget": call(
        "SmoothedTarget",
        {"target": sp.csr_array(TARGET), "smoothing": 0.1},
        function=lambda target, smoothing: theory.tied_optimum(
            theory.SmoothedTarget(target, smoothing), weight_decay=0.1
        ),
        kinds={"target": "sparse", "smoothing": "int float"},
        failures=FAILED,
    ),
    "default_tolerance": call("default_tolerance", {"n": 50}),
    "estimate_optimum_seconds": call("estimate_optimum_seconds", {"n": 50, "entries": 200, "tolerance": 1e-3}),
    "graph_optimum": call(
        "graph_optimum", {"graph": PAW, "tied": True, "weight_decay": 0.1, **ONE_HOP}, failures=FAILED
    ),
    "tied_rank_range": call(
        "tied_rank_range",
        {"gram": GRAM, "probabilities": TARGET, "slack": GRAM, "gap": 1e-3, "magnitude": 1.0, **PROBLEM}
        | {"twins": np.array([0, 0, 1, 1])},
        nan_in=frozenset({"gap"}),  # infinity
        loose={"gap": SIGN + "; 10^400; 10^5000", "magnitude": SIGN},
    ),
    "untied_rank_range": call(
        "untied_rank_range",
        {"logits": LOGITS, "probabilities": TARGET, "residual": GRAM, "gap": 1e-3, "magnitude": 1.0, **PROBLEM},
        nan_in=frozenset({"gap"}),
        loose={"gap": SIGN + "; 10^400; 10^5000", "magnitude": SIGN},
    ),
    "twin_classes": call("twin_classes", {"target": TARGET, "row_weight": WEIGHT}),
    "drift_law": call("drift_law", {"optimum": made("free"), "target": TARGET, "row_weight": WEIGHT}),
    "reduced_drift_law": call(
        "reduced_drift_law",
        {"algebra": made("symmetry").algebra, "target": made("symmetry").target(), "optimum": made("on blocks")}
        | {"row_weight": np.array([1.0, 2.0, 0.5])},
    ),
    "graph_drift_law": call("graph_drift_law", {"graph": PAW, **ONE_HOP}, failures=FAILED),
    "untied_max_margin": call("untied_max_margin", {"target": TARGET}, failures=FAILED),
    "closed_form_optimum": call("closed_form_optimum", {"graph": theory.parse("cycle:5"), "tied": True, **CLOSED}),
    "cycle_optimum": call("cycle_optimum", {"n": 6, **CLOSED}),
    "torus_optimum": call("torus_optimum", {"a": 3, "b": 4, **CLOSED}, function=torus, kinds=GIVEN),
    "hamming_optimum": call("hamming_optimum", {"d": 2, "q": 3, **CLOSED}),
    "multipartite_optimum": call(
        "multipartite_optimum", {"a": 2, "b": 3, **CLOSED}, function=multipartite, kinds=GIVEN
    ),
    "path_star_gram": call("path_star_gram", {"arms": 3, "length": 3, "profile": [1.0, 2.0]}),
    "untied_cycle_optimum": call("untied_cycle_optimum", {"n": 6, **CLOSED}, failures=FAILED),
    "untied_cycle_max_margin": call("untied_cycle_max_margin", {"n": 6, "self_edges": False}, failures=FAILED),
    "coherent_colouring": call("coherent_colouring", {"graph": PAW}),
    "block_algebra": call("block_algebra", {"colouring": made("colouring")}),
    "graph_symmetry": call("graph_symmetry", {"graph": PAW, "family": True}),
    "Symmetry.target": call("Symmetry", ONE_HOP, function=made("symmetry").target),
    "Symmetry.expand": call(
        "Symmetry", {"x": theory.graph_symmetry(PAW).adjacency}, function=theory.graph_symmetry(PAW).expand
    ),
    "hamming_symmetry": call("hamming_symmetry", {"d": 2, "q": 3}),
    "path_star_symmetry": call("path_star_symmetry", {"arms": 3, "length": 3}),
    "reduced_tied_optimum": call(
        "reduced_tied_optimum",
        {"algebra": made("symmetry").algebra, "target": made("symmetry").target(), "weight_decay": 0.1}
        | {"row_weight": np.array([1.0, 2.0, 0.5])},
        failures=FAILED,
    ),
    "reduced_untied_optimum": call(
        "reduced_untied_optimum",
        {"algebra": made("symmetry").algebra, "target": made("symmetry").target(), "weight_decay": 0.1}
        | {"row_weight": np.array([1.0, 2.0, 0.5])},
        failures=FAILED,
    ),
    "decay_thresholds": call(
        "decay_thresholds",
        {"graph": PAW, "tied": True, "lowest": 0.5, "tolerance": 0.1, "scan": 2, **ONE_HOP},
        failures=FAILED,
        nan_out=True,  # births of spaces that never are
    ),
    "target_decay_thresholds": call(
        "target_decay_thresholds",
        {"target": TARGET, "spaces": SPACES, "tied": True, "lowest": 0.5, "tolerance": 0.1, "scan": 2}
        | {"row_weight": WEIGHT},
        failures=FAILED,
        nan_out=True,
    ),
    # Other theories.
    "shifted_pmi": call(
        "shifted_pmi",
        {"target": TARGET, "row_law": WEIGHT, "negatives": 2.0, "noise_power": 0.75, "truncation": "zero"},
        loose={"noise_power": SIGN},
    ),
    "netmf_logits": call("netmf_logits", {"graph": PAW, "window": 2, "negatives": 2.0, "truncation": "positive"}),
    "qwem_matrix": call("qwem_matrix", {"target": TARGET, "row_law": PAW.degrees, "negatives": 2.0}),
    "qwem_mode_energy": call(
        "qwem_mode_energy",
        {"eigenvalues": [2.0, -1.0, 0.0], "energy0": [0.1, 0.2, 0.3], "times": [0.0, 1.0, 5.0]},
        loose={"eigenvalues": SIGN, "energy0": "shape: first entry", "times": TIMES + "; shape: one row more"},
        kinds={"eigenvalues": "int float", "energy0": "int float", "times": "int float"},
    ),
    "qwem_times": call(
        "qwem_times",
        {"eigenvalues": [2.0, -1.0, 0.0], "energy0": [0.1, 0.2, 0.3]},
        loose={"eigenvalues": SIGN, "energy0": "shape: first entry"},
        kinds={"eigenvalues": "int float", "energy0": "int float"},
    ),
    "singular_factors": call("singular_factors", {"matrix": LOGITS, "rank": 2}),
    "positive_factors": call("positive_factors", {"matrix": GRAM, "rank": 2}),
    "centred_support": call("centred_support", {"target": TARGET}),
    # Storage.
    "associative_bits": call("associative_bits", {"nodes": 5, "edges": 6, "both_directions": True}),
    "associative_matrix": call("associative_matrix", {"graph": PAW, "both_directions": True}),
    "geometric_bits": call("geometric_bits", {"nodes": 5, "dimension": 2.0, "levels": 4.0, "tied": True}),
    "geometric_norm_bound": call("geometric_norm_bound", {"graph": PAW, "tied": True}),
    "incidence_code": call("incidence_code", {"graph": PAW}),
    "shifted_adjacency_code": call("shifted_adjacency_code", {"graph": PAW}),
    "path_star_code": call("path_star_code", {"arms": 3, "length": 3}),
    "path_star_storage": call(
        "path_star_storage", {"arms": 3, "length": 3, "compressed": True, "both_directions": True, "tied": True}
    ),
    "cycle_storage": call("cycle_storage", {"nodes": 5, "both_directions": True, "tied": True}),
    "storage_cost": call(
        "storage_cost",
        {"nodes": 5, "edges": 6, "dimension": 2.0, "levels": 4.0, "both_directions": True, "tied": True},
    ),
}
CALLS |= RECALL_CALLS
