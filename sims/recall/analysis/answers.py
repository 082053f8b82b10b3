"""What a model answers to every question of one hop, with its own subject embeddings or with others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import RecallVocabulary
from ..model import RecallModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS = 4096  # questions in one forward pass


def embedding_array(model: RecallModel) -> Floats:
    """(N, d): the subject embeddings."""
    return _array(model.subjects)


def code_arrays(model: RecallModel) -> tuple[Floats, ...]:
    """By relation the codes of its attributes, (A, d)."""
    return tuple(_array(model.codes(relation)) for relation in range(model.vocabulary.relations))


def all_answers(model: RecallModel, embeddings: NDArray[np.floating] | Tensor) -> Ints:
    """(R, n): the most likely token of the whole vocabulary after (subject, relation), for subjects with
    ``embeddings`` (n, d)."""
    found = [logits.argmax(dim=-1) for logits in _logits(model, embeddings)]
    return np.asarray(torch.cat(found).cpu().numpy()).reshape(model.vocabulary.relations, -1)


def answer_tokens(vocabulary: RecallVocabulary, table: NDArray[np.integer]) -> Ints:
    """(R, n): the tokens of the attributes ``table`` (R, n)."""
    relations = np.broadcast_to(np.arange(len(table))[:, None], table.shape)
    return vocabulary.answer(relations, table.astype(np.int64))


def recall_accuracy(model: RecallModel, embeddings: NDArray[np.floating] | Tensor, table: NDArray[np.integer]) -> float:
    """Share of the facts ``table`` (R, n) that the model answers right for subjects with ``embeddings`` (n, d)."""
    return float((all_answers(model, embeddings) == answer_tokens(model.vocabulary, table)).mean())


def smallest_margin(model: RecallModel, table: NDArray[np.integer]) -> float:
    """The least, over all facts, of the right answer's logit minus the largest other one; positive where all facts are
    recalled."""
    right = torch.from_numpy(answer_tokens(model.vocabulary, table).reshape(-1))
    least, first = float("inf"), 0
    for logits in _logits(model, model.subjects):
        chosen = right[first : first + len(logits), None].to(logits.device)
        first += len(logits)
        others = logits.scatter(1, chosen, -torch.inf).amax(dim=1)
        least = min(least, float((logits.gather(1, chosen)[:, 0] - others).min()))
    return least


def _logits(model: RecallModel, embeddings: NDArray[np.floating] | Tensor) -> Iterator[Tensor]:
    """Logits of every (relation, subject), the subjects inside, at most ROWS at once."""
    device = model.embedding.device
    given = torch.as_tensor(embeddings, dtype=torch.float32, device=device)
    count, relations = len(given), model.vocabulary.relations
    questions = torch.arange(count * relations, device=device)
    with torch.no_grad():
        for rows in questions.split(ROWS):
            yield model.answers(given[rows % count], rows // count)


def _array(weights: Tensor) -> Floats:
    return weights.detach().cpu().numpy().astype(np.float64)
