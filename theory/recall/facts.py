"""Tables of facts (subject, relation) -> attribute: R rows of N attributes, random bijections among them, and chains.

Random tables come from ``numpy.random.default_rng([seed, 1])``; codes and projections draw from other streams, so that
one seed may serve for all of them. Source: arXiv 2605.12426 (random bijections to a shared set of attributes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_reals, check_type, check_whole_number, shown

Indices = NDArray[np.int64]

FACTS_STREAM, CODES_STREAM, PROJECTIONS_STREAM, EMBEDDINGS_STREAM = 1, 2, 3, 4  # of random numbers, beside the seed
LARGEST_MEMORY = 2**26  # numbers in one array of a memory, 512 MiB: constructions are for study, not for storage


@dataclass(frozen=True, eq=False)
class Facts:
    """g_r(s) = ``table``[r, s]: (R, N) whole numbers from 0 to ``attributes`` - 1, kept as read-only int64.

    Any table is taken; ``is_bijection`` says whether every relation is one. Raises TypeError or ValueError for a table
    that is no matrix, is empty, or names an attribute outside that range.
    """

    table: Indices
    attributes: int

    def __post_init__(self) -> None:
        count = check_whole_number(self.attributes, "attributes", 1)
        table = check_indices(self.table, (None, None), count, "table").copy()
        table.setflags(write=False)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "attributes", count)

    @property
    def subjects(self) -> int:
        """N."""
        return self.table.shape[1]

    @property
    def relations(self) -> int:
        """R."""
        return len(self.table)

    @property
    def is_bijection(self) -> bool:
        """Whether every relation gives every attribute to exactly one subject."""
        if self.subjects != self.attributes:
            return False
        return bool((np.sort(self.table, axis=1) == np.arange(self.attributes)).all())


def random_facts(subjects: int, relations: int, *, attributes: int | None = None, seed: int = 0) -> Facts:
    """R independent uniformly random permutations of N subjects, modulo A = ``attributes`` <= N (None: A = N).

    A = N gives random bijections; with fewer, every relation uses each attribute floor(N / A) or ceil(N / A) times.
    Raises ValueError for A > N, and for more than LARGEST_MEMORY facts.

    >>> from fiedler.theory import compose_facts, random_facts
    >>> facts = random_facts(4, 2, seed=1)
    >>> facts.table.tolist(), facts.is_bijection
    ([[2, 0, 1, 3], [1, 2, 0, 3]], True)
    >>> compose_facts(facts, [0, 1]).tolist()  # relation 0, then relation 1
    [0, 1, 2, 3]
    """
    n, r = check_whole_number(subjects, "subjects", 1), check_whole_number(relations, "relations", 1)
    a = n if attributes is None else check_whole_number(attributes, "attributes", 1)
    if a > n:
        raise ValueError(f"attributes must be at most the number of subjects, {n}; got {shown(attributes)}")
    check_memory_size(float(n) * r, "the table of facts")
    rng = generator(seed, FACTS_STREAM)
    return Facts(rng.permuted(np.tile(np.arange(n), (r, 1)), axis=1) % a, a)


def compose_facts(facts: Facts, word: ArrayLike) -> Indices:
    """g_{r_K}(... g_{r_1}(s)) for every s: (N,) int64. ``word``: the relations r_1, ..., r_K, the first applied first.

    Subjects and attributes must be one set of entities, A = N. Raises ValueError otherwise, and for a word that is
    empty or names no relation.
    """
    table = check_entities(facts).table
    answer = np.arange(facts.subjects)
    for relation in check_indices(word, (None,), facts.relations, "word"):
        answer = table[relation, answer]
    return answer


def check_facts(facts: object) -> Facts:
    """``facts`` if it is a ``Facts``; TypeError otherwise."""
    return check_type(facts, Facts, "facts", "use Facts(table, attributes) or random_facts")


def check_entities(facts: object) -> Facts:
    """``facts`` if subjects and attributes are one set of entities; ValueError otherwise."""
    checked = check_facts(facts)
    if checked.attributes != checked.subjects:
        raise ValueError(
            f"a chain needs attributes that are subjects: facts has {checked.subjects} subjects and "
            f"{checked.attributes} attributes; use equal numbers"
        )
    return checked


def check_indices(value: ArrayLike, shape: tuple[int | None, ...], below: int, name: str) -> Indices:
    """Whole numbers from 0 to ``below`` - 1 of the given shape (None: any size above zero), as int64."""
    array = check_reals(value, name)
    fits = array.ndim == len(shape) and all(
        have > 0 and want in (None, have) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("at least 1" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}{',' * (len(shape) == 1)}); got {array.shape}")
    if not ((array >= 0) & (array < below) & (array == np.floor(array))).all():
        raise ValueError(f"{name} must hold whole numbers from 0 to {below - 1}; got {shown(value)}")
    return array.astype(np.int64)


def check_memory_size(numbers: float, what: str) -> None:
    """ValueError for an array of more than LARGEST_MEMORY numbers."""
    if numbers > LARGEST_MEMORY:
        raise ValueError(f"{what} would hold {numbers:.1e} numbers, above the limit of {LARGEST_MEMORY:.1e}; use fewer")


def generator(seed: int, stream: int) -> np.random.Generator:
    """Random numbers of one purpose: different streams of the same seed are independent."""
    return np.random.default_rng([check_whole_number(seed, "seed", 0), stream])
