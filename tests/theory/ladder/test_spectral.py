import numpy as np
import pytest
from scipy.optimize import brentq

from fiedler.theory import effective_rank, one_hop_target, parse
from fiedler.theory.ladder.spectral import DEEPEST, spectral_map
from ladder_nets import follow_net, layers_of, spread

ROUNDING = 1e-12  # of an eigenvalue: ln of numbers up to 1e300 carries 700 roundings
CONSERVED = 1e-6  # of the logits: an integration at 1e-9 a step
DEPTHS = (0, 1, 2, 3, 8)
MAPS = ({}, {"tied": False}, {"init_scale": 0.5}, {"residual": False}, {"residual": False, "inner_scale": 0.4})


@pytest.mark.parametrize("options", MAPS)
@pytest.mark.parametrize("depth", DEPTHS)
class TestMap:
    def test_the_inverse_is_one(self, depth, options):
        phi = spectral_map(depth, **options)
        mu = np.array([0.0, 1e-300, 1e-30, 1e-3, 1.0, 45.57987, 1e6, 1e60]).reshape(2, 4)
        assert np.allclose(phi.logits(phi.gram(mu)), mu, rtol=ROUNDING * (1 + depth), atol=0)

    def test_the_inverse_is_the_root_of_another_solver(self, depth, options):
        phi = spectral_map(depth, **options)
        for mu in (1e-3, 1.0, 1e4):
            root = brentq(lambda k, mu=mu: phi.logits(k) - mu, 0, 1e9, xtol=1e-300, rtol=1e-14)
            assert phi.gram(mu) == pytest.approx(root, rel=ROUNDING)

    def test_the_elasticity_is_the_slope(self, depth, options):
        phi, k, step = spectral_map(depth, **options), np.array([0.01, 1.0, 50.0]), 1e-6
        slope = (np.log(phi.logits(k * (1 + step))) - np.log(phi.logits(k * (1 - step)))) / (2 * step)
        assert np.allclose(phi.elasticity(k), slope, rtol=1e-8)

    def test_the_embedding_has_the_flatter_spectrum(self, depth, options):
        mu = np.array([40.0, 7.0, 1.0, 0.02, 0.0])
        of_logits, of_gram = spectral_map(depth, **options).effective_ranks(mu, [2, 2, 1, 4, 9])
        _, deeper = spectral_map(depth + 1, **options).effective_ranks(mu, [2, 2, 1, 4, 9])
        assert of_logits <= of_gram * (1 + ROUNDING)
        assert of_gram < deeper
        if depth == 0:
            assert of_gram == pytest.approx(of_logits)


def test_the_values_of_the_fifteen_cycle():
    assert [spectral_map(depth).gram(45.57987).round(5) for depth in (1, 2, 3)] == [15.43674, 8.59999, 5.85546]
    untied = spectral_map(2, tied=False)
    assert untied.logits(3.0) == pytest.approx(12.0)  # 3 (1 + 3)
    assert spectral_map(2, residual=False).logits(3.0) == pytest.approx(4.5)  # 3 (3 / 2)


def test_the_tail_is_a_power():
    """k ~ mu^{2/(L+2)}, to relative a / (b k)."""
    for depth in (1, 2, 5):
        phi, mu = spectral_map(depth), np.array([1e60, 1e62])
        slope = np.diff(np.log(phi.gram(mu)))[0] / np.log(100)
        assert slope == pytest.approx(2 / (depth + 2), rel=1e-3)


@pytest.mark.parametrize("scale", [0.3, 1.2])
@pytest.mark.parametrize("word", ["cycle:7", "truncated tetrahedron"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_tied_net_with_symmetric_residuals_has_these_logits(word, depth, scale):
    """Also where the algebra does not commute, so that single layers leave symmetry."""
    net = follow_net(word, depth, 2.0, scale)
    assert np.allclose(net.r, net.r.T, atol=CONSERVED)
    values, modes = np.linalg.eigh(net.gram)
    mu = spectral_map(depth, init_scale=scale).logits(np.maximum(values, 0))
    assert np.abs((modes * mu) @ modes.T - net.logits).max() < CONSERVED * mu.max()
    assert np.allclose(net.layers[depth - 1], net.layers[0].T, atol=CONSERVED)
    assert spread(values) > 0.1


def test_single_layers_leave_symmetry_where_the_algebra_does_not_commute():
    commuting, other = follow_net("cycle:7", 2, 2.0, 0.3), follow_net("truncated tetrahedron", 2, 2.0, 0.3)
    assert np.allclose(commuting.layers[0], commuting.layers[0].T, atol=CONSERVED)
    assert np.abs(other.layers[0] - other.layers[0].T).max() > 100 * CONSERVED


@pytest.mark.parametrize("inner", [None, 0.5])
def test_a_net_without_residual_connections(inner):
    scale, depth = 0.4, 2
    c = scale * np.sqrt(0.5) if inner is None else inner
    net = follow_net("cycle:7", depth, 30.0, scale, residual=False, inner=c)
    values, modes = np.linalg.eigh(net.gram)
    mu = spectral_map(depth, residual=False, init_scale=scale, inner_scale=inner).logits(np.maximum(values, 0))
    assert np.abs((modes * mu) @ modes.T - net.logits).max() < CONSERVED * mu.max()
    assert spread(values) > 0.1


@pytest.mark.parametrize("word", ["cycle:7", "path-star:3x3"])
def test_an_untied_net_has_these_singular_values_for_any_residual(word):
    scale, depth = 0.3, 2
    net = follow_net(word, depth, 4.0, scale, tied=False)
    mu = spectral_map(depth, tied=False, init_scale=scale).logits(np.linalg.eigvalsh(net.gram))
    singular = np.linalg.svd(net.logits, compute_uv=False)[::-1]
    assert np.abs(np.sort(mu) - singular).max() < CONSERVED * singular.max()
    assert spread(singular) > 0.1
    if word == "path-star:3x3":
        assert np.linalg.norm(net.r - net.r.T) > 0.1 * np.linalg.norm(net.r)


def test_effective_ranks_are_those_of_embeddings():
    rng = np.random.default_rng(0)
    v = rng.standard_normal((9, 3))
    v -= v.mean(axis=0)
    values = np.linalg.svd(v, compute_uv=False) ** 2
    assert spectral_map(0).effective_ranks(values) == pytest.approx((effective_rank(v),) * 2)
    assert spectral_map(3).effective_ranks([0.0, 0.0]) == (0.0, 0.0)


def test_refusals():
    with pytest.raises(ValueError, match=r"init_scale 1\.5 is too large"):
        spectral_map(1, init_scale=1.5)
    with pytest.raises(ValueError, match="is for residual=False"):
        spectral_map(1, inner_scale=1.0)
    with pytest.raises(ValueError, match="init_scale 1 is too large"):
        spectral_map(1, residual=False, init_scale=1.0, inner_scale=0.5)
    with pytest.raises(ValueError, match="logits must not be negative"):
        spectral_map(1).gram([-1.0])
    with pytest.raises(ValueError, match="beyond float64"):
        spectral_map(DEEPEST).logits(1e6)


def test_layers_of_the_helper_are_those_of_the_equations():
    """The velocity of the nets followed here is minus the gradient of the loss, by central differences."""
    target = one_hop_target(parse("path-star:3x3"))
    assert layers_of(target) < 1e-6


def test_orthogonal_untied_starts_have_them_up_to_the_square_of_the_start():
    misses = []
    for scale, end in ((0.1, 6.0), (0.05, 7.5)):
        net = follow_net("path-star:3x3", 2, end, scale, tied=False, orthogonal=True)
        mu = np.sort(spectral_map(2, tied=False).logits(np.maximum(np.linalg.eigvalsh(net.gram), 0)))[::-1]
        singular = np.linalg.svd(net.logits, compute_uv=False)
        assert singular[0] > 1
        misses.append(np.abs(mu - singular).max())
    assert misses[0] < 10 * 0.1**2
    assert misses[1] < misses[0] / 2
