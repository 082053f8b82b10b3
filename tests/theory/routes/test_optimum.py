import networkx as nx
import numpy as np
import pytest

from cases import SMALL
from fiedler.theory import (
    ClosedForm,
    ReducedOptimum,
    ReducedUntiedOptimum,
    TiedOptimum,
    UntiedOptimum,
    from_networkx,
    graph_optimum,
    one_hop_target,
    parse,
    tied_optimum,
    untied_optimum,
)

VIOLATION = 1e-7  # what certificates promise
LOSS = 1e-9  # relative: exact solvers against each other


@pytest.mark.parametrize("word", SMALL)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.05, "self_edges": True}, {"label_smoothing": 0.2}])
def test_every_route_gives_the_dense_loss(word, tied, options):
    found = graph_optimum(parse(word), tied=tied, **options)
    target_options = {k: v for k, v in options.items() if k != "weight_decay"}
    solver = tied_optimum if tied else untied_optimum
    dense = solver(one_hop_target(parse(word), **target_options), weight_decay=options.get("weight_decay", 0.0))
    assert found.loss_per_node == pytest.approx(dense.loss_per_node, rel=LOSS)
    assert found.certificate.max_violation < VIOLATION
    assert found.attained == dense.attained
    assert found.rank == len(np.repeat(found.eigenvalues, found.multiplicities))
    assert found.tied == tied
    assert found.weight_decay == options.get("weight_decay", 0.0)


@pytest.mark.parametrize(
    ("word", "options", "kind"),
    [
        ("cycle:15", {}, ClosedForm),
        ("hypercube:20", {}, ClosedForm),
        ("path-star:5000x5", {}, ReducedOptimum),
        ("tree:2,4", {}, ReducedOptimum),
        ("florentine", {}, TiedOptimum),
        ("irregular", {}, TiedOptimum),
        ("florentine", {"tied": False, "weight_decay": 0.1}, UntiedOptimum),
        ("path-star:5000x5", {"tied": False, "weight_decay": 0.1}, ReducedUntiedOptimum),
        ("grid:200x200", {"tied": False}, ClosedForm),
    ],
)
def test_the_route(word, options, kind):
    found = graph_optimum(parse(word), **options)
    assert isinstance(found.detail, kind)
    assert found.certificate.max_violation < VIOLATION


def test_the_untied_infimum_of_a_large_graph_is_the_entropy():
    found = graph_optimum(parse("grid:200x200"), tied=False)
    corners, sides = 4, 4 * 198
    inner = 200 * 200 - corners - sides
    expected = (corners * np.log(2) + sides * np.log(3) + inner * np.log(4)) / 200**2
    assert found.loss_per_node == pytest.approx(expected, rel=1e-13)
    assert not found.attained


def test_components_of_a_disconnected_graph_diverge():
    twins = from_networkx(nx.disjoint_union(nx.cycle_graph(7), nx.cycle_graph(7)))
    found = graph_optimum(twins)  # symmetric enough for blocks, but they do not separate components
    assert found.diverging == 1
    assert not found.attained
    assert found.loss_per_node == pytest.approx(graph_optimum(parse("cycle:7")).loss_per_node, rel=LOSS)


def test_a_graph_above_the_dense_size_is_certified_in_the_time_it_is_given():
    found = graph_optimum(parse("grid:50x51"), time_limit=2.0)
    assert (found.converged, found.stopped_by, found.tolerance) == (False, "time limit", 1e-4)
    assert 0 < found.relative_gap < 1
    assert found.certificate.duality_gap == pytest.approx(found.relative_gap * found.loss_per_node * 2550, rel=1e-9)


def test_refusals():
    lonely = nx.path_graph(3)
    lonely.add_node("x")
    with pytest.raises(ValueError, match=r"1 isolated node\(s\) \(x\)"):
        graph_optimum(from_networkx(lonely))
    with pytest.raises(ValueError, match="weight_decay"):
        graph_optimum(parse("petersen"), weight_decay=-1.0)
