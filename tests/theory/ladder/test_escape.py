import numpy as np
import pytest
from scipy.integrate import solve_ivp

from fiedler.theory import (
    PreNormNet,
    Sublayer,
    escape_time,
    jacobian_modes,
    norm_clock,
    normed_plateau,
    one_hop_target,
    parse,
    pre_norm_descent,
    pre_norm_features,
    sign_flip_energy,
    tied_optimum,
    unit_growth,
)

DIFFERENCES = 1e-5  # rates by central differences, relative to the sharpest one, against closed forms
SECULAR = 1e-9  # a root of the secular equation, conditioned by the distance to its poles
QUARTIC = 0.02  # how far the scaling of a rate at a finite size is from its power law
LEADING_ORDER = 0.05  # relative, of a time from new parts of size .05: the next order is their square over the norm's
THEORY = 0.1  # relative, of predicted times against runs


def problem(word="cycle:7"):
    target = one_hop_target(parse(word))
    optimum = tied_optimum(target)
    z = optimum.gram
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return target, optimum, target - p


def eigenvectors(gram):
    """The same on every machine: within an eigenspace of several dimensions LAPACK's choice is not, and with it the
    rates of a unit with drawn weights would be others."""
    w, f = np.linalg.eigh(gram)
    drawn = np.random.default_rng(11).standard_normal(f.shape)
    starts = np.flatnonzero(np.diff(w, prepend=-np.inf) > 1e-6 * w[-1])
    for space in np.split(f, starts[1:], axis=1):
        space[:] = np.linalg.qr(space @ (space.T @ drawn[:, : space.shape[1]]))[0]
    return w, f


def on_plateau(optimum, norm, m):
    """E with the optimum's logits in the first columns orthogonal to 1, those columns' complement, and r."""
    gram = normed_plateau(optimum.gram, m) if norm == "layer" else optimum.gram
    w, f = eigenvectors(gram)
    keep = w > 1e-6 * w[-1]
    columns = np.linalg.qr(np.column_stack([np.ones(m), np.random.default_rng(5).standard_normal((m, m - 1))]))[0]
    q, rest = columns[:, 1 : 1 + keep.sum()], columns[:, 1 + keep.sum() :]
    r = 1 / norm_clock(gram, m)[0] if norm == "layer" else 1.0
    return (f[:, keep] * np.sqrt(w[keep])) @ q.T, rest, r


@pytest.mark.parametrize("unit", ["relu", "gelu"])
@pytest.mark.parametrize("norm", ["layer", "none"])
def test_unit_growth_is_the_top_of_the_jacobian(norm, unit):
    target, optimum, residual = problem()
    m = 6
    e, rest, r = on_plateau(optimum, norm, m)
    a = 0.4 * np.random.default_rng(1).standard_normal((m, 3))
    net = PreNormNet(e, (Sublayer(a, np.zeros((3, m)), unit),), norm=norm)
    found = jacobian_modes(target, net, 40, train_gain=False)
    modes = unit_growth(residual, pre_norm_features(net, 0), scale=r)
    grows = modes.rates > 1e-3
    assert grows.any()
    copies = rest.shape[1] + (norm == "none")  # the directions x; others are in the row space of E
    for rate in modes.rates[grows]:
        assert (np.abs(found.rates - rate) < DIFFERENCES).sum() == copies  # others may lie within 1e-4
    assert norm == "layer" or np.abs(found.rates[:copies] - modes.rates[0]).max() < DIFFERENCES * 10
    # The direction is the one predicted: u in the nodes, anywhere outside the rows of E.
    top = found.embedding[int(np.abs(found.rates - modes.rates[0]).argmin())]
    left = np.linalg.svd(top)[0][:, 0]
    u = modes.embedding[0] / np.linalg.norm(modes.embedding[0])
    assert abs(left @ u) > 1 - 1e-3
    assert np.abs(top @ e.T).max() < 1e-3
    assert np.abs(found.push).max() < 1e-9  # the plateau is at rest


def test_one_unit_solves_the_secular_equation_and_the_guess_in_one_eigenspace():
    _, _, residual = problem("cycle:9")
    s, f = np.linalg.eigh(residual)
    h = np.random.default_rng(0).standard_normal(9)
    modes = unit_growth(residual, h[:, None])
    g = modes.rates[0]
    assert (modes.rates > SECULAR).sum() == 1
    assert g == pytest.approx((((f.T @ (residual.T @ h)) ** 2) / (g - 2 * s)).sum(), rel=SECULAR)
    assert unit_growth(residual, h[:, None], scale=0.2).rates[0] == pytest.approx(5 * g, rel=SECULAR)
    one = unit_growth(residual, 0.7 * f[:, :1]).rates[0]
    assert one * (one - 2 * s[0]) == pytest.approx((0.7 * s[0]) ** 2, rel=SECULAR)
    # In several eigenspaces no single slack will do.
    assert abs(g * (g - 2 * s[0]) / ((residual.T @ h) ** 2).sum() - 1) > 0.05


def test_identity_units_do_not_grow():
    _, optimum, residual = problem()
    assert unit_growth(residual, optimum.factor).rates[0] < DIFFERENCES


def test_relu_grows_at_the_square_gelu_at_the_fourth_power_of_its_weights():
    _, optimum, residual = problem()
    a = np.random.default_rng(0).standard_normal((2, 4))
    for unit, power in (("relu", 2), ("gelu", 4)):
        rates = []
        for size in (2e-3, 1e-3):
            e = optimum.factor[:, :2]
            net = PreNormNet(e, (Sublayer(size * a, np.zeros((4, 2)), unit),), norm="none")
            rates.append(unit_growth(residual, pre_norm_features(net, 0)).rates[0])
        assert np.log2(rates[0] / rates[1]) == pytest.approx(power, rel=QUARTIC)


def test_the_linear_time_of_one_mode():
    modes = unit_growth(-0.5 * np.eye(2), [[1.0], [0.0]])
    u, b = np.outer(modes.embedding[0], [0.01]), np.outer(modes.write[0], [0.01])
    g = modes.rates[0]
    assert modes.escape_time(u, b, 0.1) == pytest.approx(np.log(0.2 / (g * 1e-4)) / (2 * g), rel=1e-6)
    assert modes.loss_drop(u, b, modes.escape_time(u, b, 0.1)) == pytest.approx(0.1, rel=1e-6)
    assert unit_growth(-np.eye(2), np.zeros((2, 1))).escape_time(u, b, 0.1) == np.inf


def line(energy, p, q, r, sigma, end=2000.0):
    """(|u|^2, p, q) along one direction; stops where B = 1 + p/r reaches -1."""

    def rhs(_, y):
        b = 1 + y[1] / r
        return [-4 * b * sigma * y[0] / r, -sigma * y[0] * y[2] / r**2, -4 * sigma * y[0] * y[1] / r**2]

    def gone(_, y):
        return y[1] + 2 * r

    gone.terminal = True
    return solve_ivp(rhs, (0, end), [energy, p, q], "LSODA", rtol=1e-11, atol=1e-30, events=gone, dense_output=True)


@pytest.mark.parametrize(
    ("r", "p", "q"), [(0.2, 0.0, 0.02), (0.2, 0.005, 0.03), (1.0, -0.1, 0.5), (0.05, -0.02, 0.041)]
)
def test_the_sign_flips_from_the_stated_energy_on(r, p, q):
    least = sign_flip_energy(r, p, q)
    ends = [line(share * least, p, q, r, 0.7) for share in (0.99, 1.01)]
    assert ends[0].y[1, -1] > -r
    assert ends[0].y[0, -1] < 0.1 * least
    assert ends[1].y[1, -1] < -1.9 * r
    d = np.sqrt(q**2 - 4 * p**2)
    kept = [y[0] - y[2] - 2 * r * np.arcsinh(2 * y[1] / d) for y in ends[1].y.T]
    assert np.ptp(kept) < 1e-6 * np.abs(kept).max()
    assert sign_flip_energy(0.1, -0.2, 0.5) == 0.0
    with pytest.raises(ValueError, match="size must lie above"):
        sign_flip_energy(0.1, -0.2, 0.4)


def test_an_attention_leaves_when_its_sign_flips():
    """One direction, little of it so that norms stay: the held flow against the three equations."""
    target, optimum, residual = problem()
    m, drop = 12, 3e-5
    e, rest, r = on_plateau(optimum, "layer", m)
    s, f = np.linalg.eigh(residual)
    p, q = -0.95 * r, 2.0 * r
    long, short = (np.sqrt(q - 2 * p) + np.sqrt(q + 2 * p)) / 2, (np.sqrt(q - 2 * p) - np.sqrt(q + 2 * p)) / 2
    a, c = np.array([long, short]) / np.sqrt(2), np.array([-short, -long]) / np.sqrt(2)
    assert a @ c == pytest.approx(p)
    assert a @ a + c @ c == pytest.approx(q)
    least, x = sign_flip_energy(r, p, q), rest[:, 0]
    times, expected = [], []
    for share in (0.7, 1.5):
        u = np.sqrt(share * least) * f[:, 0]
        net = PreNormNet(e + np.outer(u, x), (Sublayer(np.outer(x, a), np.outer(c, x)),))
        times.append(escape_time(target, net, optimum, drop, step_size=0.001, end=6.0))
        path = line(share * least, p, q, r, -s[0], 6.0)
        t = np.linspace(0, path.t[-1], 20001)
        y = path.sol(t)
        gone = np.flatnonzero(s[0] * y[0] * (1 + y[1] / r) / r >= drop)
        expected.append(t[gone[0]] if gone.size else np.inf)
    assert times[0] == expected[0] == np.inf
    assert times[1] == pytest.approx(expected[1], rel=LEADING_ORDER), (times, expected)


def test_predicted_times_are_those_of_a_run():
    target, optimum, _ = problem()
    rng, m, drop = np.random.default_rng(0), 12, 0.002
    net = PreNormNet(0.1 * rng.standard_normal((7, m)), (Sublayer(0.2 * rng.standard_normal((m, 48)),
                     0.05 * rng.standard_normal((48, m)), "relu"),), norm="none")  # fmt: skip
    run = pre_norm_descent(target, net, 0.02, np.arange(0, 3000, 10))
    over = run.loss - optimum.loss
    near = int(np.argmax(over < 0.003 * 7))
    left = run.times[int(np.argmax(over < -drop * 7))]
    predicted = run.times[near] + escape_time(target, run.nets[near], optimum, drop * 7, end=100.0)
    assert left > run.times[near] > 0
    assert predicted == pytest.approx(left, rel=THEORY)


def test_an_optimum_whose_residual_is_not_symmetric_is_refused():
    target = one_hop_target(parse("path-star:3x3"))
    net = PreNormNet(np.random.default_rng(0).standard_normal((7, 4)))
    with pytest.raises(ValueError, match=r"R E\* != 0"):
        escape_time(target, net, tied_optimum(target), 0.1)
