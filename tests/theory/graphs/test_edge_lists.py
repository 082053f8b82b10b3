"""Edge lists that were once read as another graph: names with marks, leading zeros, headers, other separators."""

import sys
import warnings

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory.graphs import edge_lists
from fiedler.theory.graphs.readers import read_graph
from fiedler.theory.graphs.reading import ReadOptions


def edges_of(graph):
    upper = sp.triu(graph.adjacency, format="coo")
    return {(graph.nodes[i], graph.nodes[j]): w for i, j, w in zip(upper.row, upper.col, upper.data, strict=True)}


def read(tmp_path, text, name="edges.txt", **options):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_graph(file, options=ReadOptions(**options)) if options else read_graph(file)


def size(graph):
    return graph.n, graph.edge_count, graph.component_count


@pytest.mark.parametrize(
    ("text", "name", "nodes", "edges"),
    [
        ("C# Java\nJava Python\nPython C#\n", "e.txt", 3, 3),
        ("a#1 b\nb a#2\na#2 c\nc a#1\n", "e.txt", 4, 4),
        ("100% a\na b\nb 100%\n", "e.txt", 3, 3),
        ("New%20York Boston\nBoston New%20Haven\n", "e.txt", 3, 2),
        ("http://a.org/#x http://a.org/#y\nhttp://a.org/#y http://a.org/?q=1\n", "e.txt", 3, 2),
        ('"C#",Java\nJava,"F #"\n"C#","F #"\n', "e.csv", 3, 3),
        ("C#\tF# core\nF# core\tJava\n", "e.tsv", 3, 2),
    ],
)
def test_a_mark_inside_a_name_is_no_comment(tmp_path, text, name, nodes, edges):
    graph = read(tmp_path, text, name)
    assert (graph.n, graph.edge_count) == (nodes, edges)
    assert graph.reading.comments == 0


def test_a_comment_begins_its_line_or_follows_white_space(tmp_path):
    text = "#0 1\n  % 2 3\na#1 b # why\nb\tc\t% because\nlonely #\n"
    graph = read(tmp_path, text)
    assert graph.nodes == ("a#1", "b", "c", "lonely")
    assert graph.reading.comments == 5
    assert read(tmp_path, "#a b\nb %c\n", comments="").nodes == ("#a", "b", "%c")
    assert read(tmp_path, "; a\na b\n", comments=";").nodes == ("a", "b")
    # A comment that would leave one name of an edge is none that anyone meant.
    with pytest.raises(ValueError, match=r"e.tsv:2: a comment where a name should be .*--comments"):
        read(tmp_path, "Java\tC\nC\t#net\n", "e.tsv")


def test_leading_zeros_and_signs_make_other_names(tmp_path):
    graph = read(tmp_path, "01 2\n1 2\n")
    assert graph.nodes == ("01", "2", "1")
    assert edges_of(graph) == {("01", "2"): 1, ("2", "1"): 1}
    assert read(tmp_path, "00501 00544\n").nodes == ("00501", "00544")
    assert read(tmp_path, "+1 1\n").nodes == ("+1", "1")
    assert read(tmp_path, "-0 0\n").nodes == ("-0", "0")
    assert read(tmp_path, "0 -10\n").nodes == (-10, 0)


HEADERS = [
    ("id_1,id_2\n", ","),
    ("u,v\n", ","),
    ("source,target\n", ","),
    ("from,to\n", ","),
    ("node_1,node_2\n", ","),
    ("source target\n", " "),
    ("From;To\n", ";"),
    ("Source\tTarget\n", "\t"),
    ("src | dst\n", "|"),
]


@pytest.mark.parametrize(("header", "mark"), HEADERS)
@pytest.mark.parametrize("suffix", [".csv", ".txt", ".edges"])
@pytest.mark.parametrize("names", ["012", "abc"])
def test_a_first_line_that_names_columns_is_no_edge(tmp_path, header, mark, suffix, names):
    if names == "abc" and header.startswith("u,v"):
        names = "xyz"
    text = header + "".join(f"{u}{mark}{v}\n" for u, v in zip(names, names[1:] + names[0], strict=True))
    if header.startswith("id_1") and suffix != ".csv":
        pass  # a known pair all the same
    graph = read(tmp_path, text, f"e{suffix}")
    assert size(graph) == (3, 3, 1)
    assert [word.lower() for word in graph.reading.header] == [
        word.strip().lower() for word in header.strip().split(mark if mark != " " else None)
    ]
    kept = read(tmp_path, text, f"e{suffix}", header=False)
    assert size(kept) == (5, 4, 2)


def test_a_first_line_of_names_that_come_again_is_an_edge(tmp_path):
    assert size(read(tmp_path, "u v\nv w\nw u\n")) == (3, 3, 1)
    assert size(read(tmp_path, "u,v\nv,w\nw,u\n", "e.csv")) == (3, 3, 1)
    assert size(read(tmp_path, "alice,bob\nbob,carol\n", "e.csv")) == (3, 2, 1)
    # Words over numbers: columns in a table, not to be guessed in a plain list.
    assert size(read(tmp_path, "user,friend\n1,2\n2,3\n", "e.csv")) == (3, 2, 1)
    assert read(tmp_path, "user,friend\n001,002\n002,003\n", "e.csv").nodes == ("001", "002", "003")
    assert read(tmp_path, "x,y\n1.5,2\n2,3\n", "e.csv").nodes == ("1.5", "2", "3")
    with pytest.raises(ValueError, match=r"first line 'user friend' .*--header.*--no-header"):
        read(tmp_path, "user friend\n1 2\n2 3\n")
    assert size(read(tmp_path, "user friend\n1 2\n2 3\n", header=True)) == (3, 2, 1)
    assert size(read(tmp_path, "user friend\n1 2\n2 3\n", header=False)) == (5, 3, 2)


def test_columns_by_their_names(tmp_path):
    expected = {("a", "b"): 2.5, ("b", "c"): 4}
    for header, rows in [
        (",source,target,weight", ["0,a,b,2.5", "1,b,c,4"]),  # pandas' index
        ("Unnamed: 0,source,target,weight", ["0,a,b,2.5", "1,b,c,4"]),
        ("source,target,weight", ["1,a,b,2.5", "2,b,c,4"]),  # R's row names
        ("weight,target,source", ["2.5,b,a", "4,c,b"]),
        ("Source,Target,Type,Id,Label,timeset,Weight", ["a,b,Undirected,0,,,2.5", "b,c,Undirected,1,,,4"]),  # Gephi
    ]:
        graph = read(tmp_path, "\n".join([header, *rows]), "e.csv")
        assert {frozenset(edge): w for edge, w in edges_of(graph).items()} == {
            frozenset(edge): w for edge, w in expected.items()
        }
    named = "person friend rating\nann bob 4\nbob eve 2\n"
    assert edges_of(read(tmp_path, named, weight="rating")) == {("ann", "bob"): 4, ("bob", "eve"): 2}
    text = "source,target,rating\na,b,2\nb,c,3\n"
    with pytest.raises(ValueError, match=r"column 'rating'.*--weight rating.*--weight ''"):
        read(tmp_path, text, "e.csv")
    assert edges_of(read(tmp_path, text, "e.csv", weight="rating")) == {("a", "b"): 2, ("b", "c"): 3}
    assert edges_of(read(tmp_path, text, "e.csv", weight="")) == {("a", "b"): 1, ("b", "c"): 1}
    with pytest.raises(ValueError, match="no column 'cost'"):
        read(tmp_path, text, "e.csv", weight="cost")
    with pytest.raises(ValueError, match="no column 'cost'"):
        read(tmp_path, "a b 2\n", weight="cost")
    assert edges_of(read(tmp_path, "a b 2\n", weight="")) == {("a", "b"): 1}
    attributes = "a b {'cost': 2, 'weight': 3}\n"
    assert edges_of(read(tmp_path, attributes)) == {("a", "b"): 3}
    assert edges_of(read(tmp_path, attributes, weight="cost")) == {("a", "b"): 2}
    assert edges_of(read(tmp_path, attributes, weight="")) == {("a", "b"): 1}


def test_other_separators(tmp_path):
    expected = {(1, 2): 0.5, (2, 3): 1.5}
    for mark in (";", "|", "\t", ",", ", ", " ; "):
        assert edges_of(read(tmp_path, f"1{mark}2{mark}0.5\n2{mark}3{mark}1.5\n")) == expected, mark
        assert edges_of(read(tmp_path, f"1{mark}2{mark}0.5\n2{mark}3{mark}1.5\n", "e.csv")) == expected, mark
    # One separator for the file: names may then hold the others.
    assert edges_of(read(tmp_path, "Area 51\tBase 2\nBase 2\tHome\n")) == {
        ("Area 51", "Base 2"): 1, ("Base 2", "Home"): 1,
    }  # fmt: skip
    assert read(tmp_path, "Jean Valjean,Cosette\nJavert Inspector\n", "e.csv").nodes == (
        "Jean Valjean", "Cosette", "Javert Inspector",
    )  # fmt: skip
    assert read(tmp_path, "Smith,J Doe,A\nDoe,A Roe,B\n").nodes == ("Smith,J", "Doe,A", "Roe,B")
    assert read(tmp_path, "x=1 y\ny z=2\n").nodes == ("x=1", "y", "z=2")
    assert edges_of(read(tmp_path, "0\t1 2.5\n1\t2 3\n")) == {(0, 1): 2.5, (1, 2): 3}
    assert read(tmp_path, "a b;c d\n", delimiter=";").nodes == ("a b", "c d")
    assert read(tmp_path, "a:b\nb:c\n", delimiter=":").nodes == ("a", "b", "c")
    assert read(tmp_path, "a,b c\n", "e.csv", delimiter="space").nodes == ("a,b", "c")
    with pytest.raises(ValueError, match=r"both ',' and ';'.*--delimiter"):
        read(tmp_path, "1;2;0,5\n2;3;1,5\n", "e.csv")
    with pytest.raises(ValueError, match="the weight '0,5' is not a number"):
        read(tmp_path, "1;2;0,5\n2;3;1,5\n", "e.csv", delimiter=";")
    with pytest.raises(ValueError, match=r"no line has a separator.*--delimiter"):
        read(tmp_path, "a:b\nb:c\nc:a\n")
    with pytest.raises(ValueError, match="quote"):
        read(tmp_path, 'a,"b\nc,d\n', "e.csv")


FOREIGN = {
    "adjacency list": "0 1 4\n1 2\n2 3\n3 4\n4\n",
    "multiline adjacency list": "0 2\n1 {}\n4 {}\n1 1\n2 {}\n",
    "METIS": "5 5\n2 5\n1 3\n2 4\n3 5\n4 1\n",
    "colons": "0: 1 4\n1: 2 0\n",
    "arrows": "a -- 1\n1 -- 2\n",
    "DOT": "graph {\na\n}\n",
    "UCINET": "dl n=3\nformat = edgelist1\ndata:\n",
    "JSON": '{"nodes":[]}\n',
    "XML": "<graphml>\n",
    "LGF": "@nodes\nlabel\n",
    "GDF": "nodedef>name\na\nb\n",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_formats_are_refused_by_name(tmp_path, kind):
    with pytest.raises(ValueError, match=r"g.txt") as error:
        read(tmp_path, FOREIGN[kind], "g.txt")
    assert "\n" not in str(error.value)
    assert kind in ("multiline adjacency list", "colons", "arrows") or kind in str(error.value)


def test_weighted_lists_are_no_adjacency_lists(tmp_path):
    assert edges_of(read(tmp_path, "0 1 1\n1 2 1\n2 0 1\n")) == {(0, 1): 1, (1, 2): 1, (0, 2): 1}
    assert size(read(tmp_path, "0 1 3\n1 2 1\n2 0 2\n5\n")) == (4, 3, 2)
    assert edges_of(read(tmp_path, "a b 2.5\nb c\n")) == {("a", "b"): 2.5, ("b", "c"): 1}


GRAPHS = {
    "cycle": nx.cycle_graph(5),
    "star": nx.star_graph(4),
    "karate": nx.karate_club_graph(),
    "path": nx.path_graph(3),
}


@pytest.mark.parametrize("word", GRAPHS)
@pytest.mark.parametrize("form", [".adjlist", ".metis", ".graph", ".net", ".dimacs", ".col", ".g6", ".s6"])
def test_other_text_formats_are_read(tmp_path, word, form):
    source = nx.empty_graph(GRAPHS[word].number_of_nodes() + 1)  # the last one isolated
    source.add_edges_from(GRAPHS[word].edges)
    n = source.number_of_nodes()
    expected = nx.to_numpy_array(source, nodelist=range(n))
    file = tmp_path / f"g{form}"
    if form == ".adjlist":
        nx.write_adjlist(source, file)
    elif form in (".metis", ".graph"):
        rows = [" ".join(str(v + 1) for v in source[u]) for u in range(n)]
        file.write_text("\n".join([f"% comment\n{n} {source.number_of_edges()}", *rows]) + "\n")
    elif form == ".net":
        nx.write_pajek(nx.relabel_nodes(source, str), file)
    elif form in (".dimacs", ".col"):
        lines = [f"e {u + 1} {v + 1}" for u, v in source.edges]
        file.write_text("\n".join(["c comment", f"p edge {n} {len(lines)}", *lines]) + "\n")
    elif form == ".g6":
        nx.write_graph6(nx.convert_node_labels_to_integers(source, ordering="sorted"), file)
    else:
        nx.write_sparse6(nx.convert_node_labels_to_integers(source, ordering="sorted"), file)
    graph = read_graph(file)
    first = 1 if form in (".metis", ".graph", ".dimacs", ".col") else 0
    order = [graph.nodes.index(node + first) for node in range(n)]
    assert np.array_equal(graph.adjacency.toarray()[np.ix_(order, order)], expected)
    assert graph.reading.format


def test_the_report_says_what_was_understood(tmp_path):
    graph = read(tmp_path, "# tram\nsource,target,weight\n1,2,0.5\n2,3,1\n7,8,1\n", "tram.csv")
    assert graph.reading.describe(graph.nodes, graph.edge_count, graph.component_count) == {
        "format": "edge list", "delimiter": ",", "header": ["source", "target", "weight"], "comments": 1,
        "names": "integers", "weights": "column 'weight'", "notes": [], "nodes": 5, "edges": 3, "components": 2,
    }  # fmt: skip
    doubled = read(tmp_path, "a b\nb a\n")
    assert doubled.reading.delimiter == "white space"
    assert doubled.reading.weights == "all 1"
    assert any("both directions" in note for note in doubled.reading.notes)


def lines_of(rng, kind, marks, count):
    """Random lines of one kind: integers, text, weighted, with comments between them."""
    names = (
        [str(k) for k in rng.integers(-5, 60, 40)] if kind != "text" else [f"n#{k}é" for k in range(40)] + ["01", "1"]
    )
    out = []
    for _ in range(count):
        u, v = rng.choice(names, 2)
        fields = [u, v, *([repr(float(rng.random()))] if kind == "weighted" else [])]
        out.append(marks.join(fields) + ("\r" if rng.random() < 0.1 else ""))
        if rng.random() < 0.05:
            out.append(rng.choice(["# note", "", "  % 1 2"]))
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("kind", ["integers", "text", "weighted"])
@pytest.mark.parametrize("marks", [" ", "\t", ",", " , ", ";"])
def test_blocks_and_lines_give_the_same_graph(tmp_path, monkeypatch, kind, marks):
    """The reader of large files, forced upon small ones in blocks of a few lines, against that of lines."""
    rng = np.random.default_rng(0)
    text = lines_of(rng, kind, marks, 300)
    by_lines = read(tmp_path, text, "e.txt")
    monkeypatch.setattr(edge_lists, "LARGE", 0)
    for name in ("BLOCK", "SAMPLE"):
        monkeypatch.setattr(edge_lists, name, 400)
    taken = []
    whole = edge_lists.read_blocks
    monkeypatch.setattr(edge_lists, "read_blocks", lambda *given: taken.append(whole(*given)) or taken[-1])
    by_blocks = read(tmp_path, text, "e.txt")
    assert taken[-1] is not None, "the blocks were not regular"
    assert by_blocks.nodes == by_lines.nodes
    assert by_blocks.reading == by_lines.reading
    assert np.array_equal(by_blocks.adjacency.toarray(), by_lines.adjacency.toarray())


@pytest.mark.parametrize(
    "line", ["a b c", "a b 1 2", "5", "a b -1", "a b nan", "\0", "5 6 {}", '"a" b 1', "007 8 1", "+1 2 1", "-0 1 1"]
)
def test_an_odd_line_deep_in_a_large_file_is_read_by_lines(tmp_path, monkeypatch, line):
    text = "".join(f"{k} {k + 1} 1.5\n" for k in range(300)) + f"{line}\n"

    def outcome():
        try:
            graph = read(tmp_path, text)
            return graph.nodes, edges_of(graph)
        except ValueError as error:
            return str(error)

    by_lines = outcome()
    monkeypatch.setattr(edge_lists, "LARGE", 0)
    for name in ("BLOCK", "SAMPLE"):
        monkeypatch.setattr(edge_lists, name, 400)
    assert outcome() == by_lines


def test_without_pyarrow_a_large_list_is_read_by_lines_and_says_so(tmp_path, monkeypatch):
    file = tmp_path / "large.edgelist"
    file.write_text("".join(f"{i} {i + 1} 2.5\n" for i in range(50)))
    monkeypatch.setattr(edge_lists, "LARGE", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_blocks = read_graph(file)
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # the import system then says that it is not there
    with pytest.warns(
        UserWarning, match=r"^.*large\.edgelist' is read line by line, several times slower: pip install"
    ):
        by_lines = read_graph(file)
    assert by_lines.nodes == by_blocks.nodes
    assert (by_lines.adjacency != by_blocks.adjacency).nnz == 0
