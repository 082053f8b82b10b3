"""GraphML and GML that were once read as another graph, or refused for no reason of the user's."""

import networkx as nx
import numpy as np
import pytest

from fiedler.theory.graphs.readers import read_graph
from fiedler.theory.graphs.reading import ReadOptions

HEAD = '<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
WEIGHT = '<key id="w" for="edge" attr.name="weight" attr.type="{}">{}</key>'
NODES = '<node id="a"/><node id="b"/><node id="c"/>'


def graphml(tmp_path, body, keys="", **options):
    file = tmp_path / "g.graphml"
    file.write_text(f'{HEAD}{keys}<graph edgedefault="undirected">{body}</graph></graphml>', encoding="utf-8")
    return read_graph(file, options=ReadOptions(**options))


def gml(tmp_path, text, encoding="utf-8", **options):
    file = tmp_path / "g.gml"
    file.write_bytes(text.encode(encoding))
    return read_graph(file, options=ReadOptions(**options))


def test_graphml_weights_have_their_default(tmp_path):
    body = NODES + '<edge source="a" target="b"/><edge source="b" target="c"><data key="w">2</data></edge>'
    graph = graphml(tmp_path, body, WEIGHT.format("double", "<default>5</default>"))
    assert graph.adjacency.toarray().tolist() == [[0, 5, 0], [5, 0, 2], [0, 2, 0]]
    assert graph.reading.weights == "attribute 'weight'"
    plain = graphml(tmp_path, body, WEIGHT.format("double", ""))
    assert plain.adjacency.toarray().tolist() == [[0, 1, 0], [1, 0, 2], [0, 2, 0]]
    assert plain.reading.notes == ("1 edges without 'weight' weigh 1",)


def test_weights_as_text_are_the_numbers_they_show(tmp_path):
    body = NODES + '<edge source="a" target="b"><data key="w">2.5</data></edge>'
    assert graphml(tmp_path, body, WEIGHT.format("string", "")).adjacency[0, 1] == 2.5
    with pytest.raises(ValueError, match=r"weight 'much' of edge a - b is not a number"):
        graphml(tmp_path, body.replace("2.5", "much"), WEIGHT.format("string", ""))
    text = 'graph [ node [ id 0 label "a" ] node [ id 1 label "b" ] edge [ source 0 target 1 weight "2.5" ] ]'
    assert gml(tmp_path, text).adjacency[0, 1] == 2.5


def test_parallel_edges_of_one_id_add(tmp_path):
    body = NODES + '<edge id="e" source="a" target="b"/>' * 3
    assert graphml(tmp_path, body).adjacency.toarray().tolist() == [[0, 3, 0], [3, 0, 0], [0, 0, 0]]
    # A data element called "key" is no key of NetworkX's either.
    key = '<key id="k" for="edge" attr.name="key" attr.type="string"/>'
    body = NODES + '<edge source="a" target="b"><data key="k">x</data></edge>' * 2
    assert graphml(tmp_path, body, key).adjacency[0, 1] == 2


def test_several_graphs_in_a_file_are_refused(tmp_path):
    body = NODES + '</graph><graph edgedefault="undirected"><node id="d"/>'
    with pytest.raises(ValueError, match="holds 2 graphs; keep one") as error:
        graphml(tmp_path, body)
    assert "export it again" not in str(error.value)
    with pytest.raises(ValueError, match="graphs inside nodes"):
        graphml(tmp_path, '<node id="a"><graph edgedefault="undirected"><node id="b"/></graph></node>')


def test_names_are_not_rewritten(tmp_path):
    graph = graphml(tmp_path, '<node id="00501"/><node id="01"/><edge source="00501" target="01"/>')
    assert graph.nodes == ("00501", "01")
    assert graphml(tmp_path, '<node id="5"/><node id="-1"/>').nodes == (5, -1)
    assert gml(tmp_path, 'graph [ node [ id 0 label "01" ] node [ id 1 label "1" ] ]').nodes == ("01", "1")


def test_a_weight_by_its_name(tmp_path):
    key = WEIGHT.format("double", "").replace('attr.name="weight"', 'attr.name="cost"')
    body = NODES + '<edge source="a" target="b"><data key="w">2.5</data></edge>'
    assert graphml(tmp_path, body, key).adjacency[0, 1] == 1
    assert graphml(tmp_path, body, key, weight="cost").adjacency[0, 1] == 2.5
    with pytest.raises(ValueError, match=r"no edge has the attribute 'costs'; it has cost"):
        graphml(tmp_path, body, key, weight="costs")
    with pytest.raises(ValueError, match="is GraphML, which has no delimiter"):
        graphml(tmp_path, body, key, delimiter=",")
    assert graphml(tmp_path, body, key.replace("cost", "weight"), weight="").adjacency[0, 1] == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_gml_in_its_encodings(tmp_path, encoding):
    text = 'graph [ node [ id 0 label "Göteborg" ] node [ id 1 label "Århus" ] edge [ source 0 target 1 ] ]'
    assert gml(tmp_path, text, encoding).nodes == ("Göteborg", "Århus")
    if encoding != "latin-1":
        assert gml(tmp_path, text.replace("Århus", "東京"), encoding).nodes == ("Göteborg", "東京")


def test_gml_with_repeated_labels_and_edges(tmp_path):
    nodes = 'node [ id 4 label "x" ] node [ id 7 label "x" ] node [ id 9 label "y" ]'
    edges = "edge [ source 4 target 7 weight 2 ] edge [ source 4 target 7 weight 3 ] edge [ source 7 target 9 ]"
    graph = gml(tmp_path, f'Creator "x"\ngraph [\n directed 0\n {nodes} {edges} ]')
    assert graph.nodes == (4, 7, 9)
    assert graph.adjacency.toarray().tolist() == [[0, 5, 0], [5, 0, 1], [0, 1, 0]]
    assert "labels repeat: nodes are named by their ids" in graph.reading.notes


@pytest.mark.parametrize("suffix", [".gml", ".graphml"])
def test_sums_in_another_order_are_no_direction(tmp_path, suffix):
    source = nx.MultiDiGraph()
    for weight in (0.1, 0.2, 0.3):
        source.add_edge("a", "b", weight=weight)
    for weight in (0.3, 0.2, 0.1):
        source.add_edge("b", "a", weight=weight)
    source.add_edge("a", "a", weight=1e-9)
    file = tmp_path / f"g{suffix}"
    (nx.write_gml if suffix == ".gml" else nx.write_graphml)(source, file)
    graph = read_graph(file)
    assert np.allclose(graph.adjacency.toarray(), [[1e-9, 0.6], [0.6, 0]])
