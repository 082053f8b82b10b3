"""Tokens, paths, splits and examples of the path tasks, against brute-force searches of small graphs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from fiedler.sims.paths.data import InContextData, InWeightsData, make_data
from fiedler.sims.paths.examples import Examples, context_choices, context_examples, edge_examples, path_examples
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.star import split_paths, star_paths
from fiedler.sims.paths.tokens import SPECIALS, Vocabulary, make_vocabulary
from fiedler.theory import parse

WORDS = ("path-star:4x5", "path-star:7x3", "tree-star:3x4", "tree-star:5x3")


def true_paths(word: str) -> set[tuple[int, ...]]:
    """Every shortest path from the root to a node of degree one, by networkx."""
    graph = nx.from_scipy_sparse_array(parse(word).adjacency)
    leaves = [node for node in graph if node != 0 and graph.degree(node) == 1]
    return {tuple(nx.shortest_path(graph, 0, leaf)) for leaf in leaves}


def rows(examples: Examples, vocabulary: Vocabulary) -> list[tuple[list[int | str], list[int | str]]]:
    pairs = zip(examples.inputs.tolist(), examples.targets.tolist(), strict=True)
    return [(vocabulary.decode(given), vocabulary.decode(wanted)) for given, wanted in pairs]


@pytest.mark.parametrize("word", WORDS)
def test_paths_and_edges_are_those_of_the_graph(word: str) -> None:
    graph, star = parse(word), star_paths(parse(word))
    assert {tuple(path) for path in star.paths.tolist()} == true_paths(word)
    assert len(star.paths) == len(true_paths(word))
    away = {(min(e), max(e)) for e in nx.from_scipy_sparse_array(graph.adjacency).edges}  # parents have lower numbers
    assert Counter(map(tuple, star.edges.tolist())) == Counter(away)
    firsts = sorted(set(star.first_hops.tolist()))
    assert star.arm_count == graph.parameters[0] == len(firsts)
    assert [firsts[arm] for arm in star.arms] == star.first_hops.tolist()


@pytest.mark.parametrize(("word", "message"), [
    ("cycle:15", "cycle:15 has no root-to-leaf paths"), ("path-star:1x5", "at least 2 arms"),
    ("path-star:5x2", "at least 2 arms of length 3"),
])  # fmt: skip
def test_graphs_without_paths_to_find_are_refused(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        star_paths(parse(word))


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("by", ["leaf", "first-token"])
def test_a_split_holds_out_a_quarter_and_nothing_twice(word: str, by: str) -> None:
    star = star_paths(parse(word))
    train, test = split_paths(star, 0, by)
    assert sorted([*train, *test]) == list(range(len(star.paths)))
    units = star.arm_count if by == "first-token" else len(star.paths)
    held_out = len(set(star.arms[test].tolist())) if by == "first-token" else len(test)
    assert abs(held_out - units / 4) <= 0.5
    if by == "first-token":
        assert not set(star.arms[train].tolist()) & set(star.arms[test].tolist())
    assert any(not np.array_equal(test, split_paths(star, seed, by)[1]) for seed in range(1, 8))
    assert np.array_equal(test, split_paths(star, 0, by)[1])


def test_a_tree_split_by_leaf_leaves_test_arms_partly_seen() -> None:
    star = star_paths(parse("tree-star:5x4"))
    train, test = split_paths(star, 0, "leaf")
    assert set(star.arms[train].tolist()) & set(star.arms[test].tolist())


def test_the_vocabulary_is_a_permutation_with_nine_specials() -> None:
    vocabulary = make_vocabulary(40, 3)
    assert vocabulary.size == 49
    assert sorted(vocabulary.node_tokens) == list(range(40))
    assert not np.array_equal(vocabulary.node_tokens, np.arange(40))
    assert not np.array_equal(vocabulary.node_tokens, make_vocabulary(40, 4).node_tokens)
    assert vocabulary.decode(vocabulary.encode(np.arange(40))) == list(range(40))
    assert vocabulary.decode(range(40, 49)) == list(SPECIALS)
    assert [vocabulary.special(name) for name in SPECIALS] == list(range(40, 49))
    with pytest.raises(ValueError, match="token 49 is outside the vocabulary of 49"):
        vocabulary.decode([49])
    with pytest.raises(ValueError, match="no special token"):
        vocabulary.special("=")
    with pytest.raises(ValueError, match="permutation"):
        Vocabulary(np.array([0, 0, 1]))


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("directions", ["both", "forward", "backward"])
def test_every_directed_edge_comes_once(word: str, directions: str) -> None:
    graph, star = parse(word), star_paths(parse(word))
    vocabulary = make_vocabulary(graph.n, 1)
    examples = edge_examples(star, vocabulary, directions)
    found = Counter()
    for given, wanted in rows(examples, vocabulary):
        assert given[0] == "[EDGE]"
        found[given[1], wanted[0]] += 1
    arcs = {(int(u), int(v)) for u, v in zip(*graph.adjacency.nonzero(), strict=True)}  # both ways
    depth = nx.single_source_shortest_path_length(nx.from_scipy_sparse_array(graph.adjacency), 0)
    keep = {"both": arcs, "forward": {a for a in arcs if depth[a[0]] < depth[a[1]]},
            "backward": {a for a in arcs if depth[a[0]] > depth[a[1]]}}  # fmt: skip
    assert found == Counter(keep[directions])
    assert examples.positions.tolist() == [1]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("task", ["forward", "reverse"])
@pytest.mark.parametrize("teacherless", [False, True])
def test_path_examples_ask_for_the_path_of_their_leaf(word: str, task: str, teacherless: bool) -> None:
    graph, star = parse(word), star_paths(parse(word))
    vocabulary = make_vocabulary(graph.n, 1)
    examples = path_examples(star, vocabulary, 3, task, teacherless)
    paths = set()
    for given, wanted in rows(examples, vocabulary):
        path = wanted[::-1] if task == "reverse" else wanted
        paths.add(tuple(path))
        hidden = ["$"] * (len(wanted) - 1) if teacherless else wanted[:-1]
        assert given == ["[PATH]", path[-1], "[PAUSE]", "[PAUSE]", "[PAUSE]", *hidden]
    assert paths == true_paths(word)
    # Target k stands where the sequence goes on after input positions[k].
    assert examples.positions.tolist() == list(range(4, 4 + star.length))
    assert examples.inputs.shape[1] == examples.positions[-1] + 1


def test_one_target_alone_ends_at_the_input_it_is_predicted_from() -> None:
    star = star_paths(parse("path-star:4x5"))
    vocabulary = make_vocabulary(17, 0)
    for given, wanted in rows(path_examples(star, vocabulary, 1).target(1), vocabulary):
        assert given[:1] + given[2:] == ["[PATH]", "[PAUSE]", 0]
        assert (wanted[0], given[1]) in {(path[1], path[-1]) for path in star.paths.tolist()}


@pytest.mark.parametrize("teacherless", [False, True])
def test_a_prompt_lists_a_fresh_star_and_asks_for_the_way_to_a_leaf(teacherless: bool) -> None:
    arms, length = 3, 4
    vocabulary = make_vocabulary(arms * (length - 1) + 1, 0)
    examples = context_examples(arms, length, 60, vocabulary, torch.Generator().manual_seed(5), teacherless)
    graphs, goals = set(), Counter()
    choices = iter(context_choices(examples, arms, length))
    for given, wanted in rows(examples, vocabulary):
        edges = [tuple(given[i : i + 2]) for i in range(0, 27, 3)]
        assert given[2:27:3] == ["|"] * 9
        graph = nx.DiGraph(edges)
        root, goal = given[28], given[29]
        assert given[27] == "/"
        assert given[30] == ">"
        assert graph.in_degree(root) == 0
        assert graph.out_degree(root) == arms
        assert graph.out_degree(goal) == 0
        assert wanted == nx.shortest_path(graph, root, goal)
        assert sorted(vocabulary.decode(next(choices).tolist())) == sorted(graph.successors(root))
        assert wanted[1] in graph.successors(root)
        assert len(wanted) == length
        assert given[31:] == (["$"] * (length - 1) if teacherless else wanted[:-1])
        graphs.add(tuple(edges))
        goals[root] += 1
    assert len(graphs) == 60  # a fresh graph in each
    assert len(goals) > 5  # with fresh labels
    assert examples.positions.tolist() == [30, 31, 32, 33]


@pytest.mark.parametrize("teacherless", [False, True])
def test_a_reverse_answer_in_the_context_begins_with_the_leaf(teacherless: bool) -> None:
    vocabulary = make_vocabulary(10, 0)

    def prompts(task: str) -> Examples:
        return context_examples(3, 4, 20, vocabulary, torch.Generator().manual_seed(5), teacherless, task)

    forward, reverse = prompts("forward"), prompts("reverse")
    question = 31  # 9 edges of three tokens, and "/ root leaf >"
    assert torch.equal(reverse.inputs[:, :question], forward.inputs[:, :question])
    assert torch.equal(reverse.targets, forward.targets.flip(1))
    assert torch.equal(reverse.targets[:, 0], reverse.inputs[:, 29])
    assert torch.equal(reverse.inputs[:, question:], reverse.targets[:, :-1]) != teacherless
    with pytest.raises(ValueError, match="unknown task 'sideways'"):
        prompts("sideways")
    # A run asks for them, in training and at its measurements.
    settings = PathSettings(in_context=True, context_arms=3, task="reverse")
    data = make_data(parse("path-star:8x4"), settings, 0)
    for asked in (data.test, data.batches(0, torch.Generator())[0]):
        assert torch.equal(asked.targets[:, 0], asked.inputs[:, 29])


def test_no_test_path_is_ever_trained_on_and_every_edge_is() -> None:
    settings = PathSettings(edge_batch=64, path_batch=64)
    data = InWeightsData(parse("path-star:8x4"), settings, 2)
    generator = torch.Generator().manual_seed(0)
    edges, paths = set(), set()
    for step in range(40):
        edge, path = data.batches(step, generator)
        edges |= set(map(tuple, torch.cat([edge.inputs, edge.targets], dim=1).tolist()))
        paths |= set(map(tuple, path.targets.tolist()))
    assert len(edges) == 2 * len(data.star.edges)
    held_out = set(map(tuple, data.paths.rows(data.test).targets.tolist()))
    assert not paths & held_out
    assert paths == set(map(tuple, data.paths.rows(data.train).targets.tolist()))
    assert len(held_out) == 2


def test_recipes_and_objectives_choose_the_batches() -> None:
    graph, generator = parse("path-star:8x4"), torch.Generator().manual_seed(0)

    def kinds(step: int, **options: object) -> list[tuple[int, int]]:
        settings = PathSettings(steps=10, edge_batch=5, path_batch=3, pause=2, **options)  # type: ignore[arg-type]
        return [tuple(b.targets.shape) for b in make_data(graph, settings, 0).batches(step, generator)]  # type: ignore[misc]

    assert kinds(0) == kinds(9) == [(5, 1), (3, 4)]
    assert kinds(0, recipe="staged") == kinds(4, recipe="staged") == [(5, 1)]
    assert kinds(5, recipe="staged") == [(3, 4)]
    assert kinds(9, recipe="edges") == [(5, 1)]
    assert kinds(0, objective="hardest") == [(5, 1), (3, 1)]
    # 5 edges of 2 tokens and 3 paths of 2 + 2 + 3: as many tokens as one prompt of 3 x 6 + 4 + 3.
    assert kinds(0, in_context=True, context_arms=2) == [(1, 4)]


def test_in_context_prompts_have_the_budget_of_the_in_weights_run() -> None:
    settings = PathSettings(edge_batch=100, path_batch=50, pause=2, in_context=True, context_arms=3)
    data = make_data(parse("path-star:20x4"), settings, 0)
    assert isinstance(data, InContextData)
    tokens = 100 * 2 + 50 * (2 + 2 + 3)
    assert abs(data.batch * data.longest - tokens) <= data.longest / 2
    assert data.chance == 1 / 3


@pytest.mark.parametrize(("options", "there"), [
    ({}, True), ({"edges": "forward"}, True), ({"task": "reverse"}, False), ({"in_context": True}, True),
    ({"in_context": True, "task": "reverse"}, False),
])  # fmt: skip
def test_the_choice_is_measured_where_there_is_one(options: dict[str, object], there: bool) -> None:
    settings = PathSettings(context_arms=3, **options)  # type: ignore[arg-type]
    data = make_data(parse("path-star:8x4"), settings, 0)
    size = data.vocabulary.size
    record = data.measure(lambda tokens, positions: torch.zeros(len(tokens), len(positions), size), torch.device("cpu"))
    assert ("first_token_choice" in record) == there
    assert ("train_first_token_choice" in record) == (there and not settings.in_context)
    assert "first_token_accuracy" in record


@pytest.mark.parametrize(("options", "message"), [
    ({"steps": 0}, "steps must be at least 1; got 0"), ({"pause": -1}, "pause must be >= 0; got -1"),
    ({"recipe": "stages"}, "unknown recipe 'stages'; did you mean 'staged'[?] choose from mixed, staged, edges"),
    ({"edges": "up"}, "unknown edges 'up'"), ({"width": 30}, "width 30 must be a multiple of heads 4"),
    ({"learning_rate": float("nan")}, "learning_rate must be a positive number; got nan"),
    ({"weight_decay": -1.0}, "weight_decay must be >= 0"), ({"floor": 2.0}, "floor must be a share"),
    ({"steps": 1, "recipe": "staged"}, "1 steps leave one of the two stages empty"),
    ({"in_context": True, "frozen": True}, "frozen embeddings are the control of in-weights runs"),
    ({"context_arms": 1}, "context_arms must be at least 2"), ({"edge_share": 1.0}, "edge_share must be in"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PathSettings(**options)  # type: ignore[arg-type]


def test_unknown_words_are_refused() -> None:
    star, vocabulary = star_paths(parse("path-star:4x5")), make_vocabulary(17, 0)
    with pytest.raises(ValueError, match="unknown edges 'up'"):
        edge_examples(star, vocabulary, "up")
    with pytest.raises(ValueError, match="unknown task 'sideways'"):
        path_examples(star, vocabulary, 0, "sideways")
    with pytest.raises(ValueError, match="unknown split 'arm'"):
        split_paths(star, 0, "arm")
    with pytest.raises(ValueError, match="have 10 nodes; got a vocabulary of 17"):
        context_examples(3, 4, 1, vocabulary, torch.Generator())
    with pytest.raises(ValueError, match="pause must be"):
        path_examples(star, vocabulary, -1)


def test_the_learning_rate_warms_up_and_falls_to_its_floor() -> None:
    settings = PathSettings(steps=100, warmup=10, learning_rate=1.0, floor=0.1)
    assert [settings.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert settings.rate(55) == pytest.approx(0.55)  # the middle of the cosine
    assert settings.rate(99) == pytest.approx(0.1, abs=1e-3)
    staged = PathSettings(steps=100, warmup=10, learning_rate=1.0, path_learning_rate=0.5, recipe="staged")
    assert [staged.rate(step) for step in (9, 50, 59)] == pytest.approx([1.0, 0.05, 0.5])
    assert staged.rate(49) == pytest.approx(0.1, abs=2e-3)


@pytest.mark.parametrize(("share", "rows"), [(None, (20, 4)), (0.5, (12, 12)), (0.25, (18, 6)), (0.001, (23, 1)),
                                             (0.999, (1, 23))])  # fmt: skip
def test_a_share_of_paths_keeps_the_number_of_rows(share: float | None, rows: tuple[int, int]) -> None:
    settings = PathSettings(layers=1, width=8, heads=2, pause=1, edge_batch=20, path_batch=4, path_share=share)
    data = InWeightsData(parse("path-star:8x4"), settings, 0)
    assert settings.mixed_rows == rows
    assert tuple(map(len, data.batches(0, torch.Generator()))) == rows


def test_steps_of_edges_or_of_paths_alone_have_no_share() -> None:
    def lengths(step: int, **changes: Any) -> list[int]:
        settings = PathSettings(steps=10, edge_batch=20, path_batch=4, path_share=0.5, width=8, **changes)
        return [len(one) for one in InWeightsData(parse("path-star:8x4"), settings, 0).batches(step, torch.Generator())]

    assert lengths(0, recipe="staged") == lengths(9, recipe="edges") == [20]
    assert lengths(9, recipe="staged") == [4]
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"path_share must be a share of a step's examples in \(0, 1\)"):
            PathSettings(path_share=share)
