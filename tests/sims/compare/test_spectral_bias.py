"""The table and the JSON of the spectral bias: own scores, both flows for a hypothesis, and where the theory stands."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from comparisons import small_comparison
from fiedler.sims.compare import spectral_bias as module
from fiedler.sims.compare.mode_order import spectral_bias
from fiedler.sims.compare.spectral_bias import (
    EXACT,
    HEADER,
    describe_spectral_bias,
    spectral_bias_notes,
    spectral_bias_rows,
    theory_status,
)
from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.models.registry import get_model
from fiedler.theory import mode_energy, untied_flow

MODELS = ("node2vec", "node2vec-untied", "transformer")


def test_only_a_hypothesis_is_scored_against_both_flows() -> None:
    biases = small_comparison("cycle:8", MODELS).biases
    assert [(bias.compared.model.name, bias.flow, bias.own) for bias in biases] == [
        ("node2vec", "tied", True),
        ("node2vec-untied", "untied", True),
        ("transformer", "tied", True),
        ("transformer", "untied", False),
    ]
    assert biases[2].predicted is biases[2].compared.predicted


def test_the_other_flow_is_the_untied_one_from_the_same_start() -> None:
    comparison = small_comparison("cycle:8", MODELS)
    found = comparison.biases[-1].predicted
    settings = comparison.models[-1].settings
    s, n = np.sqrt(settings.width) * settings.init_std, 8
    start, zero = s * np.eye(n), np.zeros((n, n))
    at = found.times[[50, 120, 199]]
    flow = untied_flow(comparison.task.target, np.hstack([start, zero]), np.hstack([zero, start]), at)
    energy = [mode_energy(v, comparison.task.spaces, centred=True) for v in flow.embedding]
    np.testing.assert_allclose(found.centred_energy[[50, 120, 199]], energy, rtol=1e-5, atol=1e-12)


def test_a_start_that_models_share_is_followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = small_comparison("cycle:8", MODELS)
    twice = dataclasses.replace(comparison, models=comparison.models * 2)
    calls = []
    real = module.predict_trajectory
    monkeypatch.setattr(module, "predict_trajectory", lambda *args: calls.append(args) or real(*args))
    assert len(twice.biases) == 8
    assert len(calls) == 1
    assert twice.biases is twice.biases  # nor a second time for the same comparison
    assert len(calls) == 1


def test_large_graphs_are_scored_against_their_own_flow_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NODES", 7)
    comparison = dataclasses.replace(small_comparison("cycle:8", MODELS))  # one that was not scored before
    assert len(comparison.biases) == 3


def test_the_json_holds_every_score_and_no_more_than_json_can() -> None:
    comparison = small_comparison("path-star:3x3", MODELS)
    biases = comparison.biases
    found = json.loads(to_json(describe_spectral_bias(biases)))
    assert list(found) == list(MODELS)
    assert list(found["transformer"]["flows"]) == ["tied", "untied"]
    for bias in biases:
        entry = found[bias.compared.model.name]["flows"][bias.flow]
        compared = bias.compared
        again = spectral_bias(
            bias.predicted,
            compared.model.initial_energy(compared.settings),
            [run.modes for run in compared.runs],
            compared.model.time_per_step(compared.settings),
            comparison.task.spaces,
        )
        assert entry["own"] == bias.own
        assert entry["filtering"]["order"]["values"] == pytest.approx(
            [None if v != v else v for v in again.filtering.order.values]
        )
        assert entry["overlap"]["mean"] == pytest.approx(again.overlap.mean)
        assert len(entry["filtering"]["measured_steps"]) == 2
        assert len(entry["filtering"]["predicted_times"]) == len(entry["eigenspaces"])
        assert entry["time_scale_fitted"] == (compared.model.name == "transformer")


def test_the_table_says_the_same_numbers() -> None:
    biases = small_comparison("path-star:3x3", MODELS).biases
    header, rows = spectral_bias_rows(biases)
    assert header == list(HEADER)
    assert all(len(row) == len(header) for row in rows)
    for row, bias in zip(rows, biases, strict=True):
        score = bias.score
        assert row[:2] == [bias.compared.model.title, bias.flow]
        for cell, order in ((row[2], score.filtering), (row[3], score.growth)):
            if np.isnan(order.order.mean):
                assert cell == "-"
                continue
            low, high = order.order.interval
            assert cell == f"{order.order.mean:.2f} [{low:.2f}, {high:.2f}], p {order.p_value:.1g}"
        assert row[6].endswith(f"({score.overlap_by_chance:.2f})")
        assert (", " in row[5] and "a step" in row[5]) == (score.fitted and row[5] != "-")
    assert "-" in rows[1][2]  # untied from a large start: nothing falls behind
    short, brief = spectral_bias_rows(biases, brief=True)
    assert len(short) == len(brief[0]) == 6
    assert not any("[" in cell or "p " in cell for row in brief for cell in row[2:])
    assert all(len(line) <= 120 for line in spectral_bias_notes(5))


@pytest.mark.parametrize(
    ("name", "overrides", "status"),
    [
        ("node2vec", {}, EXACT),
        ("node2vec-untied", {"weight_decay": 0.1}, EXACT),
        ("one-layer", {}, "hypothesis: Adam (no clock), inner weights"),
        ("one-layer", {"optimiser": "sgd"}, "hypothesis: inner weights"),
        (
            "one-layer",
            {"optimiser": "sgd", "schedule": "cosine"},
            "hypothesis: changing rate (no clock), inner weights",
        ),
        ("mlp", {"layers": 3}, "hypothesis: Adam (no clock), depth 3, nonlinear, no residuals"),
        ("transformer", {}, "hypothesis: Adam (no clock), depth 1, layer norm, attention"),
        (
            "transformer",
            {"layers": 2, "layer_norm": False, "residual": False, "tied": False, "frozen": True, "dropout": 0.1},
            "hypothesis: Adam (no clock), depth 2, attention, no residuals, untied, frozen embeddings, dropout",
        ),
        ("mamba", {}, "hypothesis: Adam (no clock), depth 1, layer norm"),
        ("associative", {}, "hypothesis: Adam (no clock), inner weights, frozen embeddings"),
    ],
)
def test_where_the_theory_stands(name: str, overrides: dict[str, object], status: str) -> None:
    model = get_model(name)
    one = dataclasses.replace(
        small_comparison("cycle:8", MODELS).models[0], model=model, settings=model.make_settings(**overrides)
    )
    assert theory_status(one) == status
