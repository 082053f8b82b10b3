import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from fiedler.theory import early_modes, ladder_gram_flow, one_hop_target, parse
from fiedler.theory.ladder.saddle_escape import saddle_escape_time
from fiedler.theory.ladder.spectral import spectral_map

QUADRATURE = 1e-9  # two ways to one integral
MAPS = ({}, {"tied": False}, {"init_scale": 1.0}, {"residual": False}, {"residual": False, "inner_scale": 0.3})


@pytest.mark.parametrize("options", MAPS)
@pytest.mark.parametrize("depth", [1, 2, 3, 7, 40])
@pytest.mark.parametrize(("start", "level"), [(1e-8, 1.0), (1e-3, 1e3), (0.5, 0.7), (30.0, 1e4)])
def test_the_integral_of_the_growth_law(start, level, depth, options):
    phi = spectral_map(depth, **options)
    level = min(level, 1e3) if depth > 7 else level

    def in_log(y):
        return 1 / phi.gain(np.exp(y))

    whole = quad(in_log, np.log(start), np.log(level), limit=500, epsabs=0, epsrel=1e-12)[0]
    assert saddle_escape_time(phi, 0.5, start, level) == pytest.approx(whole, rel=QUADRATURE)


def test_it_is_the_time_of_the_law_integrated():
    phi, rate, start, level = spectral_map(3), 1.8, 1e-4, 5.0

    def there(_, k):
        return k[0] - level

    there.terminal = True
    found = solve_ivp(lambda _, k: 2 * rate * phi.logits(k), (0, 50), [start], events=there, rtol=1e-10, atol=1e-14)
    assert saddle_escape_time(phi, rate, start, level) == pytest.approx(found.t_events[0][0], rel=1e-7)


def test_the_known_cases():
    start = 1e-6
    node2vec = saddle_escape_time(spectral_map(0), 2.0, start, 1.0)
    assert node2vec == pytest.approx(np.log(1 / start) / 4)
    assert saddle_escape_time(spectral_map(0), 2.0, start) == np.inf
    # [ln(2/s^2) - H_{L/2-1}] / 2s with H_{-1/2} = -2 ln 2, H_0 = 0, H_{1/2} = 2 - 2 ln 2.
    for depth, harmonic in ((1, -2 * np.log(2)), (2, 0.0), (3, 2 - 2 * np.log(2)), (4, 1.0)):
        blow_up = saddle_escape_time(spectral_map(depth), 2.0, start)
        assert blow_up == pytest.approx((np.log(2 / start) - harmonic) / 4, abs=10 * start)
        balanced = saddle_escape_time(spectral_map(depth, residual=False), 2.0, start)
        assert balanced == pytest.approx((start / 2) ** (-depth / 2) / (2 * depth))


def test_times_add_up_and_fall_with_depth():
    for options in MAPS[:2]:
        for depth in (1, 2, 9):
            phi = spectral_map(depth, **options)
            both = saddle_escape_time(phi, 1.0, 1e-5, 0.3) + saddle_escape_time(phi, 1.0, 0.3, 40.0)
            assert both == pytest.approx(saddle_escape_time(phi, 1.0, 1e-5, 40.0), rel=QUADRATURE)
            assert saddle_escape_time(spectral_map(depth + 1, **options), 1.0, 1e-5, 40.0) < both
    assert saddle_escape_time(spectral_map(2), [-1.0, 0.0, 1.0], 0.1, 0.1).tolist() == [np.inf, np.inf, 0.0]


@pytest.mark.parametrize("options", [{}, {"residual": False}])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_flow_of_a_net_leaves_zero_at_that_time(depth, options):
    """The leading modes of the cycle, to a level where the logits are still small: what is left is of their order."""
    target, scale, level = one_hop_target(parse("cycle:7")), 0.02, 0.02
    rate = early_modes(target).rates[0]
    phi = spectral_map(depth, init_scale=scale, **options)
    time = saddle_escape_time(phi, rate, scale**2, level)
    found = ladder_gram_flow(target, scale, depth, [float(time)], **options)
    assert np.linalg.eigvalsh(found.gram[0])[-1] == pytest.approx(level, rel=3 * level)
    if options:  # a power of the start, far later than with residual connections
        assert time > 5 * saddle_escape_time(spectral_map(depth), rate, scale**2, level)


def test_refusals():
    with pytest.raises(ValueError, match="start must be positive"):
        saddle_escape_time(spectral_map(1), 1.0, 0.0)
    with pytest.raises(ValueError, match="level must not lie below start"):
        saddle_escape_time(spectral_map(1), 1.0, 1.0, 0.5)
    with pytest.raises(ValueError, match="must broadcast"):
        saddle_escape_time(spectral_map(1), [1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="beyond float64"):
        saddle_escape_time(spectral_map(1000, residual=False), 1.0, 1e-6, 1e-5)
