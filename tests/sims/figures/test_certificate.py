"""The certificate found again from the Gram matrix agrees with the closed form and fails where it should."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.figures.certificate import column_bias, dual_certificate
from fiedler.theory import cycle_optimum, one_hop_target, parse, tied_optimum
from figure_runs import comparison_folder, draw
from figures import assert_legible

SOLVED = 1e-6  # the solver's own violations are some 1e-9


def test_the_closed_form_of_the_cycle_is_certified() -> None:
    target, gram = one_hop_target(parse("cycle:9")), cycle_optimum(9).gram()
    found = dual_certificate(gram, target, np.ones(9), 0.0, np.zeros(9, dtype=np.int64))
    assert found.rank == 2
    assert found.violation < SOLVED
    assert found.gram[:2] == pytest.approx(np.linalg.eigvalsh(gram)[-2:][::-1])
    # S is circulant: its eigenvalues are those of T - P, found here by a discrete Fourier transform.
    p = np.exp(gram) / np.exp(gram).sum(axis=1, keepdims=True)
    waves = np.sort(np.fft.fft((target - p)[0]).real[1:])[::-1]
    assert found.spectrum == pytest.approx(waves, abs=1e-9)


def test_a_gram_matrix_that_is_not_optimal_is_not_certified() -> None:
    target, gram = one_hop_target(parse("cycle:9")), cycle_optimum(9).gram()
    found = dual_certificate(1.2 * gram, target, np.ones(9), 0.0, np.zeros(9, dtype=np.int64))
    assert found.violation > 1e-2


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_an_irregular_graph_with_bias_or_decay(decay: float) -> None:
    target = one_hop_target(parse("path-star:3x3"))
    optimum = tied_optimum(target, weight_decay=decay)
    found = dual_certificate(optimum.gram, target, np.ones(len(target)), decay, optimum.components)
    assert found.violation < SOLVED
    assert found.rank == optimum.rank or decay > 0  # with decay K is not centred
    if decay == 0:
        assert column_bias(optimum.gram, target, np.ones(len(target))) == pytest.approx(
            optimum.bias - optimum.bias.mean(), abs=SOLVED
        )


@pytest.mark.parametrize("width", ["single", "double"])
def test_the_figure(width: str) -> None:
    drawn, figure = draw("certificate", comparison_folder(), width=width)
    assert_legible(figure)
    assert "rank 2" in drawn.caption
    (spectrum, *_) = [line for line in figure.axes[1].lines if line.get_label() == "optimum"]
    assert np.asarray(spectrum.get_ydata()).max() < SOLVED
