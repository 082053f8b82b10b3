import numpy as np
import pytest

from fiedler.theory import laplacian_eigenspaces, mode_energy, one_hop_target, parse, tied_flow
from fiedler.theory.flow.path import space_energies
from fiedler.theory.flow.starts import gaussian_starts
from fiedler.theory.width.finite_width import initial_energy_moments, predict_from_tangent, predict_width, width_bands
from fiedler.theory.width.tangent import tied_tangent

SIGMAS = 4.5  # for some 100 figures a case; the seeds are fixed
HIGHER = 0.05  # next order of a standard deviation at width 400, measured below 0.02
WIDTHS = (50, 100, 200, 400, 800, 1600, 3200)

# Graph, scale, times, samples. The tangent of karate costs seconds: short times only, and `make faults`.
CASES = {
    "cycle, small": ("cycle:15", 1.0, [0.0, 0.5, 2.0], 1000),
    "cycle, large": ("cycle:15", 10.0, [0.1, 0.5], 1000),
    "path-star": ("path-star:4x5", 1.0, [0.5, 2.0], 600),
    "karate": ("karate", 1.0, [0.1, 0.3], 300),
}


def spaces_of(graph):
    return laplacian_eigenspaces(graph, "symmetrized-random-walk")


@pytest.fixture(
    scope="module",
    params=[pytest.param(one, id=name, marks=[pytest.mark.long] * (name == "karate")) for name, one in CASES.items()],
)
def case(request):
    word, scale, times, samples = request.param
    graph = parse(word)
    target = one_hop_target(graph)
    return target, spaces_of(graph), scale, times, samples, tied_tangent(target, scale, times)


def test_the_predicted_scatter_is_that_of_sampled_runs(case):
    target, spaces, scale, times, samples, tangent = case
    found = predict_from_tangent(tangent, spaces, 400, scale)
    bands = width_bands(target, spaces, 400, scale, times, samples)
    assert bands.energy.shape == (samples, *found.energy.shape)
    # A sample variance scatters by sqrt((kurtosis - 1) / samples), a standard deviation by half of that.
    for sampled, predicted in ((bands.energy, found.energy_std), (bands.loss, found.loss_std)):
        centred = sampled - sampled.mean(axis=0)
        kurtosis = (centred**4).mean(axis=0) / (centred**2).mean(axis=0) ** 2
        error = SIGMAS * np.sqrt((kurtosis - 1) / (4 * samples)) + HIGHER
        assert (np.abs(sampled.std(axis=0, ddof=1) / predicted - 1) < error).all()
    # The mean: the limit plus a bias of order 1/m, and what is left is of order 1/m^2.
    for sampled, limit, bias in (
        (bands.energy, found.energy, found.energy_bias),
        (bands.loss, found.loss, found.loss_bias),
    ):
        error = SIGMAS * sampled.std(axis=0) / np.sqrt(samples) + 0.1 * np.abs(bias)
        assert (np.abs(sampled.mean(axis=0) - limit - bias) < error).all()


def test_the_scatter_falls_with_the_square_root_of_the_width(case):
    target, spaces, scale, times, samples, tangent = case
    samples = min(samples, 120)  # enough to tell -0.5 from any other power
    logs = np.log(WIDTHS)
    stds = [
        width_bands(target, spaces, m, scale, times[-1:], samples, seed=m).energy.std(axis=0, ddof=1)[0] for m in WIDTHS
    ]
    slopes = np.polyfit(logs, np.log(stds), 1)[0]
    # Error of a slope of 7 points that scatter by 1/sqrt(2 samples) (Gaussian) each; 0.03 for the next order at m = 50.
    error = SIGMAS / np.sqrt(2 * samples) / np.sqrt(((logs - logs.mean()) ** 2).sum()) + 0.03
    assert np.abs(slopes + 0.5).max() < error
    predicted = [predict_from_tangent(tangent, spaces, m, scale) for m in WIDTHS]
    assert np.allclose(np.polyfit(logs, np.log([p.energy_std[-1] for p in predicted]), 1)[0], -0.5, atol=1e-10)
    assert np.allclose(predicted[0].energy_bias, 64 * predicted[-1].energy_bias, rtol=1e-12)


def test_the_bias_is_needed():
    # Ten times the error of the mean without it, none with it.
    graph = parse("cycle:15")
    target, spaces, times, samples = one_hop_target(graph), spaces_of(graph), [1.0], 4000
    found = predict_width(target, spaces, 200, 1.0, times)
    energy = width_bands(target, spaces, 200, 1.0, times, samples).energy
    error = energy.std(axis=0) / np.sqrt(samples)
    apart = np.abs(energy.mean(axis=0) - found.energy) / error
    assert apart.max() > 10
    assert (np.abs(energy.mean(axis=0) - found.energy - found.energy_bias) < 4 * error + 0.1 * found.energy_bias).all()


def test_gram_entries_scatter_as_predicted():
    # Against whole embeddings of all m columns, integrated one by one.
    graph, m, s, samples = parse("path-star:3x2"), 300, 0.9, 400
    target, n = one_hop_target(graph), graph.n
    found = predict_width(target, spaces_of(graph), m, s, [1.5])
    rng = np.random.default_rng(7)
    grams = np.array(
        [tied_flow(target, rng.normal(0, s / np.sqrt(m), (n, m)), [1.5], rtol=1e-6).gram[0] for _ in range(samples)]
    )
    ratio = grams.std(axis=0, ddof=1) / found.gram_std[0]
    assert np.abs(ratio - 1).max() < SIGMAS / np.sqrt(2 * samples) + HIGHER
    error = SIGMAS * grams.std(axis=0) / np.sqrt(samples)
    assert (np.abs(grams.mean(axis=0) - found.gram[0] - found.gram_bias[0]) < error).all()
    assert np.allclose(space_energies(found.gram_bias, spaces_of(graph)), found.energy_bias, rtol=1e-12)
    assert np.allclose(space_energies(found.gram, spaces_of(graph)), found.energy, rtol=1e-12)


@pytest.mark.parametrize("width", [3, 40, 1000])
def test_initial_energies_have_exact_moments(width):
    graph, s, samples = parse("path-star:4x5"), 0.6, 20_000
    spaces = spaces_of(graph)
    mean, variance = initial_energy_moments(spaces, width, s)
    v = np.random.default_rng(0).normal(0, s / np.sqrt(width), (samples // 10, graph.n, width))
    energy = np.array([mode_energy(x, spaces) for x in v])
    d = spaces.multiplicities
    assert (np.abs(energy.mean(axis=0) - mean) < SIGMAS * np.sqrt(variance / len(energy))).all()
    error = SIGMAS * np.sqrt((2 + 12 / (width * d)) / len(energy))
    assert (np.abs(energy.var(axis=0, ddof=1) / variance - 1) < error).all()
    found = predict_width(one_hop_target(graph), spaces, width, s, [0.0])
    assert np.allclose(found.energy[0], mean, rtol=1e-12)
    assert np.allclose(found.energy_std[0] ** 2, variance, rtol=1e-12)
    assert np.allclose(found.energy_bias[0], 0, atol=1e-12)
    assert np.allclose(found.gram_std[0] ** 2, s**4 * (1 + np.eye(graph.n)) / width, rtol=1e-12)


def test_bands_are_those_of_single_runs():
    graph, times = parse("cycle:8"), [0.0, 1.0, 3.0]
    target, spaces = one_hop_target(graph), spaces_of(graph)
    w = 1 + np.arange(8) / 8
    options = {"weight_decay": 0.1, "row_weight": w}
    for width in (3, 100):
        bands = width_bands(target, spaces, width, 0.9, times, 5, seed=2, **options)
        again = width_bands(target, spaces, width, 0.9, times, 5, seed=2, **options)
        assert np.array_equal(bands.energy, again.energy)
        for i, v0 in enumerate(gaussian_starts(8, width, 0.9, 5, seed=2)):
            run = tied_flow(target, v0, times, **options)
            assert np.allclose(bands.energy[i], [mode_energy(v, spaces) for v in run.embedding], rtol=0, atol=1e-6)
            assert np.allclose(bands.loss[i], run.loss, rtol=1e-7)
    low, middle, high = bands.energy_band()
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert np.array_equal(bands.loss_band([0.0, 1.0]), [bands.loss.min(axis=0), bands.loss.max(axis=0)])


def test_relabelling_the_nodes_changes_no_energy():
    graph = parse("florentine")
    target, spaces = one_hop_target(graph), spaces_of(graph)
    order = np.random.default_rng(0).permutation(graph.n)
    moved = type(spaces)(spaces.eigenvalues, spaces.multiplicities, spaces.basis[order])
    a = predict_width(target, spaces, 100, 0.8, [1.0])
    b = predict_width(target[np.ix_(order, order)], moved, 100, 0.8, [1.0])
    for name in ("energy", "energy_std", "energy_bias", "loss", "loss_std", "loss_bias"):
        assert np.allclose(getattr(a, name), getattr(b, name), rtol=1e-5, atol=1e-8)
    assert np.allclose(a.gram_std[0][np.ix_(order, order)], b.gram_std[0], rtol=1e-5)


def test_bad_input_is_refused():
    target, spaces = one_hop_target(parse("cycle:5")), spaces_of(parse("cycle:6"))
    for call in (predict_width, lambda *a: width_bands(*a, 3)):
        with pytest.raises(ValueError, match="of 6 nodes, the target of 5"):
            call(target, spaces, 10, 1.0, [1.0])
        with pytest.raises(ValueError, match="width must be"):
            call(target, spaces_of(parse("cycle:5")), 0, 1.0, [1.0])
        with pytest.raises(ValueError, match="scale must be"):
            call(target, spaces_of(parse("cycle:5")), 10, -1.0, [1.0])
    with pytest.raises(ValueError, match="samples"):
        width_bands(target, spaces_of(parse("cycle:5")), 10, 1.0, [1.0], 0)
