import io
import pickle
import zipfile

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.readers import read_graph
from fiedler.theory.graphs.words import parse


def edges_of(graph):
    """{(label, label): weight} with each edge once, in row order."""
    upper = sp.triu(graph.adjacency, format="coo")
    return {(graph.nodes[i], graph.nodes[j]): w for i, j, w in zip(upper.row, upper.col, upper.data, strict=True)}


def read(tmp_path, text, name="edges.txt"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_graph(file)


@pytest.mark.parametrize(
    "text",
    [
        "0 1\n1 2\n",
        "0 1\n1 2",
        "0,1\n1,2\n",
        "0, 1\n1 , 2\n",
        "0\t1\n1\t2\n",
        "0=1\n1=2\n",
        "0 = 1\n1 = 2\n",
        "# header\n% other\n\n  0   1  # why\n1 2 % because\n",
        "0 1\r\n1 2\r\n",
        "\ufeff0 1\n1 2\n",
        "0 1 1\n1 2 1.0\n",
        "0 1 {}\n1 2 {'weight': 1.0, 'colour': 'red'}\n",
        "2 1\n1 0\n",
        "0 1\n1 0\n1 2\n2 1\n",
        "1 2\n0 1\n2 1\n1 0\n",
    ],
)
def test_edge_list_separators_comments_and_orientations(tmp_path, text):
    graph = read(tmp_path, text)
    assert graph.nodes == (0, 1, 2)
    assert edges_of(graph) == {(0, 1): 1, (1, 2): 1}
    assert graph.name == "edges.txt"
    assert graph.family is None


def test_integer_labels_ascend_and_text_labels_keep_their_order(tmp_path):
    assert read(tmp_path, "10 9\n-1 2\n").nodes == (-1, 2, 9, 10)
    assert read(tmp_path, "b a\nc 1\n").nodes == ("b", "a", "c", "1")
    assert read(tmp_path, "1.5 2\n").nodes == ("1.5", "2")
    assert read(tmp_path, "1_0 2\n").nodes == ("1_0", "2")
    assert edges_of(read(tmp_path, "10 9 4\n9 2 3\n")) == {(9, 10): 4, (2, 9): 3}


def test_edge_list_weights_isolated_nodes_and_zero_weights(tmp_path):
    graph = read(tmp_path, "a b 2.5\nlonely\nb c 0\nb d 1e-3\n")
    assert graph.nodes == ("a", "b", "lonely", "c", "d")
    assert edges_of(graph) == {("a", "b"): 2.5, ("b", "d"): 1e-3}
    assert [graph.nodes[i] for i in graph.isolated] == ["lonely", "c"]
    assert read(tmp_path, "1\n2\n").edge_count == 0


def test_repeated_lines_add(tmp_path):
    assert edges_of(read(tmp_path, "a b\na b\nb c\n")) == {("a", "b"): 2, ("b", "c"): 1}
    assert edges_of(read(tmp_path, "a b 2\na b 3\n")) == {("a", "b"): 5}


def test_both_orientations_are_read_once_only_when_the_whole_list_is_doubled(tmp_path):
    assert edges_of(read(tmp_path, "a b\nb a\n")) == {("a", "b"): 1}
    assert edges_of(read(tmp_path, "a b 2\nb c 3\nc b 3\nb a 2\n")) == {("a", "b"): 2, ("b", "c"): 3}
    # One edge without its reverse, or one with another weight: the lines are parallel edges.
    assert edges_of(read(tmp_path, "a b\nb a\nb c\n")) == {("a", "b"): 2, ("b", "c"): 1}
    assert edges_of(read(tmp_path, "a b 2\nb a 3\n")) == {("a", "b"): 5}
    # A zero-weight edge is no edge, so it needs no reverse.
    assert edges_of(read(tmp_path, "a b\nb a\nb c 0\n")) == {("a", "b"): 1}
    # Weights of repeated lines are added before orientations are compared.
    assert edges_of(read(tmp_path, "a b\na b\nb a 2\n")) == {("a", "b"): 2}
    assert edges_of(read(tmp_path, "a b .1\na b .2\na b .3\nb a .3\nb a .2\nb a .1\n")) == {
        ("a", "b"): pytest.approx(0.6)
    }


def test_self_loops_do_not_decide_about_orientation_and_always_add(tmp_path):
    assert edges_of(read(tmp_path, "a b\nb a\na a\n")) == {("a", "b"): 1, ("a", "a"): 1}
    assert edges_of(read(tmp_path, "a b\nb a\na a\na a\n")) == {("a", "b"): 1, ("a", "a"): 2}
    assert edges_of(read(tmp_path, "a b\na a 3\n")) == {("a", "b"): 1, ("a", "a"): 3}


def test_csv_and_tsv_labels_headers_and_quotes(tmp_path):
    expected = {("Jean Valjean", "Cosette"): 2}
    assert edges_of(read(tmp_path, "Jean Valjean,Cosette,2\n", "e.csv")) == expected
    assert edges_of(read(tmp_path, "Source,Target,Weight\nJean Valjean, Cosette, 2\n", "e.csv")) == expected
    assert edges_of(read(tmp_path, "source\ttarget\nJean Valjean\tCosette\t2\n", "e.tsv")) == expected
    assert edges_of(read(tmp_path, '"Valjean, Jean",Cosette\n', "e.csv")) == {("Valjean, Jean", "Cosette"): 1}
    assert read(tmp_path, "from,to\n3,1\n", "e.csv").nodes == (1, 3)
    # Only the first line can be a header, and only in these files.
    assert read(tmp_path, "source target\n", "e.txt").nodes == ("source", "target")
    assert "source" in read(tmp_path, "a,b\nsource,target\n", "e.csv").nodes


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a b c", "the weight 'c' is not a number"),
        ("a b 1 2", "4 fields"),
        ("a,,b", "an empty field"),
        ("a,b,", "an empty field"),
        ("=a", "an empty field"),
        ("a b -1", "the weight -1 is negative or not finite"),
        ("a b nan", "the weight nan is negative or not finite"),
        ("a b inf", "the weight inf is negative or not finite"),
        ("a b {'weight': 'x'}", "the weight 'x' is not a number"),
        ("a b {'weight': [1]}", "is not a number"),
        ("a b {oops}", "unreadable edge attributes"),
        ("a b {1, 2}", "unreadable edge attributes"),
        ("a b 3 {}", "3 fields"),
    ],
)
def test_bad_line_names_file_number_and_line(tmp_path, line, problem):
    with pytest.raises(ValueError, match=r"edges.txt:3: ") as error:
        read(tmp_path, f"# comment\nx y\n{line}\nz w\n")
    message = str(error.value)
    assert problem in message
    assert repr(line) in message
    assert message.endswith("write 'u v [weight]'")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "%\n"])
def test_empty_edge_list(tmp_path, text):
    with pytest.raises(ValueError, match="no edges and no nodes"):
        read(tmp_path, text)
    with pytest.raises(ValueError, match="no edges and no nodes"):
        read(tmp_path, "source,target\n", "e.csv")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00a", b"a b\n\x00\n", b"\x80\x81 b\n"])
def test_binary_edge_list(tmp_path, content):
    file = tmp_path / "edges.bin"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is not a UTF-8 text file"):
        read_graph(file)


@pytest.mark.parametrize("suffix", ["", ".gml", ".graphml", ".mtx", ".npz", ".txt"])
def test_directories_and_missing_files(tmp_path, suffix):
    with pytest.raises(ValueError, match=f"missing{suffix}' does not exist"):
        read_graph(tmp_path / f"missing{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(ValueError, match="is a directory"):
        read_graph(tmp_path / f"folder{suffix}")


@pytest.mark.parametrize("word", ["karate", "irregular", "les-miserables"])
@pytest.mark.parametrize("suffix", [".gml", ".graphml", ".GML", ".mtx", ".npz", ".csv", ".edgelist"])
def test_round_trip_through_networkx_and_scipy(tmp_path, word, suffix):
    graph = parse(word)
    # Distinct weights, so that a transposed or reordered matrix does not go unnoticed.
    weighted = sp.triu(graph.adjacency, format="coo")
    weighted.data = 1.0 + np.arange(weighted.nnz) / 4
    adjacency = sp.csr_array(weighted + weighted.T)
    source = as_graph(adjacency).to_networkx()
    source = nx.relabel_nodes(source, dict(enumerate(graph.nodes)))
    file = tmp_path / f"graph{suffix}"
    if suffix.lower() == ".gml":
        nx.write_gml(source, file)
    elif suffix == ".graphml":
        nx.write_graphml(source, file)
    elif suffix == ".mtx":
        scipy.io.mmwrite(file, adjacency)
    elif suffix == ".npz":
        sp.save_npz(file, adjacency)
    elif suffix == ".csv":
        nx.write_weighted_edgelist(source, file, delimiter=",")
    else:
        nx.write_edgelist(source, file)
    back = read_graph(file)
    if suffix in (".mtx", ".npz"):
        assert back.nodes == tuple(range(graph.n))
    elif suffix != ".edgelist" or all(" " not in str(node) for node in graph.nodes):
        assert set(back.nodes) == set(graph.nodes)
    if suffix not in (".csv", ".edgelist"):
        assert np.array_equal(back.adjacency.toarray(), adjacency.toarray())
    order = [back.nodes.index(node) for node in (range(graph.n) if suffix in (".mtx", ".npz") else graph.nodes)]
    assert np.array_equal(back.adjacency.toarray()[np.ix_(order, order)], adjacency.toarray())
    assert back.name == file.name


@pytest.mark.parametrize("suffix", [".gml", ".graphml"])
def test_directed_and_multi_graph_files(tmp_path, suffix):
    write = nx.write_gml if suffix == ".gml" else nx.write_graphml
    file = tmp_path / f"graph{suffix}"
    write(nx.DiGraph([("a", "b"), ("b", "c"), ("c", "b")]), file)
    with pytest.raises(ValueError, match=r"directed: .*--symmetrize"):
        read_graph(file)
    assert edges_of(read_graph(file, symmetrize=True)) == {("a", "b"): 1, ("b", "c"): 2}
    write(nx.path_graph(["a", "b", "c"]).to_directed(), file)
    assert edges_of(read_graph(file)) == {("a", "b"): 1, ("b", "c"): 1}
    write(nx.MultiGraph([("a", "b"), ("a", "b"), ("a", "a")]), file)
    assert edges_of(read_graph(file)) == {("a", "b"): 2, ("a", "a"): 1}
    source = nx.Graph([("a", "b")])
    source["a"]["b"]["weight"] = -2
    write(source, file)
    with pytest.raises(ValueError, match=r"weight -2.0 of edge a - b is negative") as error:
        read_graph(file)
    assert file.name in str(error.value)
    write(nx.Graph(), file)
    with pytest.raises(ValueError, match="at least one node"):
        read_graph(file)


def test_gml_without_labels_uses_ids(tmp_path):
    text = "graph [ node [ id 7 ] node [ id 3 ] edge [ source 7 target 3 weight 2 ] ]"
    graph = read(tmp_path, text, "g.gml")
    assert graph.nodes == (7, 3)
    assert graph.adjacency[0, 1] == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("g.gml", b"this is no graph"),
        ("g.gml", b"graph [ node [ id 0 "),
        ("g.gml", b"\xff\xfe\x00"),
        ("g.gml", b""),
        ("g.graphml", b"<graphml><oops"),
        ("g.graphml", b""),
        ("g.graphml", b"<other/>"),
        ("g.mtx", b"not a matrix\n"),
        ("g.mtx", b""),
        ("g.mtx", b"%%MatrixMarket matrix coordinate real general\n2 2 1\n5 5 1.0\n"),
        ("g.npz", b"not a zip"),
        ("g.npz", b""),
    ],
)
def test_unreadable_files_are_one_clear_line(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"g\.\w+' is not a (readable|SciPy sparse)") as error:
        read_graph(file)
    assert "\n" not in str(error.value)


def test_matrix_market_variants(tmp_path):
    file = tmp_path / "m.mtx"
    file.write_text("%%MatrixMarket matrix coordinate pattern symmetric\n3 3 2\n2 1\n3 3\n")
    assert edges_of(read_graph(file)) == {(0, 1): 1, (2, 2): 1}
    file.write_text("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 2 3\n")
    with pytest.raises(ValueError, match=r"'m.mtx' is directed"):
        read_graph(file)
    assert edges_of(read_graph(file, symmetrize=True)) == {(0, 1): 3}
    file.write_text("%%MatrixMarket matrix array real general\n2 2\n0\n2\n2\n0\n")
    dense = read_graph(file)
    assert edges_of(dense) == {(0, 1): 2}
    assert dense.name == "m.mtx"
    file.write_text("%%MatrixMarket matrix coordinate real general\n2 3 1\n1 2 3\n")
    with pytest.raises(ValueError, match="square"):
        read_graph(file)
    file.write_text("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 2\n")
    with pytest.raises(ValueError, match="real numbers"):
        read_graph(file)


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia"])
def test_npz_formats(tmp_path, format):
    matrix = sp.csr_array(nx.to_numpy_array(nx.cycle_graph(5))).asformat(format)
    sp.save_npz(tmp_path / "g.npz", matrix)
    assert np.array_equal(read_graph(tmp_path / "g.npz").adjacency.toarray(), matrix.toarray())


class Bomb:
    """Fails the test if anything unpickles it."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_npz_never_unpickles(tmp_path):
    file = tmp_path / "g.npz"
    np.savez(file, format=np.array([Bomb()], dtype=object), data=np.ones(1))
    with pytest.raises(ValueError, match="pickled objects, which are never loaded"):
        read_graph(file)
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="pickled objects, which are never loaded"):
        read_graph(file)
    np.savez(file, adjacency=np.eye(2))
    with pytest.raises(ValueError, match=r"is not a SciPy sparse .npz"):
        read_graph(file)


def test_npz_with_indices_out_of_bounds(tmp_path):
    file = tmp_path / "g.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for key, value in {
            "format": np.array(b"csr"),
            "shape": np.array([2, 2]),
            "data": np.ones(2),
            "indices": np.array([1, 10**6]),
            "indptr": np.array([0, 1, 2]),
        }.items():
            buffer = io.BytesIO()
            np.save(buffer, value)
            archive.writestr(f"{key}.npy", buffer.getvalue())
    with pytest.raises(ValueError, match=r"is not a SciPy sparse .npz"):
        read_graph(file)
