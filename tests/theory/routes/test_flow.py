import numpy as np
import pytest

from fiedler.theory import graph_flow, one_hop_target, parse, tied_flow, untied_flow

AGREEMENT = 1e-6  # of different integrators, each exact to a few hundred times 1e-9
TIMES = (0.0, 0.5, 5.0)
ROUTES = {
    "cycle:9": "Fourier modes",
    "torus:3x4": "Fourier modes",
    "path-star:4x4": "blocks of the symmetry: depths",
    "petersen": "blocks of the symmetry: stable colouring",
    "florentine": "all nodes",
    "irregular": "all nodes",
}


@pytest.mark.parametrize("word", ROUTES)
@pytest.mark.parametrize("tied", [True, False])
def test_every_route_gives_the_flow_of_all_nodes(word, tied):
    graph = parse(word)
    n, target = graph.n, one_hop_target(graph, self_edges=True, label_smoothing=0.1)
    options = {"self_edges": True, "label_smoothing": 0.1}
    found = graph_flow(graph, TIMES, init_scale=2.0, tied=tied, weight_decay=0.05, **options)
    assert found.method.startswith(ROUTES[word])
    some, none = 2.0 * np.eye(n), np.zeros((n, n))
    whole = (
        tied_flow(target, some, TIMES, weight_decay=0.05)
        if tied
        else untied_flow(target, np.hstack([some, none]), np.hstack([none, some]), TIMES, weight_decay=0.05)
    )
    assert np.allclose(found.loss_per_node, whole.loss / n, rtol=AGREEMENT)
    for values, counts, v in zip(found.eigenvalues, found.multiplicities, whole.embedding, strict=True):
        expected = np.linalg.eigvalsh(v @ v.T)[::-1]
        assert (np.diff(values) <= 0).all()
        assert np.allclose(np.repeat(values, counts), expected, rtol=0, atol=AGREEMENT * expected[0])


def test_refusals():
    for word in ("cycle:5", "petersen", "florentine"):
        with pytest.raises(ValueError, match="init_scale must be a positive number"):
            graph_flow(parse(word), [1.0], init_scale=-1.0)
    with pytest.raises(ValueError, match="2000 nodes"):
        graph_flow(parse("grid:50x51"), [1.0], init_scale=1.0)
