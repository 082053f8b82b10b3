"""Exact neighbour targets: the conditional mean of the sampled loss, its variance, and the floor of both."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from fiedler.sims.paths import metrics
from fiedler.sims.paths.data import InWeightsData
from fiedler.sims.paths.examples import edge_examples
from fiedler.sims.paths.metrics import edge_recall
from fiedler.sims.paths.neighbours import Neighbours
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.star import star_paths
from fiedler.sims.paths.tokens import make_vocabulary
from fiedler.sims.paths.training import PathTraining
from fiedler.theory import parse

GRAPH = parse("path-star:5x4")
TINY = PathSettings(layers=1, width=16, heads=2, pause=1, steps=12, edge_batch=6, path_batch=4, warmup=3, records=4)
# Of float32 losses near log 25 and their gradients.
ROUNDING = 2e-6
DRAWS = 200  # of which means differ by their standard error, seldom by four of them
STANDARD_ERRORS = 4.0


def rows_loss(training: PathTraining, inputs: Tensor, positions: Tensor) -> Tensor:
    """log p (B, V) of what follows ``inputs``."""
    return training.model(input_ids=inputs).logits[:, positions][:, 0].log_softmax(dim=-1)


def neighbours_of(training: PathTraining) -> dict[tuple[int, ...], list[int]]:
    edges, found = training.data.edges, {}
    for given, wanted in zip(edges.inputs.tolist(), edges.targets[:, 0].tolist(), strict=True):
        found.setdefault(tuple(given), []).append(wanted)
    return found


@pytest.mark.parametrize("directions", ["both", "forward", "backward"])
def test_all_nodes_together_are_the_mean_over_all_directed_edges(directions: str) -> None:
    training = PathTraining(GRAPH, replace(TINY, edges=directions, edge_targets="exact", edge_batch=30), 0)
    edges = training.data.edges
    logp = rows_loss(training, edges.inputs, edges.positions)
    wanted = -logp.gather(1, edges.targets).mean()
    batch = training.data.batches(0, torch.Generator())[0]
    assert training._loss(batch).item() == pytest.approx(wanted.item(), rel=ROUNDING)
    assert training.data.batches(7, torch.Generator().manual_seed(5))[0] is batch  # nothing is drawn


def test_a_draw_is_the_mean_over_the_neighbours_of_the_nodes_drawn() -> None:
    exact, sampled = (PathTraining(GRAPH, replace(TINY, edge_targets=word), 0) for word in ("exact", "sampled"))
    batch = exact.data.batches(0, torch.Generator().manual_seed(3))[0]
    drawn = sampled.data.batches(0, torch.Generator().manual_seed(3))[0]
    known = neighbours_of(exact)
    logp = rows_loss(exact, drawn.inputs, drawn.positions)
    wanted = -torch.stack([row[known[tuple(u)]].mean() for row, u in zip(logp, drawn.inputs.tolist(), strict=True)])
    assert exact._loss(batch).item() == pytest.approx(wanted.mean().item(), rel=ROUNDING)
    assert len(batch.inputs) == len({tuple(u) for u in drawn.inputs.tolist()})
    assert float(batch.weight.sum()) == 6


def test_the_gradient_has_the_same_mean_and_a_smaller_variance() -> None:
    means, variances = {}, {}
    for word in ("sampled", "exact"):
        training = PathTraining(GRAPH, replace(TINY, edge_targets=word), 0)
        generator = torch.Generator().manual_seed(1)
        weight = training.model.get_input_embeddings().weight
        found = torch.stack(
            [
                torch.autograd.grad(training._loss(training.data.batches(0, generator)[0]), weight)[0].flatten()
                for _ in range(DRAWS)
            ]
        ).double()
        means[word], variances[word] = found.mean(dim=0), found.var(dim=0)
    error = ((variances["sampled"] + variances["exact"]) / DRAWS).sum().sqrt()
    assert (means["sampled"] - means["exact"]).norm() < STANDARD_ERRORS * error
    # The part of the neighbour given the node: near a uniform model about half, see docs/paths.md.
    assert variances["exact"].sum() < 0.8 * variances["sampled"].sum()


def test_the_floor_is_the_entropy_of_a_neighbour_and_is_reached() -> None:
    d, length = 6, 5
    star, vocabulary = star_paths(parse(f"path-star:{d}x{length}")), make_vocabulary(d * (length - 1) + 1, 0)
    edges = edge_examples(star, vocabulary)
    target = torch.full((vocabulary.size, vocabulary.size), -torch.inf)
    target[edges.inputs[:, 1], edges.targets[:, 0]] = 0.0
    recall = edge_recall(lambda tokens, positions: target[tokens[:, positions]], edges, vocabulary.size)
    # The root has d neighbours, the d (l - 2) nodes within arms two, and leaves one: 2 d (l - 1) directed edges.
    wanted = (d * log(d) + 2 * d * (length - 2) * log(2)) / (2 * d * (length - 1))
    assert recall.floor == pytest.approx(wanted, rel=1e-12)
    assert recall.loss == pytest.approx(wanted, rel=ROUNDING)
    assert (recall.nodes, recall.edges) == (1.0, 1.0)


def test_measuring_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    training = PathTraining(GRAPH, TINY, 0)
    data, size = training.data, training.data.vocabulary.size
    assert isinstance(data, InWeightsData)
    with torch.no_grad():
        whole = edge_recall(training._predict, data.edges, size)
        monkeypatch.setattr(metrics, "CHUNK", 1)  # a row at a time
        pieces = edge_recall(training._predict, data.edges, size)
    assert (pieces.nodes, pieces.edges, pieces.floor) == (whole.nodes, whole.edges, whole.floor)
    assert pieces.loss == pytest.approx(whole.loss, rel=ROUNDING)
    # Oracle: the loss of all directed edges, by the model's own logits.
    logp = rows_loss(training, data.edges.inputs, data.edges.positions)
    assert whole.loss == pytest.approx(-logp.gather(1, data.edges.targets).mean().item(), rel=ROUNDING)
    assert whole.loss > whole.floor


def test_nodes_are_drawn_by_their_degree() -> None:
    edges = edge_examples(star_paths(GRAPH), make_vocabulary(16, 0))
    neighbours = Neighbours(edges, 25)
    drawn = [neighbours.draw(10, torch.Generator().manual_seed(seed)) for seed in range(DRAWS)]
    root = int(edges.inputs[0, 1])
    share = np.mean([float(one.weight[one.inputs[:, 1] == root].sum()) / 10 for one in drawn])
    spread = (5 / 30 * 25 / 30 / (10 * DRAWS)) ** 0.5  # 5 of the 30 directed edges leave the root
    assert abs(share - 5 / 30) < STANDARD_ERRORS * spread
    assert all(torch.equal(one.target.row_sum, torch.ones(len(one.weight))) for one in drawn)
