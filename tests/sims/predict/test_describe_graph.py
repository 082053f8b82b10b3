"""Parts of a spectrum, counted, as the command line prints them."""

from __future__ import annotations

import math

import pytest

from fiedler.sims.predict.describe_graph import describe_modes
from fiedler.theory import parse


def test_a_closed_form_needs_no_count() -> None:
    found = describe_modes(parse("path-star:5000x5"), 3, "combinatorial")
    assert [line["multiplicity"] for line in found["spectrum"]] == [1, 4999]
    assert found["spectrum"][1]["eigenvalue"] == pytest.approx(2 - 2 * math.cos(math.pi / 9), rel=1e-12)
    assert found["spectrum_proof"]["complete"]


@pytest.mark.parametrize("top", [False, True])
def test_a_factorisation_counts(top: bool) -> None:
    graph = parse("grid:40x40")
    found = describe_modes(graph, 3, "symmetric", top=top)
    proof = found["spectrum_proof"]
    assert (proof["method"], proof["end"], proof["complete"]) == ("shift-invert", "top" if top else "bottom", True)
    total = sum(line["multiplicity"] for line in found["spectrum"])
    assert total >= 3
    # By symmetry of the square the second eigenvalue is double; I - D^-1/2 A D^-1/2 of a bipartite graph is symmetric.
    values = [line["eigenvalue"] for line in found["spectrum"]]
    assert [line["multiplicity"] for line in found["spectrum"]][:2] == [1, 2]
    assert values[0] == pytest.approx(2.0 if top else 0.0, abs=1e-10)
    counts = [count["below"] for count in proof["inertia"]]
    assert (graph.n - total if top else total) in counts
