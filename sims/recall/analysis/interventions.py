"""What happens to the answers when one attribute in a subject's embedding is swapped for another.

e_s + P_r (u_{a'} - u_a) should answer a' to relation r and what it answered before to every other relation. The maps
are those of a superposition that was fitted without the subject, so that nothing in them is about that subject.

Ridge regression shrinks: a predicted change makes up only the share

    shrinkage = sum_s <e_s, p_s> / sum_s <e_s, e_s>

of the true one in its direction, e_s the embeddings and p_s the predictions of subjects left out, both less their
means. So every swap is made a second time at 1 / shrinkage times its length (``ridge.Calibration.correction``), one
number for all subjects and relations, in which no answer of the model has a part. The slope of e on p, the usual
calibration, corrects nothing: a ridge with the least held-out error has slope 1. Assumes that the maps shrink alike in
all relations; where codes explain only some of the embeddings, what they leave is taken for shrinkage, so that the
corrected swap is too long.
Source: the causal interventions of arXiv 2605.12426, sec. 5; that paper's details are not known, these are ours. The
correction is that of attenuation in errors-in-variables regression, with the prediction as what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.streams import Stream
from ..model import RecallModel
from .answers import all_answers, answer_tokens, embedding_array
from .ridge import calibrate
from .superposition import Superposition, predict_left_out

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Swaps:
    """Shares of all (subject, relation), one new attribute a' drawn for each.

    ``success``: the answer to the relation becomes a'; ``others_kept``: an answer to another relation stays (NaN for
    one relation). ``random_...``: the same for a random direction of the same length; ``other_map_success``: where a'
    is put in the place of another relation's attribute instead (NaN for one relation). ``length``: mean length of what
    is added, in units of the mean distance of an embedding from their mean. All NaN where nothing could be added.
    """

    success: float
    others_kept: float
    random_success: float
    random_others_kept: float
    other_map_success: float
    length: float


@dataclass(frozen=True)
class InterventionScores:
    """``raw``: the swaps of the fitted maps as they are; ``corrected``: the same changes at ``correction`` times their
    length, see the module; ``slope``: of true on predicted embeddings of subjects left out, about 1."""

    raw: Swaps
    corrected: Swaps
    correction: float
    slope: float


def intervene(
    model: RecallModel, fits: Sequence[tuple[Bools, Superposition]], table: NDArray[np.integer], seed: int
) -> InterventionScores:
    """Swap every attribute of every subject once, raw and corrected. ``fits``: as ``cross_fit_superposition`` gives
    them for the model's subjects and the facts ``table`` (R, N)."""
    rng = np.random.default_rng((seed, Stream.RECALL_INTERVENTIONS_AND_CODES))
    relations, attributes = len(table), model.vocabulary.attributes
    new = (table + rng.integers(1, attributes, size=table.shape)) % attributes
    changes = []
    for relation in range(relations):
        own = _changes(fits, relation, table[relation], new[relation])
        next_one = (relation + 1) % relations
        other = _changes(fits, next_one, table[next_one], new[relation])
        direction = rng.standard_normal(own.shape)
        direction *= np.linalg.norm(own, axis=1, keepdims=True) / np.linalg.norm(direction, axis=1, keepdims=True)
        changes.append((own, direction, other))
    found = calibrate(embedding_array(model), predict_left_out(fits, table))
    raw, corrected = (_swap(model, changes, new, scale) for scale in (1.0, found.correction))
    return InterventionScores(raw, corrected, found.correction, found.slope)


def _swap(model: RecallModel, changes: Sequence[tuple[Floats, Floats, Floats]], new: Ints, scale: float) -> Swaps:
    """``scale`` times ``changes``, by relation the own, the random and the other map's, (N, d) each, which are to make
    the attributes ``new`` (R, N) the answers."""
    if not np.isfinite(scale):
        return Swaps(*(float("nan"),) * 6)
    wanted, embeddings = answer_tokens(model.vocabulary, new), embedding_array(model)
    before, relations = all_answers(model, embeddings), len(new)
    success, kept = np.zeros(3), np.zeros(3)
    for relation, kinds in enumerate(changes):
        for kind, change in enumerate(kinds):
            after = all_answers(model, embeddings + scale * change)
            success[kind] += (after[relation] == wanted[relation]).mean() / relations
            kept[kind] += np.delete(after == before, relation, axis=0).mean() / relations if relations > 1 else np.nan
    lengths = [np.linalg.norm(scale * own, axis=1).mean() for own, _, _ in changes]
    spread = np.linalg.norm(embeddings - embeddings.mean(axis=0), axis=1).mean()
    return Swaps(
        success=float(success[0]),
        others_kept=float(kept[0]),
        random_success=float(success[1]),
        random_others_kept=float(kept[1]),
        other_map_success=float(success[2]) if relations > 1 else float("nan"),
        length=float(np.mean(lengths) / max(spread, np.finfo(np.float64).tiny)),
    )


def _changes(fits: Sequence[tuple[Bools, Superposition]], relation: int, old: Ints, new: Ints) -> Floats:
    """(N, d): what to add to every embedding, by the fit that left its subject out."""
    found = np.empty((len(old), fits[0][1].maps.shape[2]))
    for left_out, fit in fits:
        found[left_out] = fit.swap(relation, old[left_out], new[left_out])
    return found
