"""New facts for a trained model in which everything is frozen but the embeddings of its subjects.

If the perceptron is a selector that knows relations and attribute codes but no facts, new bijections need new subject
embeddings only, and the superposition fitted to the old facts says which. Source: arXiv 2605.12426, sec. 5 ("suitably
re-initialised" subject embeddings); that paper's protocol is not known, this one is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from fiedler.theory import Facts, random_facts

from ...models.streams import Stream
from ..model import RecallModel
from .answers import answer_tokens, embedding_array, recall_accuracy
from .superposition import Superposition

Floats = NDArray[np.float64]

DRAWS = 3  # of new facts
GRADIENT_STEPS = 200  # of Adam, all questions in each
GRADIENT_RATE = 0.3  # in units of the mean deviation of an embedding's coordinate


@dataclass(frozen=True, eq=False)
class TransferScores:
    """Accuracy on new facts, mean over DRAWS of them: ``closed_form``, embeddings predicted by the superposition;
    ``gradient``, embeddings trained for GRADIENT_STEPS on the new facts, from the superposition's intercept (first draw
    only); ``random``, embeddings with the old ones' mean and deviation in each coordinate. ``refit``: accuracy on the
    old facts with the embeddings that the superposition predicts for them."""

    closed_form: float
    closed_form_draws: tuple[float, ...]
    gradient: float
    random: float
    refit: float


def transfer_facts(model: RecallModel, fit: Superposition, facts: Facts, seed: int) -> TransferScores:
    """Give ``model`` new facts of the same sizes as ``facts``, to whose embeddings ``fit`` was fitted. The model and
    torch's random state stay as they are."""
    draws = [new_facts(facts, seed, draw) for draw in range(DRAWS)]
    rng = np.random.default_rng((seed, Stream.RECALL_TRANSFER))
    old = embedding_array(model)
    closed = [recall_accuracy(model, fit.predict(new.table), new.table) for new in draws]
    random = [
        recall_accuracy(model, old.mean(axis=0) + old.std(axis=0) * rng.standard_normal(old.shape), new.table)
        for new in draws
    ]
    start, scale = np.tile(fit.intercept, (len(old), 1)), float(old.std(axis=0).mean())
    learned = train_embeddings(model, draws[0], start, scale, steps=GRADIENT_STEPS)
    return TransferScores(
        closed_form=float(np.mean(closed)),
        closed_form_draws=tuple(closed),
        gradient=recall_accuracy(model, learned, draws[0].table),
        random=float(np.mean(random)),
        refit=recall_accuracy(model, fit.predict(facts.table), facts.table),
    )


def new_facts(facts: Facts, seed: int, draw: int) -> Facts:
    """Random facts of the same sizes, independent of those of any run's seed."""
    drawn = int(np.random.SeedSequence((seed, Stream.RECALL_TRANSFER, draw)).generate_state(1)[0])
    return random_facts(facts.subjects, facts.relations, attributes=facts.attributes, seed=drawn)


def train_embeddings(model: RecallModel, facts: Facts, start: Floats, scale: float, *, steps: int) -> Floats:
    """(N, d): subject embeddings trained on ``facts`` from ``start`` (N, d), every weight of the model frozen, in
    ``steps`` of Adam without weight decay; the rate is GRADIENT_RATE times ``scale`` and falls linearly to zero, the
    loss the mean cross-entropy of all questions."""
    device = model.embedding.device
    embeddings = torch.tensor(start, dtype=torch.float32, device=device, requires_grad=True)
    subjects = torch.arange(facts.subjects, device=device).repeat(facts.relations)
    relations = torch.arange(facts.relations, device=device).repeat_interleave(facts.subjects)
    targets = torch.from_numpy(answer_tokens(model.vocabulary, facts.table).reshape(-1)).to(device)
    optimiser = torch.optim.Adam([embeddings], lr=GRADIENT_RATE * scale)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = GRADIENT_RATE * scale * (1 - step / steps)
        loss = functional.cross_entropy(model.answers(embeddings[subjects], relations), targets)
        (embeddings.grad,) = torch.autograd.grad(loss, [embeddings])  # of the embeddings alone: no weight gets one
        optimiser.step()
    return embeddings.detach().cpu().numpy().astype(np.float64)
