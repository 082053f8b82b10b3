"""Whether a graph can be what its family says: every family against the graphs it makes, and against all others."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from fiedler.theory.graphs import families
from fiedler.theory.graphs.family_sizes import NODES, check_family
from fiedler.theory.graphs.graph import Graph
from fiedler.theory.graphs.words import parse

MADE = {
    "cycle": [(3,), (15,)],
    "torus": [(5,), (3, 5), (3, 4, 5)],
    "grid": [(1,), (6,), (2, 3, 4)],
    "path-star": [(1, 2), (5, 2), (4, 5)],
    "hypercube": [(1,), (6,)],
    "hamming": [(1, 5), (3, 3), (2, 4)],
}
MAKERS = {"cycle": families.cycle, "torus": families.torus, "grid": families.grid, "path-star": families.path_star,
          "hypercube": families.hypercube, "hamming": families.hamming}  # fmt: skip
ALL = [(family, parameters) for family, choices in MADE.items() for parameters in choices]


def test_every_family_is_tried() -> None:
    assert MADE.keys() == NODES.keys() == MAKERS.keys()


@pytest.mark.parametrize(("family", "parameters"), ALL)
def test_a_graph_of_the_family_has_its_nodes_and_no_other_number_has(family: str, parameters: tuple[int, ...]) -> None:
    graph = MAKERS[family](*parameters)
    assert (graph.family, graph.parameters) == (family, parameters)
    check_family(family, parameters, graph.n)
    for n in (graph.n - 1, graph.n + 1, 10**6):
        with pytest.raises(ValueError, match=f"no {family} with these {len(parameters)} parameters has {n} nodes"):
            check_family(family, parameters, n)


@pytest.mark.parametrize("family", NODES)
@pytest.mark.parametrize("n", [1, 5, 8, 16, 81])
def test_small_numbers_are_taken_where_the_formula_gives_n_and_nowhere_else(family: str, n: int) -> None:
    """Every choice of up to three parameters of 0 to n + 1, against the numbers of nodes written out."""
    nodes = {
        "cycle": lambda p: p[0],
        "torus": math.prod,
        "grid": math.prod,
        "path-star": lambda p: p[0] * (p[1] - 1) + 1,
        "hypercube": lambda p: 2 ** p[0],
        "hamming": lambda p: p[1] ** p[0],
    }[family]
    counts = {"cycle": {1}, "hypercube": {1}, "torus": {1, 2, 3}, "grid": {1, 2, 3}}.get(family, {2})
    values = sorted({0, 1, 2, 3, 4, 5, n - 1, n, n + 1})
    for count in range(4):
        for parameters in itertools.product(values, repeat=count):
            fits = count in counts and min(parameters, default=0) >= 1 and max(parameters) <= n
            try:
                check_family(family, parameters, n)
            except ValueError:
                assert not (fits and nodes(parameters) == n), parameters
            else:
                assert fits, parameters
                assert nodes(parameters) == n, parameters


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("hypercube", (10**9,)),
        ("hamming", (10**9, 10**9)),
        ("hamming", (10**9, 1)),
        ("path-star", (10**9, 10**9)),
        ("grid", (10**9,) * 3),
        ("cycle", (-4,)),
        ("torus", ()),
    ],
)
def test_numbers_far_too_large_are_refused_at_once(family: str, parameters: tuple[int, ...]) -> None:
    """Powers with a thousand million digits are never worked out, here with as many nodes as parameters allow."""
    with pytest.raises(ValueError, match="leave family and parameters out, or use parse"):
        check_family(family, parameters, 10**9 + 1)


@pytest.mark.parametrize("parameters", [[4], (4.0,), (True,), (np.int64(4),), ("4",), None, 4])
def test_parameters_that_are_no_tuple_of_integers(parameters: object) -> None:
    for family in ("cycle", "mine", None):
        with pytest.raises(TypeError, match="parameters must be a tuple of integers"):
            check_family(family, parameters, 4)


@pytest.mark.parametrize("family", [3, b"cycle", ("cycle",)])
def test_a_family_that_is_no_word(family: object) -> None:
    with pytest.raises(TypeError, match="family"):
        check_family(family, (4,), 4)


def test_families_without_closed_forms_may_be_of_any_size() -> None:
    check_family("tree", (3, 2), 4)
    check_family(None, (), 4)
    check_family("my own", (1, 2, 3), 1)


def test_a_graph_is_refused_when_it_is_made() -> None:
    """Closed forms would trust it and be wrong."""
    adjacency = parse("cycle:5").adjacency
    Graph(adjacency, tuple(range(5)), "mine", "cycle", (5,))
    with pytest.raises(ValueError, match="no cycle with these 1 parameters has 5 nodes"):
        Graph(adjacency, tuple(range(5)), "mine", "cycle", (6,))
