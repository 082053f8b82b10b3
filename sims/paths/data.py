"""Where batches and held-out examples come from: one graph memorised in the weights, or a fresh one in each prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fiedler.theory import Graph

from ..models.streams import Stream
from .examples import (
    HARDEST,
    Examples,
    context_choices,
    context_examples,
    edge_examples,
    neighbour_choices,
    path_examples,
)
from .metrics import Predict, edge_recall, path_scores
from .neighbours import Neighbours, NeighbourTargets
from .settings import PathSettings
from .star import StarPaths, split_paths, star_paths
from .tokens import make_vocabulary

MEASURED = 1250  # paths of either kind asked for at a time: as many as the paper's held-out ones
PROMPTS = 200  # held-out prompts of an in-context run

Batch = Examples | NeighbourTargets


class InWeightsData:
    """Edges and paths of one ``graph``. Raises ValueError for a graph or settings without such paths."""

    def __init__(self, graph: Graph, settings: PathSettings, seed: int) -> None:
        self.star: StarPaths = star_paths(graph)
        self.vocabulary = make_vocabulary(graph.n, seed)
        self.train, self.test = split_paths(self.star, seed, settings.split)
        self.edges = edge_examples(self.star, self.vocabulary, settings.edges)
        self.paths = path_examples(self.star, self.vocabulary, settings.pause, settings.task, settings.teacherless)
        # A reverse answer reaches the node before its leaf, or the root's, by one edge: there is nothing to choose.
        self._choices = neighbour_choices(self.star, self.vocabulary) if settings.task == "forward" else None
        self.chance = 1 / self.star.arm_count
        self.longest = self.paths.inputs.shape[1]
        self._settings = settings
        taught = self.paths.rows(self.train)
        self._taught = taught.target(HARDEST) if settings.objective == "hardest" else taught
        self._neighbours = Neighbours(self.edges, self.vocabulary.size) if settings.edge_targets == "exact" else None

    def batches(self, step: int, generator: torch.Generator) -> list[Batch]:
        settings, found = self._settings, list[Batch]()
        with_edges = settings.recipe != "staged" or step < settings.edge_steps
        with_paths = settings.recipe != "edges" and step >= settings.edge_steps
        edges, paths = settings.mixed_rows if with_edges and with_paths else (settings.edge_batch, settings.path_batch)
        if with_edges:
            exact = self._neighbours
            drawn = _draw(self.edges, edges, generator) if exact is None else exact.draw(edges, generator)
            found.append(drawn)
        if with_paths:
            found.append(_draw(self._taught, paths, generator))
        return found

    def measure(self, predict: Predict, device: torch.device) -> dict[str, Any]:
        size = self.vocabulary.size
        recall = edge_recall(predict, self.edges.to(device), size)
        record: dict[str, Any] = {
            "edge_recall": recall.nodes,
            "edge_hits": recall.edges,
            "edge_loss": recall.loss,
            "edge_floor": recall.floor,
        }
        for prefix, whole in (("", self.test), ("train_", self.train)):
            # Evenly spread over the paths, so that no arm of a large graph is left out for its number.
            chosen = whole[np.linspace(0, len(whole) - 1, min(MEASURED, len(whole))).round().astype(int)]
            record |= _measure_paths(predict, self.paths.rows(chosen).to(device), size, self._choices, prefix)
        return record


class InContextData:
    """Fresh path-stars of ``context_arms`` arms, as long as those of ``graph``."""

    def __init__(self, graph: Graph, settings: PathSettings, seed: int) -> None:
        whole = InWeightsData(graph, settings, seed)
        self._arms, self._length, self._settings = settings.context_arms, whole.star.length, settings
        self.vocabulary = make_vocabulary(self._arms * (self._length - 1) + 1, seed)
        self.chance = 1 / self._arms
        held_out = torch.Generator().manual_seed(
            int(np.random.SeedSequence((seed, Stream.PATH_PROMPTS)).generate_state(1)[0])
        )
        self.test = self._prompts(PROMPTS, held_out)
        # As in the weights, a reverse answer has nothing to choose: each node has one parent among the edges.
        forward = settings.task == "forward"
        self._choices = context_choices(self.test, self._arms, self._length) if forward else None
        self.longest = self.test.inputs.shape[1]
        # The budget of the in-weights run is its number of tokens.
        tokens = settings.edge_batch * whole.edges.inputs.shape[1] + settings.path_batch * whole.longest
        self.batch = max(1, round(tokens / self.longest))

    def batches(self, step: int, generator: torch.Generator) -> list[Batch]:
        prompts = self._prompts(self.batch, generator)
        return [prompts.target(HARDEST) if self._settings.objective == "hardest" else prompts]

    def measure(self, predict: Predict, device: torch.device) -> dict[str, Any]:
        # Training prompts are as fresh as these, so there is nothing else to measure.
        return _measure_paths(predict, self.test.to(device), self.vocabulary.size, self._choices, "")

    def _prompts(self, count: int, generator: torch.Generator) -> Examples:
        settings = self._settings
        return context_examples(
            self._arms, self._length, count, self.vocabulary, generator, settings.teacherless, settings.task
        )


def make_data(graph: Graph, settings: PathSettings, seed: int) -> InWeightsData | InContextData:
    """The data of one run, made from ``seed``."""
    return InContextData(graph, settings, seed) if settings.in_context else InWeightsData(graph, settings, seed)


def _draw(examples: Examples, count: int, generator: torch.Generator) -> Examples:
    return examples.rows(torch.randint(len(examples), (count,), generator=generator))


def _measure_paths(predict: Predict, paths: Examples, size: int, choices: Tensor | None, prefix: str) -> dict[str, Any]:
    scores = path_scores(predict, paths, size, choices)
    return {
        f"{prefix}first_token_accuracy": float(scores.per_position[HARDEST]),
        **({} if scores.choice is None else {f"{prefix}first_token_choice": scores.choice}),
        f"{prefix}path_accuracy": scores.whole,
        f"{prefix}per_position": scores.per_position.tolist(),
        f"{prefix}loss": scores.loss,
        f"{prefix}paths": len(paths),
    }
