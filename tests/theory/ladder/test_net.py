import numpy as np
import pytest

from fiedler.theory import LinearNet, ladder_logits, one_layer_logits
from linear_nets import NETS, M, logits, matrices, product, random_net, with_matrices

SAME = 1e-13  # the same products in another order


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_logits_are_the_written_out_product(depth, residual, tied):
    net = random_net(7, depth, residual, tied)
    assert np.allclose(ladder_logits(net), logits(net), rtol=SAME, atol=SAME)
    p = np.linalg.multi_dot([np.eye(M), *net.products, np.eye(M)])
    assert np.allclose(p, product(net), rtol=SAME, atol=SAME)
    assert net.depth == len(net.layers)


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_a_batch_is_its_nets(depth, residual, tied):
    nets = [random_net(5, depth, residual, tied, seed=seed) for seed in range(3)]
    batch = with_matrices(nets[0], [np.stack(parts) for parts in zip(*map(matrices, nets), strict=True)])
    assert np.allclose(ladder_logits(batch), [logits(net) for net in nets], rtol=SAME, atol=SAME)
    assert all(b.shape == (3, M, M) for b in batch.products)


def test_one_layer_is_the_one_layer_net():
    net = random_net(6, "L=1", False, True)
    assert np.allclose(ladder_logits(net), one_layer_logits(net.embedding, net.layers[0][0]), rtol=SAME, atol=SAME)


def test_heads_are_one_pair_with_their_columns_side_by_side():
    rng = np.random.default_rng(0)
    heads = [(rng.standard_normal((M, h)), rng.standard_normal((h, M))) for h in (1, 2, 2)]
    joined = (np.concatenate([a for a, _ in heads], axis=1), np.concatenate([c for _, c in heads]))
    e = rng.standard_normal((6, M))
    summed = LinearNet(e, ((sum(a @ c for a, c in heads),),), residual=True)
    assert np.allclose(ladder_logits(LinearNet(e, (joined,), residual=True)), ladder_logits(summed), rtol=SAME)


def test_matrices_that_do_not_fit_are_refused():
    e, w = np.ones((4, 2)), np.ones((2, 2))
    for error, match, arguments in (
        (ValueError, "embedding must have shape", {"embedding": np.ones(4)}),
        (ValueError, "embedding must have shape", {"embedding": np.ones((4, 0))}),
        (ValueError, "embedding holds NaN", {"embedding": np.full((4, 2), np.nan)}),
        (ValueError, "context must have the shape of embedding", {"context": np.ones((3, 2))}),
        (TypeError, "layers must be a tuple", {"layers": w}),
        (TypeError, r"layers\[0\] must be a tuple", {"layers": (w,)}),
        (TypeError, r"layers\[1\] must be a tuple", {"layers": ((w,), (w, w, w))}),
        (ValueError, r"layers\[0\] must have shape", {"layers": ((np.ones((3, 3)),),)}),
        (ValueError, r"layers\[0\] must have shape", {"layers": ((np.ones((2, 3)), np.ones((2, 2))),)}),
        (ValueError, r"layers\[0\] must have shape", {"layers": ((w[None],),)}),
        (TypeError, "residual", {"residual": 1}),
    ):
        with pytest.raises(error, match=match):
            LinearNet(**({"embedding": e} | arguments))
    with pytest.raises(TypeError, match="net must be a LinearNet"):
        ladder_logits(e)
    with pytest.raises(ValueError, match="overflow"):
        ladder_logits(LinearNet(1e60 * e, ((1e60 * w,),) * 5))
