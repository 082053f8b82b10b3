"""The analysis of factual recall on models whose structure is planted: the predicted one, or none of it."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from fiedler.sims.recall.analysis import transfer as recall_transfer
from fiedler.sims.recall.analysis.answers import (
    all_answers,
    answer_tokens,
    code_arrays,
    embedding_array,
    smallest_margin,
)
from fiedler.sims.recall.analysis.gates import neuron_activity, relation_energy
from fiedler.sims.recall.analysis.interventions import intervene
from fiedler.sims.recall.analysis.structure import analyse_recall
from fiedler.sims.recall.analysis.superposition import fit_superposition
from fiedler.sims.recall.analysis.transfer import new_facts, train_embeddings
from fiedler.sims.recall.built.planted import plant_construction
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.recall.training import RecallTraining
from fiedler.theory import Facts, construct_memory, random_facts
from planted_recall import AssociativeModel, GatedModel
from recall_cases import AT_CHANCE, CODE_WIDTH, FACTS, FLOAT32, RELATIONS, SMALLEST_RIDGE, SUBJECTS


@pytest.fixture(scope="module")
def gated_scores(gated: GatedModel) -> dict[str, Any]:
    return analyse_recall(gated, FACTS, 0)


@pytest.fixture(scope="module")
def associative_scores(associative: AssociativeModel) -> dict[str, Any]:
    return analyse_recall(associative, FACTS, 0)


class TestThePredictedStructure:
    def test_recalls_everything(self, gated: GatedModel, gated_scores: dict[str, Any]) -> None:
        assert gated_scores["accuracy"] == 1
        codes = code_arrays(gated)[0]
        gram = codes @ codes.T
        closest = max(gram[~np.eye(SUBJECTS, dtype=bool)].max(), 0.0)  # tokens that are no attribute have logit 0
        assert gated_scores["margin"] == pytest.approx(1 - closest, abs=FLOAT32)

    def test_transfers(self, gated_scores: dict[str, Any]) -> None:
        assert gated_scores["transfer_accuracy_draws"] == [1, 1, 1]
        assert gated_scores["transfer_accuracy"] == gated_scores["refit_accuracy"] == 1
        assert gated_scores["superposition_accuracy_held_out"] == 1
        assert gated_scores["gradient_transfer_accuracy"] > 0.95
        assert gated_scores["random_control"] < AT_CHANCE

    def test_is_read_by_probes(self, gated_scores: dict[str, Any]) -> None:
        assert gated_scores["probe_accuracy"] == [1] * RELATIONS
        assert max(gated_scores["probe_accuracy_shuffled"]) < 2 * AT_CHANCE  # a third of the questions each

    def test_has_gates(self, gated: GatedModel, gated_scores: dict[str, Any]) -> None:
        assert gated_scores["gate_selectivity"] == pytest.approx(1)
        assert gated_scores["gate_one_relation_share"] == gated_scores["gate_majority_share"] == 1
        assert gated_scores["gate_selectivity_shuffled"] < 0.5
        # Every coordinate of a code has one of two signs: one of its two neurons answers on one relation.
        assert gated_scores["gate_active"] == pytest.approx(1 / (2 * RELATIONS))
        assert gated_scores["ablation_neurons"] == 2 * CODE_WIDTH
        assert gated_scores["ablation_own"] == 0
        assert gated_scores["ablation_others"] == 1
        assert gated_scores["ablation_random_own"] > 0
        activity = neuron_activity(gated)
        assert activity is not None
        assert (relation_energy(activity).argmax(axis=0) == gated.owner.numpy()).all()

    def test_swaps_change_one_answer(self, gated_scores: dict[str, Any]) -> None:
        assert gated_scores["intervention_success"] == gated_scores["intervention_others_kept"] == 1
        assert gated_scores["intervention_random_success"] < AT_CHANCE
        assert gated_scores["intervention_other_map_success"] < AT_CHANCE
        # A random direction is spread over all relations; the swap of another one would change half of their answers.
        assert gated_scores["intervention_random_others_kept"] > 0.75
        # A swap moves one of R equal parts from one code to another: sqrt(2 / R) of an embedding's length.
        assert gated_scores["intervention_length"] == pytest.approx(math.sqrt(2 / RELATIONS), rel=0.05)

    def test_nothing_is_left_to_correct(self, gated_scores: dict[str, Any]) -> None:
        assert gated_scores["intervention_correction"] == pytest.approx(1, abs=SMALLEST_RIDGE)
        assert gated_scores["intervention_slope"] == pytest.approx(1, abs=SMALLEST_RIDGE)
        for name in ("success", "others_kept", "random_success", "random_others_kept", "other_map_success"):
            assert gated_scores[f"intervention_corrected_{name}"] == gated_scores[f"intervention_{name}"]

    def test_swaps_shortened_by_a_known_factor_are_put_right(self, gated: GatedModel) -> None:
        """Maps of a third of their length: the prediction is a third of the truth, and the correction three."""
        fit = fit_superposition(embedding_array(gated), code_arrays(gated), FACTS.table)
        short = dataclasses.replace(fit, maps=fit.maps / 3)
        found = intervene(gated, [(np.ones(SUBJECTS, dtype=bool), short)], FACTS.table, 0)
        assert found.correction == pytest.approx(3, rel=SMALLEST_RIDGE)
        assert found.slope == pytest.approx(3, rel=SMALLEST_RIDGE)
        assert found.raw.success < found.corrected.success == found.corrected.others_kept == 1
        assert found.corrected.length == pytest.approx(found.correction * found.raw.length)
        assert found.corrected.random_success < AT_CHANCE

    def test_relations_are_orthogonal(self, gated_scores: dict[str, Any]) -> None:
        assert gated_scores["subspace_overlap"] < SMALLEST_RIDGE < gated_scores["subspace_overlap_chance"]


class TestTheConstructionAsATransformer:
    def test_has_every_part_of_the_structure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recall_transfer, "GRADIENT_STEPS", 3)
        facts = random_facts(100, 3, seed=0)
        memory = construct_memory(100, 3, code_dimension=20, seed=0)  # 60 numbers to fit on 80 subjects of each fold
        scores = analyse_recall(plant_construction(memory, facts), facts, 0)
        ones = ("accuracy", "transfer_accuracy", "refit_accuracy", "superposition_accuracy_held_out")
        ones += ("intervention_success", "intervention_others_kept", "ablation_others")
        assert [scores[name] for name in ones] == [1] * len(ones)
        assert scores["superposition_r2_held_out"] > 1 - SMALLEST_RIDGE
        assert scores["gate_selectivity"] == pytest.approx(1)
        assert scores["ablation_neurons"] == memory.neurons / 3
        assert scores["ablation_own"] == scores["intervention_other_map_success"] == 0
        assert scores["subspace_overlap"] < SMALLEST_RIDGE


class TestAnAssociativeMemory:
    def test_recalls_everything_and_transfers_nothing(self, associative_scores: dict[str, Any]) -> None:
        assert associative_scores["accuracy"] == 1
        assert associative_scores["margin"] > 0
        # A code brings the old subject back that had it: of whose R facts that one is right.
        assert associative_scores["transfer_accuracy"] < 1 / RELATIONS / 2
        assert associative_scores["superposition_accuracy_held_out"] < AT_CHANCE
        assert associative_scores["random_control"] < AT_CHANCE
        # A memory answers with the facts of old subjects: one of the R new ones can be right, and others by luck.
        assert associative_scores["gradient_transfer_accuracy"] < 1 / RELATIONS + 2 * AT_CHANCE

    def test_is_no_superposition(self, associative_scores: dict[str, Any]) -> None:
        assert abs(associative_scores["superposition_r2_held_out"]) < 0.1
        assert max(associative_scores["probe_accuracy"]) < 2 * AT_CHANCE

    def test_has_no_gates(self, associative_scores: dict[str, Any]) -> None:
        assert associative_scores["gate_selectivity"] == pytest.approx(0, abs=FLOAT32)
        assert associative_scores["gate_variance_explained"] == pytest.approx(0, abs=FLOAT32)
        assert associative_scores["gate_one_relation_share"] == associative_scores["gate_majority_share"] == 0
        assert associative_scores["ablation_own"] == pytest.approx(associative_scores["ablation_others"], abs=0.05)

    def test_swaps_do_not_answer(self, associative_scores: dict[str, Any]) -> None:
        assert associative_scores["intervention_success"] < AT_CHANCE


class TestTrainedModels:
    def trained(self, **changes: Any) -> RecallTraining:
        sizes = {"subjects": 20, "relations": 2, "width": 32, "neurons": 32, "steps": 1, "warmup": 20}
        return RecallTraining(RecallSettings(**{**sizes, **changes}), 0)

    def test_a_small_training(self) -> None:
        training = self.trained(steps=300)
        for _ in range(300):
            training.advance()
        state, weights = torch.random.get_rng_state(), training.results()[0]
        kept = {name: weight.copy() for name, weight in weights.items()}
        scores = analyse_recall(training.model, training.data.facts, 0)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert all((training.results()[0][name] == weight).all() for name, weight in kept.items())
        assert json.loads(json.dumps(scores, allow_nan=False)) == scores
        assert scores == analyse_recall(training.model, training.data.facts, 0)
        assert scores["accuracy"] == training.accuracy(training.data.train[0]) > 0.9
        assert (scores["margin"] > 0) == (scores["accuracy"] == 1)
        assert len(scores["probe_accuracy"]) == len(scores["probe_accuracy_shuffled"]) == 2
        shares = [name for name in scores if "accuracy" in name or name.startswith(("gate", "ablation_o", "subspace"))]
        assert all(0 <= np.min(scores[name]) <= np.max(scores[name]) <= 1 for name in shares)
        assert (
            scores["superposition_r2_shuffled"] < scores["superposition_r2_held_out"] <= scores["superposition_r2"] <= 1
        )
        assert scores["gate_live"] > 0.5
        assert all(value is not None for value in scores.values())

    @pytest.mark.parametrize(
        "changes",
        [{"attributes": 5}, {"shared": False, "layers": 2}, {"relations": 1}, {"arch": "llama"}, {"arch": "gpt-neox"}],
        ids=str,
    )
    def test_other_models(self, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recall_transfer, "GRADIENT_STEPS", 3)
        training = self.trained(**changes)
        scores = analyse_recall(training.model, training.data.facts, 0)
        missing = {name for name, value in scores.items() if value is None}
        one = changes.get("relations") == 1
        others = {name for name in scores if name.endswith(("others", "others_kept"))}
        preferences = {f"gate_{n}" for n in ("selectivity", "selectivity_shuffled", "majority_share")}
        preferences |= {"gate_one_relation_share", "gate_variance_explained", "intervention_other_map_success"}
        preferences |= {"intervention_corrected_other_map_success"}
        expected = others | preferences | {"subspace_overlap", "subspace_overlap_chance"} if one else set()
        if scores["intervention_correction"] is None:  # held-out predictions of one step's embeddings can be worthless
            expected = expected | {name for name in scores if name.startswith("intervention_corr")}
        assert missing == expected
        assert scores["chance"] == 1 / changes.get("attributes", 20)

    def test_answers_are_those_to_tokens(self) -> None:
        training = self.trained(shared=False)
        model, table = training.model, training.data.facts.table
        with torch.no_grad():
            logits = torch.stack([model.logits(torch.tensor([[s, 20 + r]]))[0] for r in range(2) for s in range(20)])
        assert (all_answers(model, model.subjects).reshape(-1) == logits.argmax(dim=1).numpy()).all()
        targets = 22 + 20 * np.arange(2)[:, None] + table  # after 20 subjects and 2 relations, 20 for each relation
        assert (answer_tokens(model.vocabulary, table) == targets).all()
        right = logits[torch.arange(40), targets.reshape(-1)]
        logits[torch.arange(40), targets.reshape(-1)] = -torch.inf
        expected = float((right - logits.amax(dim=1)).min())
        assert smallest_margin(model, table) == pytest.approx(expected, abs=FLOAT32)

    def test_silencing_is_zeroing_the_weights_after(self) -> None:
        model = self.trained(layers=2).model
        silent = torch.zeros(64, dtype=torch.bool)
        silent[[3, 10, 40, 63]] = True
        tokens = torch.tensor([[4, 21], [7, 20]])
        with torch.no_grad():
            with model.silenced(silent), model.neurons() as seen:
                found = model.logits(tokens)
            assert not torch.cat(seen, dim=1)[:, silent].any()
            assert not torch.allclose(model.logits(tokens), found, atol=FLOAT32)
            for layer, block in enumerate(model.lm.transformer.h):
                block.mlp.c_proj.weight[silent[32 * layer : 32 * (layer + 1)]] = 0
            assert torch.allclose(model.logits(tokens), found, atol=FLOAT32)

    def test_hidden_activity_is_reported_as_missing(self, gated: GatedModel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recall_transfer, "GRADIENT_STEPS", 3)
        monkeypatch.setattr(gated, "pass_neurons", lambda activity: activity)
        scores = analyse_recall(gated, FACTS, 0)
        named = {name for name in scores if name.startswith(("gate_", "ablation_"))}
        assert {name for name, value in scores.items() if value is None} == named - {"ablation_neurons"}
        assert scores["ablation_neurons"] == 0
        assert scores["transfer_accuracy"] == 1

    def test_facts_of_other_sizes_are_refused(self, gated: GatedModel) -> None:
        with pytest.raises(ValueError, match=r"the model knows \(80, 3, 80\).*the facts have \(80, 3, 81\)"):
            analyse_recall(gated, Facts(FACTS.table, 81), 0)


class TestTransfer:
    def test_new_facts_are_new_and_repeatable(self) -> None:
        first, again, other = new_facts(FACTS, 0, 0), new_facts(FACTS, 0, 0), new_facts(FACTS, 0, 1)
        assert first.is_bijection
        assert (first.table == again.table).all()
        assert (first.table == FACTS.table).mean() < AT_CHANCE
        assert (first.table == other.table).mean() < AT_CHANCE

    def test_gradient_starts_where_it_is_told(self, gated: GatedModel) -> None:
        start = embedding_array(gated)
        assert (train_embeddings(gated, FACTS, start, 0.0, steps=3) == start).all()
        assert np.abs(train_embeddings(gated, FACTS, start, 1.0, steps=3) - start).max() > 0.01
