"""What an optimum's duality gap leaves open in the scores against it: measured against the exact optimum."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.scores.embedding import describe_gap, gap_uncertainty
from fiedler.theory import (
    TiedOptimum,
    fiedler_score,
    gram_error,
    gram_scale,
    one_hop_target,
    parse,
    tied_flow,
    tied_optimum,
)
from fiedler.theory.optimum.certificate import tied_certificate


@pytest.mark.parametrize("decay", [0.1, 0.5])
@pytest.mark.parametrize("word", ["karate", "path-star:4x5", "irregular"])
def test_the_scores_are_within_what_the_gap_leaves_open(word: str, decay: float) -> None:
    """The flow on its way to the optimum, taken for it with the gap it has."""
    target = one_hop_target(parse(word))
    n, best = len(target), tied_optimum(target, weight_decay=decay)
    rng = np.random.default_rng(0)
    runs = [best.embedding() + s * rng.standard_normal((n, best.rank)) for s in (0.05, 0.3, 1.0)]
    flow = tied_flow(target, 0.3 * np.eye(n), np.array([3.0, 10, 20, 40]), weight_decay=decay)
    for v in flow.embedding:
        certificate = tied_certificate(target, np.ones(n), decay, v, np.zeros(n))
        reach = gap_uncertainty(certificate.duality_gap / best.loss)
        near = TiedOptimum(
            v,
            bias=np.zeros(n),
            loss=best.loss,
            weight_decay=decay,
            total_weight=float(n),
            attained=True,
            components=best.components,
            certificate=certificate,
            method="a flow on its way",
        )
        for run in runs:
            assert abs(gram_error(run, near) - gram_error(run, best)) < reach
            assert abs(gram_scale(run, near) / gram_scale(run, best) - 1) < 2 * reach / (1 - min(reach, 0.5))
            found = describe_gap(run, near)
            low, high = found.get("fiedler_score_range", [fiedler_score(run, near)] * 2)
            assert low - reach <= fiedler_score(run, best) <= high + reach


def test_a_sure_rank_has_no_range() -> None:
    best = tied_optimum(one_hop_target(parse("cycle:15")))
    assert "fiedler_score_range" not in describe_gap(np.eye(15), best)
