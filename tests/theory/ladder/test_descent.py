import numpy as np
import pytest

from fiedler.theory import ladder_descent, ladder_flow, ladder_logits
from linear_nets import NETS, at, matrices, moved, objective, problem, random_net, relative, with_matrices

SAME = 1e-6  # gradients by differences, of an error of 1e-9, over ten steps
ETA, STEPS = 0.02, (0, 1, 4, 10)


def numeric_direction(net, target, w, decay):
    values, out = matrices(net), []
    for index, value in enumerate(values):
        down = np.empty_like(value)
        for i in np.ndindex(value.shape):
            ends = []
            for sign in (-1e-5, 1e-5):
                x = value.copy()
                x[i] += sign
                ends.append(objective(with_matrices(net, [*values[:index], x, *values[index + 1 :]]), target, w, decay))
            down[i] = (ends[0] - ends[1]) / 2e-5
        out.append(down)
    return out


@pytest.mark.parametrize(("depth", "residual", "tied"), [("L=3", True, True), ("mixed", False, False)])
def test_descent_is_the_plain_loop(depth, residual, tied):
    target, w = problem("path-star:3x2")
    net = random_net(len(target), depth, residual, tied)
    found = ladder_descent(target, net, ETA, STEPS, row_weight=w, weight_decay=0.1)
    for count in range(max(STEPS) + 1):
        if count in STEPS:
            index = STEPS.index(count)
            assert relative(matrices(at(found.net, index)), matrices(net)) < SAME
            assert found.loss[index] == pytest.approx(objective(net, target, w, 0.0), rel=SAME)
        net = moved(net, numeric_direction(net, target, w, 0.1), ETA)
    assert np.allclose(found.times, ETA * np.array(STEPS))


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS[::3])
def test_descent_converges_to_the_flow_at_first_order(depth, residual, tied):
    target, w = problem()
    net = random_net(len(target), depth, residual, tied, scale=0.3)
    exact = ladder_logits(ladder_flow(target, net, 1.0, weight_decay=0.1, row_weight=w).net)

    def error(steps):
        found = ladder_descent(target, net, 1.0 / steps, steps, weight_decay=0.1, row_weight=w)
        return np.linalg.norm(found.logits - exact)

    errors = [error(steps) for steps in (200, 400, 800)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.05)


def test_divergence_is_told():
    target, _ = problem()
    net = random_net(len(target), "L=3", True, True)
    with pytest.raises(FloatingPointError, match="smaller step size"):
        ladder_descent(target, net, 1e3, 500)
    with pytest.raises(FloatingPointError, match="smaller step size"):
        ladder_descent(target, random_net(len(target), "L=0", True, True), 1e80, 1)  # finite, and its squares too
    with pytest.raises(ValueError, match="step_size"):
        ladder_descent(target, net, 0.0, 1)
