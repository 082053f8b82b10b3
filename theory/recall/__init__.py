"""Factual recall: constructions that hold facts in embeddings, and what any memory of facts needs at least."""

from .associative import AssociativeMemory, associative_dimension, construct_associative
from .bounds import packing_dimension, random_margin_dimension, recall_bits
from .chain_of_thought import chain_answers
from .codes import circle_codes, code_coherence, sign_codes, typical_coherence
from .deep import DeepMemory, construct_deep
from .distinct_codes import distinct_code_dimension
from .facts import Facts, compose_facts, random_facts
from .hop_bounds import multi_hop_bits, one_shot_dimension_bound, weight_bits_bound
from .hop_plan import MultiHopPlan, multi_hop_plan
from .margins import margin_bound, recall_margins, worst_facts
from .memory import FactMemory, construct_memory, memory_from_codes
from .one_shot import OneShotMemory, construct_one_shot
from .storage import FactStorage, code_dimension, fact_storage, multi_hop_dimension

__all__ = [
    "AssociativeMemory",
    "DeepMemory",
    "FactMemory",
    "FactStorage",
    "Facts",
    "MultiHopPlan",
    "OneShotMemory",
    "associative_dimension",
    "chain_answers",
    "circle_codes",
    "code_coherence",
    "code_dimension",
    "compose_facts",
    "construct_associative",
    "construct_deep",
    "construct_memory",
    "construct_one_shot",
    "distinct_code_dimension",
    "fact_storage",
    "margin_bound",
    "memory_from_codes",
    "multi_hop_bits",
    "multi_hop_dimension",
    "multi_hop_plan",
    "one_shot_dimension_bound",
    "packing_dimension",
    "random_facts",
    "random_margin_dimension",
    "recall_bits",
    "recall_margins",
    "sign_codes",
    "typical_coherence",
    "weight_bits_bound",
    "worst_facts",
]
