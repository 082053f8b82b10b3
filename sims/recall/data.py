"""Facts as tokens: the vocabulary, the questions a model is trained on and those held out.

Tokens: subjects 0 ... N-1, relations N ... N+R-1, then the attributes; with several hops the attributes are the
subjects themselves. A question is s r_1 ... r_h, its answer the token after; with chain of thought s r_1 ... r_h
a_1 ... a_h, the entities on the way and the answer last. A question of no hop is the subject alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fiedler.theory import Facts, random_facts

from ..models.streams import Stream
from .settings import RecallSettings

Ints = NDArray[np.int64]

IGNORED = -100  # in place of a target where nothing is asked, as in PyTorch


@dataclass(frozen=True)
class RecallVocabulary:
    """Token numbers; see the module."""

    subjects: int
    relations: int
    attributes: int
    shared: bool
    entities: bool

    @property
    def size(self) -> int:
        """Number of tokens."""
        sets = 0 if self.entities else 1 if self.shared else self.relations
        return self.subjects + self.relations + sets * self.attributes

    def relation(self, numbers: Ints) -> Ints:
        """Tokens of relations."""
        return self.subjects + numbers

    def answer(self, relations: Ints, attributes: Ints) -> Ints:
        """Tokens of the ``attributes`` that answer ``relations``, of equal shape."""
        if self.entities:
            return attributes
        first = self.subjects + self.relations
        return first + attributes + (0 if self.shared else relations * self.attributes)


@dataclass(frozen=True, eq=False)
class Questions:
    """n questions of h hops: ``subjects`` (n,), ``words`` (n, h) of relations, ``path`` (n, h) of what is reached after
    each hop, the answer last; of no hop (n, 1), the answer."""

    subjects: Ints
    words: Ints
    path: Ints

    @property
    def hops(self) -> int:
        """h."""
        return self.words.shape[1]

    def __len__(self) -> int:
        return len(self.subjects)

    def take(self, rows: Ints | NDArray[np.bool_]) -> Questions:
        """Some of them."""
        return Questions(self.subjects[rows], self.words[rows], self.path[rows])


@dataclass(frozen=True, eq=False)
class RecallData:
    """The ``facts``, their ``vocabulary``, ``train`` questions by length 1 ... K and the K-hop ones ``held_out``; those
    that go through facts held out alone, ``unseen_facts``; and those of no hop, ``alone``."""

    facts: Facts
    vocabulary: RecallVocabulary
    train: tuple[Questions, ...]
    held_out: Questions
    unseen_facts: Questions
    alone: Questions
    chain_of_thought: bool

    @property
    def shown(self) -> tuple[Questions, ...]:
        """All that is trained on."""
        return (*self.train, self.alone) if len(self.alone) else self.train

    @property
    def longest(self) -> int:
        """Tokens of the longest input."""
        hops = self.train[-1].hops
        return 1 + hops + (hops - 1 if self.chain_of_thought else 0)

    def encode(self, questions: Sequence[Questions]) -> tuple[Tensor, Tensor]:
        """Inputs (n, T) of all ``questions``, shorter ones filled up on the right, which no earlier token sees; and
        what follows each token, (n, T): the answer, with chain of thought all h entities, IGNORED elsewhere."""
        inputs, targets = [], []
        for group in questions:
            prompt = self.prompt(group)
            answers = torch.from_numpy(self.vocabulary.answer(group.words, group.path))
            tokens = torch.cat([prompt, answers[:, :-1]], dim=1) if self.chain_of_thought else prompt
            asked = answers if self.chain_of_thought else answers[:, -1:]
            before, after = tokens.shape[1] - asked.shape[1], self.longest - tokens.shape[1]
            inputs.append(functional.pad(tokens, (0, after)))
            targets.append(functional.pad(asked, (before, after), value=IGNORED))
        return torch.cat(inputs), torch.cat(targets)

    def prompt(self, questions: Questions) -> Tensor:
        """Inputs (n, 1 + h) without anything of the answer."""
        words = self.vocabulary.relation(questions.words)
        return torch.from_numpy(np.concatenate([questions.subjects[:, None], words], axis=1))


def make_recall_data(settings: RecallSettings, seed: int) -> RecallData:
    """The facts and questions of a run's seed."""
    facts = random_facts(settings.subjects, settings.relations, attributes=settings.attribute_count, seed=seed)
    entities = settings.hops > 1
    vocabulary = RecallVocabulary(
        settings.subjects, settings.relations, settings.attribute_count, settings.shared, entities
    )
    train = [all_questions(facts, hops) for hops in range(1, settings.hops + 1)]
    rng = np.random.default_rng((seed, Stream.RECALL_HELD_OUT))
    unseen = _none(settings.hops)
    if settings.held_out_facts:
        train, unseen = _without_facts(train, settings.held_out_facts, seed)
    order = rng.permutation(len(train[-1]))
    hidden = round(settings.held_out * len(order))
    last = train[-1]
    train[-1] = last.take(np.sort(order[hidden:]))
    held_out = last.take(np.sort(order[:hidden]))
    alone = _alone(facts.subjects, settings.zero_hop, seed)
    return RecallData(facts, vocabulary, tuple(train), held_out, unseen, alone, settings.chain_of_thought)


def _none(hops: int) -> Questions:
    return Questions(*(np.zeros(shape, dtype=np.int64) for shape in ((0,), (0, hops), (0, max(1, hops)))))


def _without_facts(train: Sequence[Questions], share: float, seed: int) -> tuple[list[Questions], Questions]:
    """The questions of one hop, and of the longer ones those through no fact of a random ``share``; and the longest
    ones through nothing else."""
    facts = train[0]
    relations = int(facts.words.max()) + 1
    rng = np.random.default_rng((seed, Stream.RECALL_HELD_OUT_FACTS))
    hidden = np.zeros((relations, len(facts) // relations), dtype=np.bool_)
    hidden.flat[rng.permutation(hidden.size)[: round(share * hidden.size)]] = True
    through = [hidden[one.words, np.column_stack([one.subjects, one.path[:, :-1]])] for one in train]
    kept = [one.take(np.asarray(~used.any(axis=1))) for one, used in zip(train[1:], through[1:], strict=True)]
    unseen = train[-1].take(np.asarray(through[-1].all(axis=1)))
    if not all(map(len, (*kept, unseen))):
        raise ValueError(f"held_out_facts {share:g} leaves no question of {len(train)} hops to show, or none to ask")
    return [facts, *kept], unseen


def _alone(subjects: int, kind: str, seed: int) -> Questions:
    """Every entity as a question of its own; none for ""."""
    if not kind:
        return _none(0)
    entities = np.arange(subjects)
    rng = np.random.default_rng((seed, Stream.RECALL_PERMUTED))
    answers = entities if kind == "identity" else rng.permutation(subjects)
    return Questions(entities, np.zeros((subjects, 0), dtype=np.int64), answers[:, None])


def all_questions(facts: Facts, hops: int) -> Questions:
    """Every question of ``hops`` hops, the words in lexicographic order, the subjects inside."""
    subjects = np.arange(facts.subjects)
    words = list(product(range(facts.relations), repeat=hops))
    paths = [_path(facts, word) for word in words]
    return Questions(
        np.tile(subjects, len(words)),
        np.repeat(np.array(words, dtype=np.int64), len(subjects), axis=0),
        np.concatenate(paths),
    )


def _path(facts: Facts, word: Sequence[int]) -> Ints:
    """(N, h): where every subject is after each hop of ``word``."""
    at, path = np.arange(facts.subjects), []
    for relation in word:
        at = facts.table[relation, at]
        path.append(at)
    return np.stack(path, axis=1)
