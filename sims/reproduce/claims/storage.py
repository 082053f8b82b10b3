"""Propositions 1 to 4: bits, norms and codes. Nothing in them is random."""

from __future__ import annotations

from ..claim import Cell, Claim
from ..criterion import Check, Criterion

STARS, CYCLES = ((4, 5), (20, 5), (100, 5), (100, 10), (5000, 5), (10_000, 10)), (15, 50, 1000, 100_000)
GRAPHS = ("cycle:15", "path-star:4x5", "grid:4x4", "hypercube:4", "karate", "les-miserables", "random:50,75,0")
HUBS = ("path-star:6x2", "path-star:20x2")  # stars, d leaves about a root

BITS = (
    *(Cell(f"path-star:{d}x{l}", {"measure": "storage.path_star_bits", "arms": d, "length": l}, seeded=False)
      for d, l in STARS),
    *(Cell(f"cycle:{n}", {"measure": "storage.cycle_bits", "nodes": n}, seeded=False) for n in CYCLES),
)  # fmt: skip
NORMS = tuple(Cell(graph, {"measure": "storage.norms", "graph": graph}, seeded=False) for graph in (*GRAPHS, *HUBS))
POSITIONS = tuple(
    Cell(f"path-star:{d}x{l}", {"measure": "storage.path_star_positions", "arms": d, "length": l}, seeded=False)
    for d, l in ((3, 3), (4, 5), (20, 5), (50, 6), (10, 10))
)
CODES = tuple(Cell(graph, {"measure": "storage.codes", "graph": graph}, seeded=False) for graph in GRAPHS)


def names(cells: tuple[Cell, ...]) -> tuple[str, ...]:
    """Of cells."""
    return tuple(cell.name for cell in cells)


CLAIMS = (
    Claim(
        "A.prop1",
        "A lookup costs at most twice a geometry",
        "proposition 1",
        "For path-stars and cycles the associative memory's bits and norm are at most twice the geometric one's, so "
        "that succinctness does not explain geometry.",
        "both ratios at most 2 for path-stars and cycles of four sizes, one direction and both",
        "a ratio above 2",
        BITS,
        Criterion(
            tuple(
                Check(f"{what}, associative over geometric, {way}", names(BITS), f"{what}_{way}", most=2.0)
                for what in ("bits", "norm")
                for way in ("forward", "both")
            ),
            universal=True,
        ),
        3,
        "path-stars with the compressed code, whose count is an order of growth without its constants",
    ),
    Claim(
        "A.prop2",
        "Bits of the two memories",
        "proposition 2",
        "A path-star with d arms of l nodes is stored by positions of |V| d log l bits, one coordinate an arm (before "
        "they "
        "are squeezed to log d coordinates); a table takes |E| log |V|.",
        "the code has l levels and d coordinates, and its pairs at distance one are exactly the edges, on five "
        "path-stars",
        "a pair told wrongly",
        POSITIONS,
        Criterion(
            (
                Check("pairs told wrongly", names(POSITIONS), "wrong", most=0.0),
                Check("levels over l", names(POSITIONS), "levels", most=1.0),
                Check("bits over |V| d log2 l", names(POSITIONS), "bits", 1 - 1e-9, 1 + 1e-9),
            ),
            universal=True,
        ),
        3,
        "the squeezed code is an order of growth in the paper, without its constants: not built",
    ),
    Claim(
        "A.prop3",
        "Norms of the two memories",
        "proposition 3",
        "For margin one a table has norm at most sqrt(|E|), doubled for two directions, and positions at least "
        "sqrt(|V|), or sqrt(2 |V|) untied.",
        "the table attains it; no tied or untied code on nine graphs has a smaller norm",
        "an untied code of smaller norm: for stars there is one",
        NORMS,
        Criterion(
            (
                Check("table over sqrt(2 |E|)", names(NORMS), "associative", most=1 + 1e-9),
                Check("least tied norm over sqrt(n)", names(NORMS), "tied", least=1 - 1e-9),
                Check("untied code over sqrt(2 n)", names(NORMS), "untied", least=1 - 1e-9),
            )
        ),
        3,
        "the untied bound needs a graph that cycles and single edges can cover; geometric_norm_bound holds for all",
    ),
    Claim(
        "A.prop4",
        "Positions can be a lookup",
        "proposition 4",
        "With one dimension an edge, Node2Vec's positions can be the incidence code, whose inner products are the "
        "table.",
        "the incidence code's products are 1 on edges and 0 elsewhere on seven graphs",
        "another product",
        CODES,
        Criterion(
            (
                Check("error of the incidence code", names(CODES), "incidence_error", most=1e-12),
                Check("its dimensions over |E|", names(CODES), "incidence_dimension", 1.0, 1.0),
            )
        ),
        3,
    ),
    Claim(
        "A.prop4-footnote",
        "As many dimensions as edges are necessary",
        "proposition 4, footnote (a suspicion)",
        "A lookup in positions needs as many dimensions as there are edges.",
        "no code with fewer dimensions; here one is built, so that only a failure of it would",
        "a code in fewer dimensions: A less its least eigenvalue is positive semidefinite",
        CODES,
        Criterion((Check("dimensions that a smaller code saves", names(CODES), "saved", most=0.0),), universal=True),
        3,
        "the shifted adjacency code, exact to rounding, has fewer than n dimensions on any graph",
    ),
)
