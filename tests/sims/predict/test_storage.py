"""Storage counts as the command line prints them."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest

from fiedler.sims.predict.describe_graph import describe_storage
from fiedler.theory import as_graph, from_networkx, parse


def test_counts_of_the_paper() -> None:
    star = describe_storage(parse("path-star:4x5"), tied=True)
    assert star["stored_pairs"] == 32
    assert star["associative_bits"] == pytest.approx(32 * math.log2(17))
    assert star["geometric_bits"] == pytest.approx(17 * 4 * math.log2(5))
    assert star["associative_norm"] == pytest.approx(math.sqrt(32))
    cycle = describe_storage(parse("cycle:15"), tied=False)
    assert cycle["geometric_bits"] == pytest.approx(2 * 15 * 2 * math.log2(7.5))
    assert cycle["geometric_norm_at_least"] == pytest.approx(math.sqrt(30))


def test_other_graphs_have_no_known_code() -> None:
    loops = nx.karate_club_graph()
    loops.add_edge(0, 0)
    found = describe_storage(from_networkx(loops), tied=True)
    assert found["geometric_bits"] is None
    assert found["stored_pairs"] == 2 * 78  # loops and weights do not count
    with pytest.raises(ValueError, match="no edge between two nodes"):
        describe_storage(as_graph(np.eye(3)), tied=True)
