"""Paper B's experiments: what gradient descent finds, and what controls do not have."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...recall.presets import PRESETS
from ..claim import Cell, Claim
from ..criterion import Check, Criterion

SECONDS = 300.0  # of five seeds of a structure run
CHANCE = 1 / 200


def cell(name: str, preset: str, condition: str, **changes: Any) -> Cell:
    """A condition of `fiedler recall`, every setting said."""
    settings = dataclasses.replace(PRESETS[preset].conditions[condition], **changes)
    return Cell(name, {"command": "recall", "preset": preset, "condition": condition, **dataclasses.asdict(settings)})


TRAINED = cell("trained", "structure", "trained")
FROZEN = cell("frozen embeddings", "structure", "frozen_embeddings")
DISJOINT = cell("disjoint attributes", "attributes", "disjoint_attributes")
TWO = cell("2 hops, 1 layer", "multi-hop", "hops_2_layers_1")
THREE = cell("3 hops, 1 layer", "multi-hop", "hops_3_layers_1")
WRITTEN = cell("3 hops, chain of thought", "multi-hop", "hops_3_chain_of_thought", held_out=0.2)
LEARNED, TABLE = (
    Cell(f"{title}, 16 to 128 subjects",
         {"measure": "recall.trained_growth", "name": name, "few": 16, "many": 128})
    for title, name in (("trained", "trained"), ("frozen embeddings", "frozen_embeddings"))
)  # fmt: skip

CLAIMS = (
    Claim(
        "B.structure",
        "Gradient descent finds the superposition",
        "section 5",
        "Trained subject embeddings are sums of linear maps of their attributes' codes.",
        "maps fitted to four fifths of the subjects explain 0.6 of the others' variance, 0.1 or less with facts "
        "shuffled; "
        "all facts recalled",
        "no more explained than with shuffled facts",
        (TRAINED,),
        Criterion(
            (
                Check("facts recalled", ("trained",), "accuracy", least=0.99),
                Check("held-out variance explained", ("trained",), "superposition_r2_held_out", least=0.6),
                Check("the same, facts shuffled", ("trained",), "superposition_r2_shuffled", most=0.1),
            )
        ),
        SECONDS,
    ),
    Claim(
        "B.probes",
        "Attributes can be read off linearly",
        "section 5, linear probes",
        "A linear probe of a subject's embedding gives its attribute in each relation.",
        "0.9 of held-out subjects, in each of four relations (chance 0.005)",
        "probes at chance",
        (TRAINED,),
        Criterion(
            tuple(
                Check(f"probe of relation {r + 1}, held out", ("trained",), f"probe_accuracy.{r}", least=0.9)
                for r in range(4)
            )
        ),
        SECONDS,
    ),
    Claim(
        "B.interventions",
        "Swapping one code changes one answer",
        "section 5, causal interventions",
        "Exchanging one attribute's code in an embedding changes the answer to its relation and no other.",
        "0.7 of the swaps succeed, 0.95 of the other answers stay; random directions of that length change at most "
        "0.05; at the length corrected for the shrinkage of ridge regression 0.95 succeed and the rest holds, too",
        "swaps that do nothing, or change everything",
        (TRAINED,),
        Criterion(
            (
                Check("answer becomes the new one", ("trained",), "intervention_success", least=0.7),
                Check("other answers kept", ("trained",), "intervention_others_kept", least=0.95),
                Check("a random direction", ("trained",), "intervention_random_success", most=0.05),
                Check("corrected: becomes the new one", ("trained",), "intervention_corrected_success", least=0.95),
                Check("corrected: others kept", ("trained",), "intervention_corrected_others_kept", least=0.95),
                Check(
                    "corrected: a random direction", ("trained",), "intervention_corrected_random_success", most=0.05
                ),
                Check(
                    "corrected: another relation's map",
                    ("trained",),
                    "intervention_corrected_other_map_success",
                    most=0.05,
                ),
            )
        ),
        SECONDS,
    ),
    Claim(
        "B.transfer",
        "The perceptron serves new facts without training",
        "section 5, zero-shot transfer",
        "With everything else kept, embeddings composed of the learned codes answer new bijections.",
        "0.9 of the new facts in closed form; random embeddings at most 0.02 (chance 0.005)",
        "new facts at the floor 1 / R of a memory that knows no codes",
        (TRAINED,),
        Criterion(
            (
                Check("new facts, closed form", ("trained",), "transfer_accuracy", least=0.9),
                Check("new facts, random embeddings", ("trained",), "random_control", most=0.02),
            )
        ),
        SECONDS,
    ),
    Claim(
        "B.frozen",
        "Frozen embeddings recall without the structure",
        "appendix D",
        "With embeddings as drawn the facts are recalled, but not by a superposition: no transfer, no probes.",
        "all facts recalled; held-out variance at most 0.05, probes at most 0.05, transfer 0.5 below the trained "
        "model's",
        "the same structure",
        (TRAINED, FROZEN),
        Criterion(
            (
                Check("facts recalled", (FROZEN.name,), "accuracy", least=0.99),
                Check("held-out variance explained", (FROZEN.name,), "superposition_r2_held_out", most=0.05),
                Check("probe of relation 1, held out", (FROZEN.name,), "probe_accuracy.0", most=0.05),
                Check(
                    "new facts, frozen less trained", (FROZEN.name,), "transfer_accuracy", most=-0.5, minus="trained"
                ),
            )
        ),
        2 * SECONDS,
    ),
    Claim(
        "B.gates",
        "The perceptron gates by relation",
        "section 4 and 5",
        "Neurons open for one relation, as the construction's do.",
        "selectivity 0.5 or more, 0.2 above shuffled questions; silencing a relation's neurons costs it 0.3 more than "
        "the others",
        "neurons that do not tell relations apart",
        (TRAINED,),
        Criterion(
            (
                Check("gate selectivity (1: the construction's)", ("trained",), "gate_selectivity", least=0.5),
                Check(
                    "the same less that of shuffled questions",
                    ("trained",),
                    "gate_selectivity",
                    least=0.2,
                    minus="trained",
                    minus_score="gate_selectivity_shuffled",
                ),
                Check(
                    "silenced: others less own",
                    ("trained",),
                    "ablation_others",
                    least=0.3,
                    minus="trained",
                    minus_score="ablation_own",
                ),
                Check(
                    "neurons with 0.9 of their energy in one relation",
                    ("trained",),
                    "gate_one_relation_share",
                    least=0.5,
                ),
            )
        ),
        SECONDS,
        "controls with frozen embeddings are nearly as selective, so that this does not tell the memories apart",
    ),
    Claim(
        "B.disjoint",
        "Attributes of each relation's own",
        "appendix F",
        "When relations share no attributes the same superposition is learned.",
        "held-out variance 0.6, new facts 0.8",
        "no structure",
        (DISJOINT,),
        Criterion(
            (
                Check("facts recalled", (DISJOINT.name,), "accuracy", least=0.99),
                Check("held-out variance explained", (DISJOINT.name,), "superposition_r2_held_out", least=0.6),
                Check("new facts, closed form", (DISJOINT.name,), "transfer_accuracy", least=0.8),
            )
        ),
        2 * SECONDS,
    ),
    Claim(
        "B.capacity",
        "Trained embeddings need few dimensions, frozen ones many",
        "appendix D, capacity",
        "The smallest dimension that memorises grows slowly with the subjects where embeddings are learned, and in "
        "proportion to them with a fixed number of neurons between frozen ones.",
        "exponents from 16 to 128 subjects at most 0.3 trained and at least 0.4 frozen",
        "the same growth",
        (LEARNED, TABLE),
        Criterion(
            (
                Check("exponent, trained", (LEARNED.name,), "exponent", most=0.3),
                Check("exponent, frozen embeddings", (TABLE.name,), "exponent", least=0.4),
            )
        ),
        400,
    ),
    Claim(
        "B.hops",
        "One layer learns as many hops as its width holds",
        "section 5, several hops",
        "At one width a single layer memorises questions of two hops and not of three; with chain of thought it "
        "answers "
        "three, never shown ones too.",
        "two hops 0.95, three at most 0.9 in one layer; 0.95 of never-shown questions with chain of thought",
        "three hops at once as good",
        (TWO, THREE, WRITTEN),
        Criterion(
            (
                Check("questions of two hops", (TWO.name,), "accuracy", least=0.95),
                Check("questions of three hops at once", (THREE.name,), "accuracy", most=0.9),
                Check("never shown, written out", (WRITTEN.name,), "held_out_accuracy", least=0.95),
            )
        ),
        900,
    ),
    Claim(
        "B.real-model",
        "A real language model's subjects are superpositions",
        "appendix E",
        "Subject representations of a pretrained model are probed for the same structure.",
        "probes that generalise over held-out subjects",
        "none",
        (),
        Criterion(reach="needs downloaded weights and a data set of facts"),
        0,
    ),
)
