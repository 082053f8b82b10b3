import numpy as np
import pytest

from fiedler.theory import cayley_flow, closed_form_optimum, one_hop_target, parse, tied_flow, untied_flow

AGREEMENT = 1e-6  # integrated to 1e-9 a step over hundreds of steps, where modes grow like exp(2 t)
MONOTONE = 1e-8  # relative: integration error of a loss that has stopped falling
TIMES = (0.0, 0.1, 1.0, 10.0, 50.0)
WORDS = ("cycle:15", "cycle:8", "cycle:3", "torus:4x6", "torus:3x5", "torus:3x3x4")
SETTINGS = [(10.0, 0.0, {}), (0.1, 0.05, {"self_edges": True, "label_smoothing": 0.1})]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(("scale", "decay", "options"), SETTINGS)
@pytest.mark.parametrize("tied", [True, False])
def test_it_is_the_flow_of_all_nodes(word, scale, decay, options, tied):
    graph = parse(word)
    n, target = graph.n, one_hop_target(graph, **options)
    found = cayley_flow(graph, TIMES, init_scale=scale, tied=tied, weight_decay=decay, **options)
    some, none = scale * np.eye(n), np.zeros((n, n))
    if tied:
        whole = tied_flow(target, some, TIMES, weight_decay=decay)
        logits = whole.gram
    else:
        whole = untied_flow(target, np.hstack([some, none]), np.hstack([none, some]), TIMES, weight_decay=decay)
        logits = whole.logits
    assert np.allclose(found.loss, whole.loss, rtol=AGREEMENT)
    assert found.multiplicity.sum() == n
    for k in range(len(TIMES)):
        gram = whole.embedding[k] @ whole.embedding[k].T
        for values, matrix in ((found.gram[k], gram), (found.logits[k], logits[k])):
            expected = np.linalg.eigvalsh(matrix)
            repeated = np.sort(np.repeat(values, found.multiplicity))
            assert np.allclose(repeated, expected, rtol=0, atol=AGREEMENT * max(1.0, np.abs(expected).max()))


def test_modes_carry_their_frequencies():
    found = cayley_flow(parse("torus:4x6"), [2.0], init_scale=0.1)
    gram = tied_flow(one_hop_target(parse("torus:4x6")), 0.1 * np.eye(24), [2.0]).gram[0]
    i, j = np.divmod(np.arange(24), 6)
    for value, (a, b) in zip(found.gram[0], found.frequencies, strict=True):
        wave = np.exp(2j * np.pi * (a * i / 4 + b * j / 6)) / np.sqrt(24)
        assert value == pytest.approx((wave.conj() @ gram @ wave).real, rel=AGREEMENT)


def test_it_ends_in_the_optimum():
    found = cayley_flow(parse("cycle:15"), [300.0], init_scale=1.0)
    order = np.argsort(-found.gram[0])
    best = closed_form_optimum(parse("cycle:15"))
    assert found.gram[0][order[0]] == pytest.approx(best.eigenvalues[0], rel=AGREEMENT)
    assert found.multiplicity[order[0]] == 2
    assert found.loss[0] / 15 == pytest.approx(best.loss_per_node, rel=1e-9)


@pytest.mark.parametrize("tied", [True, False])
def test_a_large_cycle_over_six_decades(tied):
    n = 20_000
    found = cayley_flow(parse(f"cycle:{n}"), np.geomspace(1e-3, 1e3, 13), init_scale=10.0, tied=tied, tolerance=1e-7)
    assert (np.diff(found.loss) <= MONOTONE * found.loss[:-1]).all()
    # Once the softmax is local a cycle hardly knows its length: only the far tail, log(n) of it, does.
    short = cayley_flow(parse("cycle:2000"), found.times, init_scale=10.0, tied=tied, tolerance=1e-7)
    assert np.allclose(found.loss[-3:] / n, short.loss[-3:] / 2000, rtol=3e-3)


def test_refusals():
    with pytest.raises(ValueError, match="petersen is no cycle or torus"):
        cayley_flow(parse("petersen"), [1.0], init_scale=1.0)
    with pytest.raises(ValueError, match="init_scale"):
        cayley_flow(parse("cycle:5"), [1.0], init_scale=0.0)
    with pytest.raises(ValueError, match="label_smoothing"):
        cayley_flow(parse("cycle:5"), [1.0], init_scale=1.0, label_smoothing=1.0)
    with pytest.raises(ValueError, match="times must be"):
        cayley_flow(parse("cycle:5"), [2.0, 1.0], init_scale=1.0)
    still = cayley_flow(parse("cycle:5"), [0.0, 0.0], init_scale=2.0)
    assert np.allclose(still.gram, 4.0)


def test_times_that_take_too_many_steps_are_refused():
    with pytest.raises(ValueError, match=r"times must be .* <= 1e\+06"):
        cayley_flow(parse("cycle:5"), [1e7], init_scale=1.0)
