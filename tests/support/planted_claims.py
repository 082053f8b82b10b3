"""For every claim a planted result that confirms it and one that refutes it: what somebody would see if the statement
were true, and if it were false. Rows are (part of the cells' names, "" for all; score; confirming; refuting)."""

from __future__ import annotations

from typing import Any

from fiedler.sims.reproduce.claim import Claim
from fiedler.sims.reproduce.measured import Measured

Row = tuple[str, str, Any, Any]
SEEDS = 5

PLANTED: dict[str, list[Row]] = {
    "A.obs1a": [("", "first", 0.88, 0.02), ("", "path", 0.88, 0.0), ("", "recall", 1.0, 1.0)],
    "A.obs1b": [("", "cascade", 0.0, 1.0), ("", "in_turn", 0.5, 1.0)],
    "A.obs1c": [("", "first", 0.6, 0.02)],
    "A.obs2": [("", "nearest", 1.0, 0.02), ("", "apart", 0.53, 0.0)],
    "A.obs3b": [("", "nearest", 0.95, 0.02)],
    "A.frozen": [("frozen", "first", 0.0, 0.7), ("frozen", "shown", 1.0, 1.0), ("in the weights", "first", 0.88, 0.7)],
    "A.context": [("", "choice", 0.5, 1.0), ("", "others", 1.0, 1.0)],
    "A.fig20-context": [
        ("reverse", "path", 1.0, 0.1), ("reverse", "first", 1.0, 0.4), ("in the context", "first", 0.5, 0.4),
    ],
    "A.arms": [("", "first", 0.9, 0.001), ("", "path", 0.9, 0.0), ("", "recall", 1.0, 1.0)],
    "A.obs6a": [("", "first", 0.0, 0.9), ("", "path", 0.0, 0.9)],
    "A.obs6b": [("", "later", 1.0, 0.2), ("", "first", 0.0, 0.9)],
    "A.fig20": [("", "later", 1.0, 0.2), ("", "path", 0.48, 0.0)],
    "A.fig22": [("in the weights", "area", 0.5, 0.3), ("no pause tokens", "area", 0.4, 0.3)],
    "A.fig23": [("", "peak", 0.6, 0.02), ("", "lost", 0.5, 0.0)],
    "A.fig11": [("", "first", 0.9, 0.06)],
    "A.fig8": [("", "first", 0.9, 0.005)],
    "A.fig9": [("", "nearest", 1.0, 0.05)],
    "A.full-size": [],
    "A.obs3c": [
        ("frozen", "first", 1.0, 300.0), ("frozen", "recall", 1.0, 1.0), ("Node2Vec", "level_step", 110.0, 1.0),
    ],
    "A.obs3a": [("", "recall", 1.0, 0.4), ("", "level", 0.01, 0.8)],
    "A.prop1": [
        ("", "bits_forward", 0.8, 5.0), ("", "bits_both", 1.6, 9.0), ("", "norm_forward", 1.0, 3.0),
        ("", "norm_both", 1.4, 4.0),
    ],
    "A.prop2": [("", "wrong", 0.0, 4.0), ("", "levels", 1.0, 2.0), ("", "bits", 1.0, 2.0)],
    "A.prop3": [("", "associative", 1.0, 1.0), ("", "tied", 1.1, 1.1), ("", "untied", 1.2, 0.6)],
    "A.prop4": [("", "incidence_error", 0.0, 1.0), ("", "incidence_dimension", 1.0, 1.0)],
    "A.prop4-footnote": [("", "saved", -1.0, 9.0)],
    "A.lemma": [("", "error", 1e-9, 0.5)],
    "A.obs4": [("", "kernel", 0.003, 0.3), ("", "first_spaces", 0.98, 0.3)],
    "A.obs4-optimum": [("", "span", 0.99, 0.3), ("", "loss_above_optimum", 0.004, 0.3), ("", "largest", 1e-4, 0.3)],
    "A.rank": [
        ("cycle:15", "rank_least", 2, 5), ("cycle:15", "rank_most", 2, 5), ("cycle:50", "rank_least", 2, 5),
        ("cycle:50", "rank_most", 2, 5), ("path-star:4x5", "rank_least", 3, 5), ("path-star:4x5", "rank_most", 3, 5),
        ("path-star:10x5", "rank_least", 9, 5), ("path-star:10x5", "rank_most", 9, 5),
        ("path-star:20x5", "rank_least", 19, 5), ("path-star:20x5", "rank_most", 19, 5),
        ("grid:4x4", "rank_least", 2, 5), ("grid:4x4", "rank_most", 2, 5),
    ],
    "A.pressure": [("", "effective_rank", 2.0, 12.0)],
    "A.obs8": [("", "commutator", 1e-6, 0.4)],
    "A.prop6": [
        ("", "sum_least", 0.0, -1.0), ("", "sum_most", 2.0, 5.0), ("", "target_least", -2.0, -5.0),
        ("", "target_most", 2.0, 5.0),
    ],
    "A.prop7": [("", "p_least", 0.0, -0.2), ("", "p_most", 1.0, 1.2)],
    "A.prop8": [("", "start", -0.2, 1.0), ("", "kept", -0.01, -1.0), ("", "filtered", -0.1, 0.0)],
    "A.prop10": [("", "tied_order", 1.0, 0.0), ("", "tied_time_error", 0.04, 0.8), ("", "tied_overlap", 0.99, 0.3)],
    "A.collapse": [("cycle:15", "exponent", 0.0, 0.0), ("", "exponent", 0.25, 0.25), ("", "kept", 0.0, 1.0)],
    "A.hyp4": [
        ("untied Transformer", "tied_order", -0.1, 1.0), ("untied Transformer", "untied_order", 1.0, -0.1),
        ("one-layer net", "tied_order", -0.1, 1.0), ("one-layer net", "untied_order", 0.8, 0.0),
        ("Transformer", "tied_order", 1.0, 0.0),
    ],
    "A.obs5": [
        ("frozen", "fiedler_score", 0.17, 0.17), ("", "fiedler_score", 0.6, 0.17), ("", "edge_recall", 1.0, 1.0),
    ],
    "A.cleanest": [("Node2Vec", "gram_error", 0.1, 0.5), ("Transformer", "gram_error", 0.7, 0.5)],
    "A.untied": [
        ("untied", "negative", 0.5, 0.0), ("untied", "neighbours", -0.2, 0.9), ("tied", "negative", 0.0, 0.0),
        ("tied", "neighbours", 0.9, 0.9),
    ],
    "A.self-edges": [
        ("untied with", "negative", 0.1, 0.5), ("untied", "negative", 0.5, 0.5),
        ("without", "geometric_level_neighbours", -0.2, 0.1), ("with u", "geometric_level_neighbours", 0.6, 0.1),
    ],
    "A.fig21": [("", "geometric_level", 0.43, 0.0), ("", "edge_recall", 1.0, 1.0)],
    "A.knobs": [
        ("large start, decay 10", "geometric_margin", 3.0, -1.0), ("small start", "geometric_margin", 7.0, -1.0),
        ("large start", "geometric_margin", -0.5, 3.0),
    ],
    "B.thm4.1": [
        ("", "accuracy", 1.0, 0.4), ("", "transformer_accuracy", 1.0, 0.4), ("", "margin", 0.375, -0.2),
        ("", "per_log", 5.0, 40.0), ("", "transfer_accuracy", 1.0, 0.1), ("", "random_control", 0.01, 0.5),
    ],
    "B.thm4.2": [("", "bits", 8.0, 0.5), ("", "packing", 10.0, 0.5), ("", "hops", 6.0, 0.5), ("", "growth", 1.0, 0.01)],
    "B.thm4.3": [("", "chain", 1.0, 0.3), ("", "chain_dimension", 1.0, 3.0)],
    "B.thm4.4": [
        ("", "one_layer", 1.0, 0.3), ("", "one_layer_dimension", 1.0, 3.0), ("", "layers", 1.0, 0.3),
        ("", "lookups", 1.0, 3.0),
    ],
    "B.associative": [("blocks", "exponent", 0.28, 0.9), ("associative", "exponent", 0.55, 0.2)],
    "B.structure": [
        ("", "accuracy", 1.0, 1.0), ("", "superposition_r2_held_out", 0.82, -0.01),
        ("", "superposition_r2_shuffled", -0.02, -0.02),
    ],
    "B.probes": [("", "probe_accuracy", [1.0, 1.0, 0.99, 1.0], [0.0, 0.01, 0.0, 0.0])],
    "B.interventions": [
        ("", "intervention_success", 0.86, 0.0), ("", "intervention_others_kept", 1.0, 0.2),
        ("", "intervention_random_success", 0.0, 0.0), ("", "intervention_corrected_success", 0.99, 0.0),
        ("", "intervention_corrected_others_kept", 1.0, 0.2), ("", "intervention_corrected_random_success", 0.0, 0.0),
        ("", "intervention_corrected_other_map_success", 0.0, 0.0),
    ],
    "B.transfer": [("", "transfer_accuracy", 0.97, 0.23), ("", "random_control", 0.004, 0.004)],
    "B.frozen": [
        ("frozen", "accuracy", 1.0, 1.0), ("frozen", "superposition_r2_held_out", -0.01, 0.8),
        ("frozen", "probe_accuracy", [0.0] * 4, [1.0] * 4), ("frozen", "transfer_accuracy", 0.23, 0.97),
        ("trained", "transfer_accuracy", 0.97, 0.97),
    ],
    "B.gates": [
        ("", "gate_selectivity", 0.95, 0.05), ("", "gate_selectivity_shuffled", 0.05, 0.05),
        ("", "ablation_others", 1.0, 1.0), ("", "ablation_own", 0.1, 1.0), ("", "gate_one_relation_share", 0.9, 0.0),
    ],
    "B.disjoint": [
        ("", "accuracy", 1.0, 1.0), ("", "superposition_r2_held_out", 0.8, 0.0), ("", "transfer_accuracy", 0.9, 0.2),
    ],
    "B.capacity": [("trained", "exponent", 0.16, 0.7), ("frozen", "exponent", 0.67, 0.2)],
    "B.hops": [
        ("2 hops, 1 layer", "accuracy", 1.0, 0.4), ("3 hops, 1 layer", "accuracy", 0.7, 1.0),
        ("chain of thought", "held_out_accuracy", 0.99, 0.03),
    ],
    "B.real-model": [],
    "F.depth": [
        ("3 layers, width 32", "logit_rank", 5.0, 8.0), ("1 layers, width 32", "logit_rank", 7.0, 7.0),
        ("1 layers, width 8", "logit_rank", 4.0, 8.0),
    ],
    "F.residual-depth": [("", "gram", 1.0, 0.4), ("", "logits", 1.0, 0.4)],
    "F.cycles": [
        ("untied sparse", "rank", 8.5, 2.0), ("tied sparse", "rank", 2.0, 8.5), ("untied smoothed", "loss", 1.323, 1.9),
        ("tied smoothed", "loss", 1.877, 1.323), ("", "floor", 1.323, 1.323), ("", "negative", 0.0, 0.5),
    ],
    "F.bridge": [
        ("without", "alignment", -0.2, 0.8), ("without", "two_hops", 0.0, 1.0), ("with u", "alignment", 0.8, -0.2),
        ("with u", "two_hops", 1.0, 0.0),
    ],
    "F.retention": [("", "peak", 0.95, 0.3), ("cycle", "lost", 0.0, 0.5), ("", "lost", 0.33, 0.0)],
}  # fmt: skip


def planted(claim: Claim, refuting: bool, seeds: int = SEEDS) -> Measured:
    """The result of ``claim``; the first row that fits a cell gives its score."""
    scores = {}
    for cell in claim.cells:
        found: dict[str, Any] = {}
        for part, score, good, bad in PLANTED[claim.name]:
            if part in cell.name:
                found.setdefault(score, bad if refuting else good)
        scores[cell.name] = [found] * (seeds if cell.seeded else 1)
    return Measured(scores, {})
