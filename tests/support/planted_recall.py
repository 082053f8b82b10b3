"""Two models that recall the same facts in opposite ways, with the interface the analysis of a trained model uses.

``GatedModel`` is the construction of arXiv 2605.12426: embeddings are superpositions, neurons gates of one relation.
``AssociativeModel`` looks subjects up: its embeddings are random, its neurons know subjects and not relations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fiedler.sims.recall.data import RecallVocabulary
from fiedler.theory import Facts

Floats = NDArray[np.float64]

OFFSET = 10.0  # of a closed gate: more than any coordinate of an embedding
SHARPNESS = 40.0  # of the associative lookup


class PlantedModel:
    """``embeddings`` (N, d) of subjects and ``code`` (A, k) of attributes that all relations share; tokens as in
    ``RecallVocabulary``."""

    def __init__(self, facts: Facts, embeddings: Floats, code: Floats) -> None:
        self.vocabulary = RecallVocabulary(facts.subjects, facts.relations, facts.attributes, True, False)
        self.embedding = torch.tensor(embeddings, dtype=torch.float32)
        self.code = torch.tensor(code, dtype=torch.float32)
        self.silent: Tensor | None = None
        self.seen: list[Tensor] | None = None

    @property
    def subjects(self) -> Tensor:
        return self.embedding

    def codes(self, relation: int) -> Tensor:
        return self.code

    def over_tokens(self, logits: Tensor) -> Tensor:
        """Logits of attributes (n, A) with a zero for every other token."""
        others = self.vocabulary.subjects + self.vocabulary.relations
        return torch.cat([torch.zeros(len(logits), others), logits], dim=1)

    def pass_neurons(self, activity: Tensor) -> Tensor:
        """The activity after silencing; it is shown within ``neurons()``."""
        if self.silent is not None:
            activity = activity.masked_fill(self.silent, 0.0)
        if self.seen is not None:
            self.seen.append(activity)
        return activity

    @contextmanager
    def neurons(self) -> Iterator[list[Tensor]]:
        self.seen = []
        try:
            yield self.seen
        finally:
            self.seen = None

    @contextmanager
    def silenced(self, neurons: Tensor) -> Iterator[None]:
        self.silent = neurons
        try:
            yield
        finally:
            self.silent = None


class GatedModel(PlantedModel):
    """e_s = sum_r P_r u_{g_r(s)} with random codes of signs and random P_r whose images are orthogonal; the 2 R k
    neurons are ReLU(+-P_r^T e + OFFSET (1[relation = r] - 1)) and their differences are the code that is answered."""

    def __init__(self, facts: Facts, code_width: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        code = rng.choice([-1.0, 1.0], size=(facts.attributes, code_width)) / np.sqrt(code_width)
        basis = np.linalg.qr(rng.standard_normal((facts.relations * code_width,) * 2))[0]
        self.maps = basis.reshape(facts.relations, code_width, -1)  # (R, k, d)
        parts = [code[answers] @ map_ for answers, map_ in zip(facts.table, self.maps, strict=True)]
        super().__init__(facts, np.sum(parts, axis=0), code)
        self.owner = torch.arange(facts.relations).repeat_interleave(code_width).repeat(2)  # relation of each neuron

    def answers(self, embeddings: Tensor, relations: Tensor) -> Tensor:
        read = embeddings @ torch.tensor(self.maps.reshape(-1, embeddings.shape[1]), dtype=torch.float32).T
        closed = OFFSET * (self.owner[None, :] != relations[:, None])
        activity = self.pass_neurons(torch.relu(torch.cat([read, -read], dim=1) - closed))
        half = activity.shape[1] // 2
        code = (activity[:, :half] - activity[:, half:]).reshape(len(read), -1, self.code.shape[1]).sum(dim=1)
        return self.over_tokens(code @ self.code.T)


class AssociativeModel(PlantedModel):
    """Random embeddings of length one, a neuron for each subject whose activity is a softmax of inner products with all
    of them, and the table of facts as the weights after it."""

    def __init__(self, facts: Facts, width: int, code_width: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        embeddings = rng.standard_normal((facts.subjects, width))
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        super().__init__(facts, embeddings, rng.standard_normal((facts.attributes, code_width)))
        self.keys = self.embedding.clone()
        self.values = torch.nn.functional.one_hot(torch.from_numpy(facts.table.copy()), facts.attributes).float()

    def answers(self, embeddings: Tensor, relations: Tensor) -> Tensor:
        activity = self.pass_neurons(torch.softmax(SHARPNESS * embeddings @ self.keys.T, dim=1))
        return self.over_tokens(torch.einsum("ns,nsa->na", activity, self.values[relations]))
