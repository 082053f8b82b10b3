"""Everything that is measured of the structure of a trained model of one hop, in one flat dictionary.

The predictions of arXiv 2605.12426 (sec. 4) beside their scores: embeddings are superpositions of attribute codes
(``recall.analysis.superposition``), each attribute can be read off linearly (``recall.analysis.probes``), neurons are
gates for relations (``recall.analysis.gates``), a swapped code changes one answer (``recall.analysis.interventions``),
and the same perceptron serves new facts (``recall.analysis.transfer``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Facts

from ..model import RecallModel
from .answers import code_arrays, embedding_array, recall_accuracy, smallest_margin
from .gates import Ablation, GateScores, ablate_gates, gate_scores, neuron_activity, shuffle_relations
from .interventions import intervene
from .probes import probe_relations
from .superposition import Superposition, cross_fit_superposition, fit_superposition, predict_left_out, subspace_overlap
from .transfer import transfer_facts

Scores = dict[str, Any]
Fits = Sequence[tuple[NDArray[np.bool_], Superposition]]

NAN = float("nan")


def analyse_recall(model: RecallModel, facts: Facts, seed: int) -> Scores:
    """Scores of ``model``, trained on the questions of one hop about ``facts``; ``seed`` draws new facts and swaps.

    The values are numbers, lists of numbers, and None for what cannot be measured: gates of an architecture that shows
    no activity of its neurons, and what needs a second relation. The model and torch's random state stay as they are.
    Raises ValueError for facts of other sizes than the model's, and for weights that are not finite.
    """
    sizes = (model.vocabulary.subjects, model.vocabulary.relations, model.vocabulary.attributes)
    if sizes != (facts.subjects, facts.relations, facts.attributes):
        raise ValueError(
            f"the model knows {sizes} subjects, relations and attributes, the facts have "
            f"{(facts.subjects, facts.relations, facts.attributes)}; give the facts it was trained on"
        )
    embeddings, codes = embedding_array(model), code_arrays(model)
    fit = fit_superposition(embeddings, codes, facts.table)
    fits = cross_fit_superposition(embeddings, codes, facts.table, fit.ridge)
    probes = probe_relations(embeddings, codes, facts.table)
    scores = {
        "accuracy": recall_accuracy(model, model.subjects, facts.table),
        "margin": smallest_margin(model, facts.table),
        "chance": 1 / facts.attributes,
        **_transfer(model, fit, facts, seed),
        **_superposition(model, fit, fits, facts),
        "probe_accuracy": probes.accuracy.tolist(),
        "probe_accuracy_shuffled": probes.shuffled.tolist(),
        **_gates(model, facts),
        **_interventions(model, fits, facts, seed),
    }
    return {name: _without_nan(value) for name, value in scores.items()}


def _transfer(model: RecallModel, fit: Superposition, facts: Facts, seed: int) -> Scores:
    found = transfer_facts(model, fit, facts, seed)
    return {
        "transfer_accuracy": found.closed_form,
        "transfer_accuracy_draws": list(found.closed_form_draws),
        "gradient_transfer_accuracy": found.gradient,
        "random_control": found.random,
        "refit_accuracy": found.refit,
    }


def _superposition(model: RecallModel, fit: Superposition, fits: Fits, facts: Facts) -> Scores:
    overlap, chance = subspace_overlap(fit)
    return {
        "superposition_r2": fit.r2,
        "superposition_r2_held_out": fit.r2_held_out,
        "superposition_r2_shuffled": fit.r2_shuffled,
        "superposition_ridge": fit.ridge,
        "superposition_accuracy_held_out": recall_accuracy(model, predict_left_out(fits, facts.table), facts.table),
        "subspace_overlap": overlap,
        "subspace_overlap_chance": chance,
    }


def _gates(model: RecallModel, facts: Facts) -> Scores:
    activity = neuron_activity(model)
    gates = null = GateScores(NAN, NAN, NAN, NAN, NAN, NAN, NAN)
    ablation = Ablation(0, NAN, NAN, NAN, NAN)
    if activity is not None:
        gates, null = gate_scores(activity), gate_scores(shuffle_relations(activity))
        ablation = ablate_gates(model, activity, facts.table)
    return {
        "gate_selectivity": gates.selectivity,
        "gate_selectivity_shuffled": null.selectivity,
        "gate_majority_share": gates.majority,
        "gate_one_relation_share": gates.one_relation,
        "gate_variance_explained": gates.variance_explained,
        "gate_open_relations": gates.open_relations,
        "gate_active": gates.active,
        "gate_live": gates.live,
        "ablation_neurons": ablation.neurons,
        "ablation_own": ablation.own,
        "ablation_others": ablation.others,
        "ablation_random_own": ablation.random_own,
        "ablation_random_others": ablation.random_others,
    }


def _interventions(model: RecallModel, fits: Fits, facts: Facts, seed: int) -> Scores:
    found = intervene(model, fits, facts.table, seed)
    return {
        **{f"intervention_{name}": value for name, value in asdict(found.raw).items()},
        **{f"intervention_corrected_{name}": value for name, value in asdict(found.corrected).items()},
        "intervention_correction": found.correction,
        "intervention_slope": found.slope,
    }


def _without_nan(value: Any) -> Any:
    """None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value
