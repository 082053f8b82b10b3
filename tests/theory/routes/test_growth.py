import networkx as nx
import numpy as np
import pytest

from cases import ALL
from fiedler.theory import early_modes, from_networkx, growth_rates, one_hop_target, parse
from fiedler.theory.routes.growth import LEADING

SAME = 1e-10  # eigenvalues of order one by two dense solvers, repeated ones averaged


@pytest.mark.parametrize("word", ALL)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("options", [{}, {"self_edges": True, "label_smoothing": 0.2}])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_every_route_gives_the_dense_rates(word, tied, options, decay):
    rates, counts = growth_rates(parse(word), tied=tied, weight_decay=decay, **options)
    dense = early_modes(one_hop_target(parse(word), **options), tied=tied, weight_decay=decay).rates
    assert (np.diff(rates) < 0).all()
    assert np.allclose(np.repeat(rates, counts), dense, rtol=0, atol=SAME)


@pytest.mark.parametrize("word", ["cycle:1000000", "hypercube:20", "path-star:100000x10"])
def test_a_million_nodes(word):
    graph = parse(word)
    rates, counts = growth_rates(graph)
    assert counts.sum() == graph.n
    if word.startswith("cycle"):
        assert rates[:3] == pytest.approx(2 * np.cos(2e-6 * np.pi * np.arange(1, 4)), rel=1e-14)
        assert list(counts[:3]) == [2, 2, 2]
    if word.startswith("hyper"):
        assert rates[0] == pytest.approx(2 * (1 - 2 / 20))
        assert counts[0] == 20


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("tied", [True, False])
def test_of_a_large_graph_the_leading_rates(monkeypatch, tied, smoothing):
    graph, options = from_networkx(nx.random_labeled_tree(150, seed=1)), {"tied": tied, "label_smoothing": smoothing}
    whole, counts = growth_rates(graph, weight_decay=0.01, **options)
    monkeypatch.setattr("fiedler.theory.routes.growth.DENSE_LIMIT", 100)
    leading, of_leading = growth_rates(graph, weight_decay=0.01, **options)
    assert of_leading.sum() == LEADING
    expected = np.repeat(whole, counts)[:LEADING]
    assert np.repeat(leading, of_leading) == pytest.approx(expected, abs=1e-8)


def test_refusals():
    with pytest.raises(ValueError, match="label_smoothing"):
        growth_rates(parse("cycle:5"), label_smoothing=1.5)
    with pytest.raises(ValueError, match="weight_decay"):
        growth_rates(parse("cycle:5"), weight_decay=-1.0)
