"""What a comparison says in words follows from its numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from comparisons import small_comparison
from fiedler.sims.compare.spectral_bias import describe_spectral_bias
from fiedler.sims.compare.verdict import comparison_verdicts, model_verdict

OF_FLOW = {"flow_time": 100.0, "predicted_from": "the run's own V(0)", "edge_recall": 1.0}


def verdict(fit: Any = None, bias: Any = None, seeds: int = 2, **scores: Any) -> str:
    return model_verdict("M", [scores] * seeds, fit, bias)


@pytest.mark.parametrize(
    ("error", "words"), [(1e-5, "the prediction holds:"), (0.1, "holds roughly:"), (0.5, "the prediction fails:")]
)
def test_a_flow_at_the_time_of_the_runs(error: float, words: str) -> None:
    text = verdict(**OF_FLOW, gram_error_at_time=error, gram_error=0.34)
    assert words in text
    assert "at t = 100" in text
    assert f"{100 * error:.2g} % from that of 2 runs, with nothing fitted" in text
    assert "its limit is 34 % from it." in text
    assert text.endswith("Every edge is recalled.")
    assert "of 1 run," in verdict(seeds=1, **OF_FLOW, gram_error_at_time=error)
    assert "limit" not in verdict(**OF_FLOW, gram_error_at_time=error, gram_error=None)


@pytest.mark.parametrize(
    ("factor", "words"), [(1.05, "follow the theory:"), (1.5, "roughly:"), (4.0, "part from theory:")]
)
def test_energies_over_time(factor: float, words: str) -> None:
    (one,) = small_comparison("cycle:8", ("transformer",)).models
    fit = dataclasses.replace(one.mean_fit, rms_log10=np.log10(factor))
    text = verdict(fit, gram_error=0.87, edge_recall=0.5)
    assert words in text
    assert f"a factor {factor:.2g} apart" in text
    assert "after fitting time scale and amplitude" in text
    assert "87 % from the limit" in text
    assert "50 % of the edges are recalled." in text
    assert verdict(gram_error=0.87) == "M: its Gram matrix is 87 % from the limit."


@pytest.mark.parametrize(
    ("order", "words"), [(0.95, "fall behind in the"), (0.5, "roughly in the"), (-0.2, "not in the")]
)
def test_the_order_of_the_modes(order: float, words: str) -> None:
    flows = {"tied": {"own": True, "filtering": {"order": {"mean": order}}}, "untied": {"own": False}}
    assert f"Modes {words}" in verdict(bias={"flows": flows}).replace("fall behind roughly", "roughly").replace(
        "fall behind not", "not"
    )
    assert "Modes" not in verdict(bias={"flows": {"tied": {"own": True, "filtering": {"order": {"mean": None}}}}})


def test_of_a_comparison() -> None:
    comparison = small_comparison("florentine", ("node2vec", "transformer"))
    first, second = comparison_verdicts(comparison)
    assert first.startswith("Node2Vec: the prediction holds")
    assert second.startswith("Transformer: its mode energies ")
    bias = describe_spectral_bias(comparison.biases)["node2vec"]
    assert f"{bias['flows']['tied']['filtering']['order']['mean']:.2g}" in first
