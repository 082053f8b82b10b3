"""Metrics of the path tasks on models whose predictions are known, and geometry on embeddings made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from fiedler.sims.paths.examples import (
    Examples,
    context_choices,
    context_examples,
    edge_examples,
    neighbour_choices,
    path_examples,
)
from fiedler.sims.paths.geometry import (
    check_projection,
    describe_geometry,
    first_hop_probe,
    leaf_first_hop_distances,
    nearest_first_hop,
    path_distances,
    project_paths,
)
from fiedler.sims.paths.metrics import Predict, edge_recall, path_scores
from fiedler.sims.paths.star import split_paths, star_paths
from fiedler.sims.paths.tokens import make_vocabulary
from fiedler.theory import parse

ROUNDING = 1e-12  # of means of a few float64 products


def knows(answers: dict[tuple[int, ...], int], vocabulary: int) -> Predict:
    """A model that says ``answers[prefix]`` after each prefix it knows, else token 0."""

    def predict(tokens: Tensor, positions: Tensor) -> Tensor:
        logits = torch.zeros(len(tokens), len(positions), vocabulary)
        for row, given in enumerate(tokens.tolist()):
            for column, position in enumerate(positions.tolist()):
                logits[row, column, answers.get(tuple(given[: position + 1]), 0)] = 1.0
        return logits

    return predict


def wrong_at(examples: Examples, mistakes: dict[int, int], vocabulary: int) -> Predict:
    """Right everywhere but at target ``mistakes[row]`` of some rows."""
    answers = {}
    for row, (given, wanted) in enumerate(zip(examples.inputs.tolist(), examples.targets.tolist(), strict=True)):
        for k, position in enumerate(examples.positions.tolist()):
            wrong = mistakes.get(row) == k
            answers[tuple(given[: position + 1])] = (wanted[k] + 1) % vocabulary if wrong else wanted[k]
    return knows(answers, vocabulary)


def greedy(predict: Predict, examples: Examples) -> Tensor:
    """A literal greedy search: one token after the other, each fed back."""
    tokens = examples.inputs[:, : int(examples.positions[0]) + 1]
    for position in examples.positions:
        tokens = torch.cat([tokens, predict(tokens, position[None]).argmax(dim=-1)], dim=1)
    return tokens[:, -examples.targets.shape[1] :]


@pytest.mark.parametrize("mistakes", [{}, {0: 1}, {0: 1, 2: 1, 3: 4}, dict.fromkeys(range(6), 0)])
def test_scores_count_the_mistakes(mistakes: dict[int, int]) -> None:
    star, vocabulary = star_paths(parse("path-star:6x5")), make_vocabulary(25, 0)
    examples = path_examples(star, vocabulary, 2)
    predict = wrong_at(examples, mistakes, vocabulary.size)
    scores = path_scores(predict, examples, vocabulary.size)
    expected = [1 - sum(k == at for at in mistakes.values()) / 6 for k in range(5)]
    assert scores.per_position == pytest.approx(expected)
    assert scores.whole == pytest.approx(1 - len(mistakes) / 6)
    assert scores.whole == (greedy(predict, examples) == examples.targets).all(dim=1).double().mean()
    # One logit is 1 and the others 0: log sum exp - 1 where right, log sum exp where wrong.
    lse = np.log(np.e + vocabulary.size - 1)
    assert scores.loss == pytest.approx(lse - 1 + len(mistakes) / 30, rel=1e-6)  # float32 logits


def test_a_random_model_scores_as_a_literal_greedy_search_says(monkeypatch: pytest.MonkeyPatch) -> None:
    star, vocabulary = star_paths(parse("tree-star:4x3")), make_vocabulary(13, 1)
    examples = path_examples(star, vocabulary, 1)
    table = torch.randn(vocabulary.size, vocabulary.size, generator=torch.Generator().manual_seed(0))
    table[vocabulary.special("[PAUSE]"), vocabulary.node_tokens[0]] = 9.0  # the root comes first

    def predict(tokens: Tensor, positions: Tensor) -> Tensor:
        mixed = tokens.cumsum(dim=1) % vocabulary.size  # depends on the whole prefix
        return (table[tokens] + 0.5 * table[mixed])[:, positions]

    found = greedy(predict, examples) == examples.targets
    scores = path_scores(predict, examples, vocabulary.size)
    assert scores.whole == found.all(dim=1).double().mean()
    monkeypatch.setattr("fiedler.sims.paths.metrics.TOKENS", 1)  # one row at a time
    assert np.array_equal(path_scores(predict, examples, vocabulary.size).per_position, scores.per_position)


@pytest.mark.parametrize("tokens", [1, 1 << 13])  # one row at a time, all at once
@pytest.mark.parametrize("wrong", [set(), {2}, {0, 3, 5}])
def test_the_choice_is_among_the_neighbours_of_the_root_alone(
    wrong: set[int], tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fiedler.sims.paths.metrics.TOKENS", tokens)
    star, vocabulary = star_paths(parse("path-star:6x5")), make_vocabulary(25, 0)
    examples = path_examples(star, vocabulary, 2)
    own = vocabulary.encode(star.first_hops)
    choices = neighbour_choices(star, vocabulary)
    assert sorted(choices[0].tolist()) == sorted(own.tolist())
    # Any token is more likely than a neighbour of the root; of those the own one, or the next arm's where wrong.
    liked = [own[(row + 1) % 6] if row in wrong else own[row] for row in range(6)]
    logits = torch.ones(6, vocabulary.size)
    logits[:, own] = 0.0
    logits[torch.arange(6), liked] = 0.5
    row_of = {leaf: row for row, leaf in enumerate(examples.inputs[:, 1].tolist())}

    def predict(given: Tensor, positions: Tensor) -> Tensor:
        return torch.stack([logits[row_of[leaf]].expand(len(positions), -1) for leaf in given[:, 1].tolist()])

    scores = path_scores(predict, examples, vocabulary.size, choices)
    assert scores.per_position[1] == 0.0
    assert scores.choice == pytest.approx(1 - len(wrong) / 6)
    each = choices.expand(6, -1).flip(1)  # a row's own, in another order
    assert path_scores(predict, examples, vocabulary.size, each).choice == scores.choice
    assert path_scores(predict, examples, vocabulary.size).choice is None
    with pytest.raises(ValueError, match="choices must hold the first node after the root"):
        path_scores(predict, examples, vocabulary.size, choices[:, 1:])


def test_a_model_blind_to_the_goal_chooses_at_chance_and_answers_below_it() -> None:
    arms, length, count = 4, 3, 400
    vocabulary = make_vocabulary(arms * (length - 1) + 1, 0)
    prompts = context_examples(arms, length, count, vocabulary, torch.Generator().manual_seed(1))
    choices = context_choices(prompts, arms, length)
    liking = torch.arange(vocabulary.size).float()  # the larger token, whatever the prompt says
    scores = path_scores(lambda t, p: liking.expand(len(t), len(p), -1), prompts, vocabulary.size, choices)
    assert scores.per_position[1] == 0.0  # a special token is the largest
    assert scores.choice == (choices.max(dim=1).values == prompts.targets[:, 1]).double().mean()
    assert binomtest(round(scores.choice * count), count, 1 / arms).pvalue > 1e-3


@pytest.mark.parametrize("directions", ["both", "forward", "backward"])
@pytest.mark.parametrize("chunk", [1, 1 << 24])
def test_recall_counts_lost_edges(directions: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fiedler.sims.paths.metrics.CHUNK", chunk)
    star, vocabulary = star_paths(parse("path-star:4x4")), make_vocabulary(13, 0)
    edges = edge_examples(star, vocabulary, directions)
    table = torch.full((vocabulary.size, vocabulary.size), -1.0)
    table[:, vocabulary.special("$")] = 0.0  # what is ranked instead of a lost neighbour
    sources, targets = edges.inputs[:, 1], edges.targets[:, 0]
    table[sources, targets] = 1.0

    def predict(tokens: Tensor, positions: Tensor) -> Tensor:
        return table[tokens[:, positions]]

    whole = edge_recall(predict, edges, vocabulary.size)
    assert (whole.nodes, whole.edges) == (1.0, 1.0)
    nodes, count = len(set(sources.tolist())), len(sources)
    # Just behind "$": the first token that is too late.
    table[sources[0], targets[0]] = -0.5
    table[sources[-1], targets[-1]] = -0.5
    assert sources[0] != sources[-1]
    lost = edge_recall(predict, edges, vocabulary.size)
    assert lost.nodes == pytest.approx((nodes - 2) / nodes)
    assert lost.edges == pytest.approx((count - 2) / count)


def test_a_model_that_says_the_same_everywhere_recalls_next_to_nothing() -> None:
    star, vocabulary = star_paths(parse("path-star:5x4")), make_vocabulary(16, 0)
    edges = edge_examples(star, vocabulary)
    flat = edge_recall(lambda t, p: torch.zeros(len(t), 1, vocabulary.size), edges, vocabulary.size)
    assert flat.nodes < 0.5


# Geometry.


def brute_distance(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize("word", ["path-star:4x5", "path-star:6x3", "tree-star:3x4"])
def test_distances_are_means_over_pairs_of_nodes(word: str) -> None:
    graph, star = parse(word), star_paths(parse(word))
    embedding = np.random.default_rng(0).standard_normal((graph.n, 6))
    found = path_distances(embedding, star)
    for i, one in enumerate(star.paths):
        for j, other in enumerate(star.paths):
            pairs = [(u, v) for a, u in enumerate(one[1:]) for b, v in enumerate(other[1:]) if i != j or a < b]
            wanted = np.mean([brute_distance(embedding[u], embedding[v]) for u, v in pairs])
            assert found[i, j] == pytest.approx(wanted, abs=ROUNDING)
    hops = leaf_first_hop_distances(embedding, star)
    firsts = sorted(set(star.first_hops.tolist()))
    wanted = [[brute_distance(embedding[leaf], embedding[hop]) for hop in firsts] for leaf in star.leaves]
    assert hops == pytest.approx(np.array(wanted), abs=ROUNDING)


def test_one_direction_an_arm_is_perfect_geometry_and_unseen_arms_are_told_apart() -> None:
    star = star_paths(parse("path-star:8x4"))
    train, test = split_paths(star, 0)
    embedding = np.zeros((25, 9))
    embedding[0, 8] = 1.0
    for arm, path in enumerate(star.paths):
        embedding[path[1:], arm] = np.arange(1, 4)
    good = describe_geometry(embedding, star, train, test)
    for part in good.values():
        assert part["nearest_first_hop"] == 1.0
        assert part["own_first_hop_distance"] == pytest.approx(0, abs=ROUNDING)
        assert part["within_path_distance"] == pytest.approx(0, abs=ROUNDING)
        assert part["other_first_hop_distance"] == pytest.approx(1)
        assert part["between_path_distance"] == pytest.approx(1)
    embedding[star.leaves[test]] = embedding[star.leaves[train[0]]]  # unseen leaves lie in another arm
    bad = describe_geometry(embedding, star, train, test)
    assert (bad["train"]["nearest_first_hop"], bad["test"]["nearest_first_hop"]) == (1.0, 0.0)
    assert nearest_first_hop(embedding, star).sum() == len(train)


def test_a_linear_map_reads_unseen_first_hops_only_from_directions_that_were_shown() -> None:
    star = star_paths(parse("path-star:40x4"))
    train, test = split_paths(star, 0)
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((121, 6))
    arms, turn = rng.standard_normal((40, 4)), rng.standard_normal((2, 4, 6))
    embedding[star.first_hops], embedding[star.leaves] = arms @ turn[0], arms @ turn[1]  # 30 shown, 4 dimensions
    assert first_hop_probe(embedding, star, train, test) == 1.0
    assert describe_geometry(embedding, star, train, test)["test"]["first_hop_probe"] == 1.0
    alone = np.zeros((121, 40))
    alone[star.first_hops] = alone[star.leaves] = np.eye(40)  # each arm has a dimension of its own
    assert nearest_first_hop(alone, star).all()
    assert first_hop_probe(alone, star, train, test) <= 1 / len(test)


def test_the_projection_keeps_distances_of_a_plane() -> None:
    star = star_paths(parse("path-star:5x4"))
    angles = np.random.default_rng(1).uniform(0, 6, 16)
    plane = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((7, 7)))[0]
    found = project_paths(3 * plane @ turn[:2], star)
    for depth in range(1, 4):
        plane[star.paths[:, depth]] -= plane[star.paths[:, depth]].mean(axis=0)
    gaps = np.linalg.norm(found.points[:, None] - found.points[None], axis=2)
    wanted = np.linalg.norm(plane[1:, None] - plane[None, 1:], axis=2)
    assert gaps == pytest.approx(wanted, abs=1e-7)  # square roots of rounding where two nodes meet
    assert found.label == "PCA within depths, 100 % of the variance"


def test_projections_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown projection 'tsne'; choose from pca, umap"):
        check_projection("tsne")
    monkeypatch.setattr("fiedler.sims.paths.geometry.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'needs umap-learn: pip install "fiedler\[umap\]"'):
        check_projection("umap")
