"""Paper B's theorems: what is built, and bounded. Random facts and codes, so over seeds; bounds are deterministic."""

from __future__ import annotations

from ..claim import Cell, Claim
from ..criterion import Check, Criterion

SIZES = ((100, 4, 32), (1000, 8, 48), (2000, 4, 56))
BUILT = tuple(
    Cell(f"N = {n}, R = {r}", {"measure": "recall.construction", "subjects": n, "relations": r, "code_length": k})
    for n, r, k in SIZES
)
HOPS = tuple(
    Cell(f"{k} hops", {"measure": "recall.several_hops", "entities": 40, "relations": 3, "hops": k}) for k in (2, 3)
)
BOUNDS = tuple(
    Cell(f"N = {n}, R = {r}, K = {k}", {"measure": "recall.bounds", "entities": n, "relations": r, "hops": k},
         seeded=False)
    for n, r, k in ((100, 4, 2), (500, 4, 2), (1000, 8, 2), (1000, 3, 3), (2000, 2, 4))
)  # fmt: skip
BLOCKS, TABLES = (
    Cell(name, {"measure": "recall.growth", "name": name, "few": 16, "many": 256}) for name in ("blocks", "associative")
)
NAMES, BOUND, HOP = (tuple(cell.name for cell in cells) for cells in (BUILT, BOUNDS, HOPS))

CLAIMS = (
    Claim(
        "B.thm4.1",
        "Logarithmic dimension is enough in one layer",
        "section 4, theorem 4.1",
        "Random bijections to shared attributes are recalled by one layer whose subject vectors, sums of attribute "
        "codes, "
        "have O(R log N) coordinates.",
        "every fact recalled with a margin, as theory and as the weights of a Transformer, at d = R k with k at most 6 "
        "log2 N; new facts by the same perceptron",
        "a fact that is not recalled",
        BUILT,
        Criterion(
            (
                Check("facts recalled", NAMES, "accuracy", least=1.0, every=True),
                Check("the same by a Transformer's block", NAMES, "transformer_accuracy", least=1.0, every=True),
                Check("smallest margin", NAMES, "margin", least=0.1, every=True),
                Check("code length over log2 N", NAMES, "per_log", most=6.0),
                Check("new facts, same perceptron", NAMES, "transfer_accuracy", least=1.0, every=True),
                Check("random subject vectors", NAMES, "random_control", most=0.05),
            )
        ),
        100,
    ),
    Claim(
        "B.thm4.2",
        "No memory needs much less",
        "section 4, theorem 4.2 (bounds of ours: its own could not be read)",
        "Information bounds from below are met by the construction up to a constant.",
        "subject vectors' bits within 30 times the facts', R^K k within 30 times the bits of a subject's tree of "
        "answers, "
        "none below them; the tree grows as R^(K-1)",
        "a construction below a bound",
        BOUNDS,
        Criterion(
            (
                Check("bits over the facts'", BOUND, "bits", 1.0, 30.0),
                Check("dimension over the packing bound", BOUND, "packing", least=1.0),
                Check("one-layer dimension over the bits of a tree", BOUND, "hops", 1.0, 30.0),
                Check("bits of K hops over R^(K-1) of one", BOUND, "growth", 0.3, 3.0),
            )
        ),
        10,
    ),
    Claim(
        "B.thm4.3",
        "Several hops with chain of thought cost what one does",
        "section 4, theorem 4.3",
        "If every entity on the way is written and read again, the one-hop memory answers any number of hops: d = R k.",
        "every word of 2 and 3 relations right for every entity, with the one-hop memory",
        "a wrong answer",
        HOPS,
        Criterion(
            (
                Check("questions right, chain of thought", HOP, "chain", least=1.0, every=True),
                Check("dimension over R k", HOP, "chain_dimension", 1.0, 1.0),
            )
        ),
        20,
    ),
    Claim(
        "B.thm4.4",
        "Without it the dimension, or the depth, grows",
        "section 4, theorem 4.4",
        "Answered at once, K hops take R^K k coordinates in one layer, or K layers with lookups of N neurons between.",
        "both built and right for every question, with those counts",
        "a wrong answer",
        HOPS,
        Criterion(
            (
                Check("questions right, one layer", HOP, "one_layer", least=1.0, every=True),
                Check("its dimension over R^K k", HOP, "one_layer_dimension", 1.0, 1.0),
                Check("questions right, K layers", HOP, "layers", least=1.0, every=True),
                Check("lookup neurons over (K - 1) N", HOP, "lookups", 1.0, 1.0),
            )
        ),
        20,
    ),
    Claim(
        "B.associative",
        "Associative memories are linear in the facts",
        "abstract and section 4 (arXiv 2412.06538)",
        "A table between random embeddings needs parameters in proportion to the facts, d^2 ~ N; the construction's "
        "dimension grows like log N.",
        "exponents of the smallest dimension from 16 to 256 subjects: at most 0.4 for blocks, 0.45 to 0.65 for the "
        "table",
        "a table that grows as slowly",
        (BLOCKS, TABLES),
        Criterion(
            (
                Check("exponent of blocks", (BLOCKS.name,), "exponent", most=0.4),
                Check("exponent of the associative memory", (TABLES.name,), "exponent", 0.45, 0.65),
            )
        ),
        40,
    ),
)
