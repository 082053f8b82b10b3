"""One small valid call of every function of ``fiedler.theory`` about recalling facts; see ``valid_calls``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fiedler.theory as theory
from bad_input_oracle import Call
from valid_inputs import WIDTH, call

FACTS = theory.random_facts(4, 2, seed=3)
MEMORY = theory.construct_memory(4, 2, code_dimension=6, coherence=0.5)
ONE_SHOT = theory.construct_one_shot(4, 2, 2, code_dimension=6, coherence=0.5)
DEEP = theory.construct_deep(FACTS, 3, 2, code_dimension=6, coherence=0.5)
ASSOCIATIVE = theory.construct_associative(FACTS, dimension=6, code_dimension=5)
ASKED = {"embeddings": MEMORY.subject_embeddings(FACTS), "relations": np.array([0, 1, 1, 0])}
SIZES: dict[str, Any] = {"code_dimension": 6, "coherence": 0.9, "seed": 1}
SIGNED = {"coherence": "-0.5; -1"}  # codes may be asked to be that far apart
FEWER = "shape: one row less; shape: first row"
FEWER_OR_MORE = FEWER + "; shape: one row more"
ENTRIES = "shape: one row less; shape: one column less; shape: first row; shape: first column; shape: one row more"

RECALL_CALLS: dict[str, Call] = {
    "code_dimension": call("code_dimension", {"attributes": 10, "coherence": 0.5}),
    "fact_storage": call(
        "fact_storage", {"subjects": 10, "relations": 3, "coherence": 0.5, "bits_per_coordinate": 2.0}
    ),
    "multi_hop_dimension": call(
        "multi_hop_dimension",
        {"attributes": 10, "relations": 3, "hops": 2, "chain_of_thought": False, "coherence": 0.5},
    ),
    # Tables.
    "Facts": call(
        "Facts",
        {"table": FACTS.table, "attributes": 4},
        loose={"table": ENTRIES + "; shape: transposed"},
        kinds={"table": "NDArray"},
    ),
    "random_facts": call("random_facts", {"subjects": 4, "relations": 2, "attributes": 3, "seed": 1}),
    "compose_facts": call("compose_facts", {"facts": FACTS, "word": [0, 1, 1]}, loose={"word": FEWER_OR_MORE}),
    # Codes.
    "typical_coherence": call("typical_coherence", {"attributes": 4, "dimension": 8}),
    "distinct_code_dimension": call("distinct_code_dimension", {"attributes": 4}),
    "sign_codes": call("sign_codes", {"attributes": 4, "dimension": 8, "coherence": 0.5, "seed": 1}),
    "circle_codes": call("circle_codes", {"attributes": 5}),
    "code_coherence": call(
        "code_coherence", {"codes": MEMORY.codes}, loose={"codes": WIDTH + "; " + ENTRIES + "; shape: transposed"}
    ),
    # One hop.
    "FactMemory": call(
        "FactMemory",
        {"codes": MEMORY.codes, "projections": MEMORY.projections, "gate_bias": 1.0},
        loose={"codes": FEWER_OR_MORE, "projections": FEWER_OR_MORE},
    ),
    "construct_memory": call("construct_memory", {"attributes": 4, "relations": 2, "dimension": 8, **SIZES}),
    "memory_from_codes": call(
        "memory_from_codes",
        {"codes": MEMORY.codes, "relations": 2, "dimension": 8, "seed": 1},
        loose={"codes": FEWER_OR_MORE},
    ),
    "FactMemory.subject_embeddings": call("FactMemory", {"facts": FACTS}, function=MEMORY.subject_embeddings),
    "FactMemory.gate": call("FactMemory", ASKED, function=MEMORY.gate),
    "FactMemory.outputs": call("FactMemory", ASKED, function=MEMORY.outputs),
    "FactMemory.logits": call("FactMemory", ASKED, function=MEMORY.logits),
    "recall_margins": call("recall_margins", {"memory": MEMORY, "facts": FACTS}),
    "margin_bound": call("margin_bound", {"memory": MEMORY}),
    "worst_facts": call("worst_facts", {"memory": MEMORY}),
    "recall_bits": call("recall_bits", {"subjects": 4, "relations": 2, "accuracy": 0.9}),
    "packing_dimension": call(
        "packing_dimension", {"attributes": 4, "relations": 2, "margin": 0.5, "radius": 1.5, "lipschitz": 1.0}
    ),
    "random_margin_dimension": call(
        "random_margin_dimension",
        {"subjects": 4, "relations": 2, "attributes": 4, "coherence": 0.5, "margin": 0.1, "failure": 0.01},
        loose=SIGNED,
    ),
    # The associative memory.
    "AssociativeMemory": call(
        "AssociativeMemory",
        {"codes": ASSOCIATIVE.codes, "embeddings": ASSOCIATIVE.embeddings, "matrices": ASSOCIATIVE.matrices},
        loose={"codes": FEWER_OR_MORE, "embeddings": FEWER_OR_MORE, "matrices": FEWER_OR_MORE},
    ),
    "AssociativeMemory.logits": call(
        "AssociativeMemory",
        {"embeddings": ASSOCIATIVE.embeddings, "relations": np.array([0, 1, 1, 0])},
        function=ASSOCIATIVE.logits,
    ),
    "AssociativeMemory.margins": call("AssociativeMemory", {"facts": FACTS}, function=ASSOCIATIVE.margins),
    "construct_associative": call(
        "construct_associative", {"facts": FACTS, "dimension": 6, "code_dimension": 5, "seed": 1}
    ),
    "associative_dimension": call(
        "associative_dimension", {"subjects": 4, "attributes": 4, "relations": 2, "failure": 0.01}
    ),
    # Several hops.
    "chain_answers": call(
        "chain_answers",
        {"memory": MEMORY, "facts": FACTS, "words": np.array([[0, 1], [1, 1], [0, 0]]), "subjects": [0, 1, 3]},
        loose={"words": "shape: one column less; shape: first column"},
    ),
    "OneShotMemory": call(
        "OneShotMemory",
        {"codes": MEMORY.codes, "relations": 2, "hops": 2, "gate_bias": 1.0},
        loose={"codes": FEWER_OR_MORE},
    ),
    "construct_one_shot": call("construct_one_shot", {"entities": 4, "relations": 2, "hops": 2, **SIZES}),
    "OneShotMemory.subject_embeddings": call("OneShotMemory", {"facts": FACTS}, function=ONE_SHOT.subject_embeddings),
    "OneShotMemory.logits": call(
        "OneShotMemory",
        {"embeddings": ONE_SHOT.subject_embeddings(FACTS)[:2], "words": np.array([[0, 1], [1, 1]])},
        function=ONE_SHOT.logits,
    ),
    "DeepMemory": call(
        "DeepMemory",
        {"codes": DEEP.codes, "relations": 2, "hops": (2, 1), "gate_bias": 1.0, "embeddings": DEEP.embeddings},
    ),
    "construct_deep": call("construct_deep", {"facts": FACTS, "hops": 3, "layers": 2, **SIZES}),
    "DeepMemory.logits": call(
        "DeepMemory",
        {"embeddings": DEEP.embeddings[:2], "words": np.array([[0, 1, 1], [1, 1, 0]])},
        function=DEEP.logits,
    ),
    "DeepMemory.select": call(
        "DeepMemory",
        {"embeddings": DEEP.embeddings[:2], "words": np.array([[0, 1], [1, 1]]), "layer": 0},
        function=DEEP.select,
    ),
    "DeepMemory.look_up": call(
        "DeepMemory", {"outputs": DEEP.codes[:3]}, function=DEEP.look_up, loose={"outputs": "*"}
    ),
    "multi_hop_plan": call(
        "multi_hop_plan",
        {"entities": 10, "relations": 3, "hops": 3, "layers": 2, "chain_of_thought": False, "coherence": 0.5},
    ),
    "multi_hop_bits": call("multi_hop_bits", {"entities": 9, "relations": 2, "hops": 2, "subjects": 2}),
    "one_shot_dimension_bound": call(
        "one_shot_dimension_bound", {"entities": 9, "relations": 2, "hops": 2, "bits_per_coordinate": 2.0}
    ),
    "weight_bits_bound": call(
        "weight_bits_bound",
        {"entities": 9, "relations": 2, "hops": 2, "dimension": 3, "bits_per_coordinate": 2.0},
    ),
}
