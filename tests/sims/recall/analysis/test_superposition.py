"""Embeddings as sums of maps of codes: planted maps are found, and chance explains nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fiedler.sims.recall.analysis.answers import (
    code_arrays,
    embedding_array,
)
from fiedler.sims.recall.analysis.superposition import (
    cross_fit_superposition,
    fit_superposition,
    predict_left_out,
    subspace_overlap,
)
from fiedler.theory import random_facts
from planted_recall import GatedModel
from recall_cases import CODE_WIDTH, FACTS, FLOAT32, RELATIONS, ROUNDING, SMALLEST_RIDGE, SUBJECTS


class TestSuperposition:
    def test_finds_the_planted_maps(self, gated: GatedModel) -> None:
        fit = fit_superposition(embedding_array(gated), code_arrays(gated), FACTS.table)
        np.testing.assert_allclose(fit.maps, gated.maps, atol=SMALLEST_RIDGE)
        assert fit.r2 > 1 - FLOAT32
        assert fit.r2_held_out > 1 - FLOAT32
        assert fit.r2_shuffled < 0.05

    def test_predicts_new_facts(self, gated: GatedModel) -> None:
        fit = fit_superposition(embedding_array(gated), code_arrays(gated), FACTS.table)
        new = random_facts(SUBJECTS, RELATIONS, seed=11)
        expected = embedding_array(GatedModel(new, CODE_WIDTH, seed=0))  # the same codes and maps
        np.testing.assert_allclose(fit.predict(new.table), expected, atol=SMALLEST_RIDGE)
        swapped = fit.predict(FACTS.table) + fit.swap(1, FACTS.table[1], new.table[1])
        table = FACTS.table.copy()
        table[1] = new.table[1]
        np.testing.assert_allclose(swapped, fit.predict(table), atol=ROUNDING)

    def test_bijections_do_not_explain_random_embeddings(self) -> None:
        rng = np.random.default_rng(0)
        codes = [rng.standard_normal((SUBJECTS, 40)) for _ in range(RELATIONS)]  # 120 inputs for 80 subjects
        fit = fit_superposition(rng.standard_normal((SUBJECTS, 20)), codes, FACTS.table)
        assert abs(fit.r2_held_out) < 0.1

    def test_relations_have_codes_of_their_own(self) -> None:
        rng = np.random.default_rng(2)
        codes = [rng.standard_normal((SUBJECTS, 5)) for _ in range(RELATIONS)]
        maps = rng.standard_normal((RELATIONS, 5, 12))
        embeddings = sum(code[answers] @ map_ for code, answers, map_ in zip(codes, FACTS.table, maps, strict=True)) + 7
        fit = fit_superposition(embeddings, codes, FACTS.table)
        np.testing.assert_allclose(fit.maps, maps, atol=10 * SMALLEST_RIDGE)

    def test_cross_fits_leave_subjects_out(self, gated: GatedModel) -> None:
        embeddings, codes = embedding_array(gated), code_arrays(gated)
        before = predict_left_out(cross_fit_superposition(embeddings, codes, FACTS.table, 0.1), FACTS.table)
        embeddings[5] += 3
        after = predict_left_out(cross_fit_superposition(embeddings, codes, FACTS.table, 0.1), FACTS.table)
        np.testing.assert_allclose(after[5], before[5], atol=ROUNDING)
        assert not np.allclose(after, before, atol=1e-3)

    def test_subspace_overlap(self, gated: GatedModel) -> None:
        fit = fit_superposition(embedding_array(gated), code_arrays(gated), FACTS.table)
        overlap, chance = subspace_overlap(fit)
        assert overlap < SMALLEST_RIDGE
        assert 0.2 < chance <= 1 / RELATIONS
        object.__setattr__(fit, "maps", np.stack([fit.maps[0]] * RELATIONS))
        assert subspace_overlap(fit)[0] == pytest.approx(1)

    def test_one_relation_overlaps_with_none(self, gated: GatedModel) -> None:
        fit = fit_superposition(embedding_array(gated), code_arrays(gated)[:1], FACTS.table[:1])
        assert np.isnan(subspace_overlap(fit)).all()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"table": FACTS.table[:2]}, r"table must be \(3 relations, 80 subjects\)"),
            ({"table": FACTS.table + 1}, "attributes 0 ... 79; got 1 ... 80"),
            ({"codes": [np.ones((80, 2)), np.ones((80, 3)), np.ones((80, 2))]}, "arrays of one shape|of one shape"),
            ({"embeddings": np.full((80, 4), np.nan)}, "must be finite"),
        ],
    )
    def test_refuses(self, change: dict[str, Any], words: str) -> None:
        given = {"embeddings": np.ones((80, 4)), "codes": [np.ones((80, 2))] * 3, "table": FACTS.table} | change
        with pytest.raises(ValueError, match=words):
            fit_superposition(given["embeddings"], given["codes"], given["table"])
