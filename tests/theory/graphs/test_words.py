import pytest

from cases import ALL
from fiedler.theory.graphs.words import FAMILIES, parse


@pytest.mark.parametrize(
    ("word", "n", "edges"),
    [
        ("cycle:15", 15, 15),
        ("path-star:4x5", 17, 16),
        ("tree-star:4x5", 61, 60),
        ("grid:4x4", 16, 24),
        ("torus:6x6", 36, 72),
        ("hypercube:6", 64, 192),
        ("hamming:3,3", 27, 81),
        ("random:50,75,0", 50, 75),
        ("tree:3,4", 121, 120),
        ("irregular", 16, 20),
        ("petersen", 10, 15),
        ("karate", 34, 78),
        ("les-miserables", 77, 254),
        ("florentine", 15, 20),
        ("davis", 32, 89),
    ],
)
def test_every_word(word, n, edges):
    graph = parse(word)
    assert (graph.n, graph.edge_count, graph.name) == (n, edges, word)


def test_every_family_is_in_the_zoo_and_its_example_parses():
    assert {word.partition(":")[0] for word in ALL} == set(FAMILIES)
    for family in FAMILIES.values():
        assert parse(family.example).name == family.example


def test_both_separators_are_read():
    assert parse("path-star:4,5").name == "path-star:4x5"
    assert parse("hamming:3x4").name == "hamming:3,4"
    assert parse("grid:2,3x4").parameters == (2, 3, 4)


@pytest.mark.parametrize(
    ("word", "suggestion"),
    [
        ("cylce:15", "'cycle:15'"),
        ("Cycle:15", "'cycle:15'"),
        ("pathstar:7x3", "'path-star:7x3'"),
        ("path_star:7x3", "'path-star:7x3'"),
        ("treestar:4x5", "'tree-star:4x5'"),
        ("hyper-cube:4", "'hypercube:4'"),
        ("haming:4x2", "'hamming:4,2'"),
        ("kartae", "'karate'"),
        ("karate-club", "'karate'"),
        ("les miserables", "'les-miserables'"),
        ("cylce:1x2", "'cycle:15'"),
        ("cylce", "'cycle:15'"),
    ],
)
def test_unknown_words_get_the_nearest_valid_one(word, suggestion):
    with pytest.raises(ValueError, match="unknown graph") as error:
        parse(word)
    assert repr(word) in str(error.value)
    assert f"did you mean {suggestion}?" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("word", ["", "qqqq", "::"])
def test_words_near_nothing_get_the_list(word):
    with pytest.raises(ValueError, match=r"use one of cycle:15, .*davis, or the path of a file"):
        parse(word)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cycle", r"takes 1 parameter\(s\), not 0; use cycle:N, such as cycle:15"),
        ("cycle:3x4", r"takes 1 parameter\(s\), not 2; use cycle:N"),
        ("path-star:4", r"takes 2 parameter\(s\), not 1; use path-star:ARMSxLENGTH"),
        ("hamming:3", r"use hamming:D,Q"),
        ("grid", r"takes one or more parameters, not 0; use grid:SIDExSIDE"),
        ("karate:3", r"takes 0 parameter\(s\), not 1; use karate$"),
        ("cycle:", "not an integer; use cycle:N"),
        ("cycle:abc", "not an integer"),
        ("cycle:1.5", "not an integer"),
        ("cycle:1e3", "not an integer"),
        ("grid:4x", "not an integer"),
        ("grid:4xx4", "not an integer"),
        ("cycle:" + "9" * 5000, "not an integer"),
        ("cycle:-3", "must be at least 3; got -3; use cycle:N"),
        ("cycle:2", "must be at least 3; got 2; use cycle:N"),
        ("torus:2x6", "torus side must be at least 3; got 2; use torus:"),
        ("hypercube:60", "above the limit"),
    ],
)
def test_wrong_parameters_name_the_value_and_the_form(word, message):
    with pytest.raises(ValueError, match=message) as error:
        parse(word)
    assert str(error.value).startswith(f"graph {word[:30]!r}"[:-1])
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("word", ["missing.txt", "some/folder/graph", "./karate", "missing.graphml"])
def test_missing_files(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"graph file {word!r} does not exist"):
        parse(word)


def test_files_and_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "karate").write_text("a b\n")
    (tmp_path / "edges").write_text("a b\n")
    assert parse("karate").n == 34
    assert parse("./karate").n == 2
    assert parse("edges").n == 2
    with pytest.raises(ValueError, match="is a directory"):
        parse(str(tmp_path))


@pytest.mark.parametrize("thing", [None, 15, b"cycle:15", ["cycle:15"]])
def test_a_word_is_a_string(thing):
    with pytest.raises(TypeError, match="a graph word is a string"):
        parse(thing)
