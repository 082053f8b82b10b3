import pytest

from fiedler.theory import code_dimension, fact_storage, multi_hop_dimension, multi_hop_plan


def plan(hops, layers, *, chain=False, entities=100, relations=3, coherence=0.5):
    return multi_hop_plan(entities, relations, hops, layers, chain_of_thought=chain, coherence=coherence)


@pytest.mark.parametrize("hops", [1, 2, 5, 40])
@pytest.mark.parametrize("chain", [True, False])
def test_one_layer_has_the_counted_dimension(hops, chain):
    found = plan(hops, 1, chain=chain)
    assert found.dimension == multi_hop_dimension(100, 3, hops, chain_of_thought=chain)
    assert found.lookup_neurons == 0
    assert found.selector_neurons == 2 * found.dimension
    assert found.passes == (hops if chain else 1)


def test_one_hop_is_the_memory_of_facts():
    found, storage = plan(1, 1), fact_storage(100, 3)
    assert found.dimension == storage.embedding_dimension
    assert found.selector_neurons == storage.gate_neurons
    assert found.parameters == storage.gate_parameters


def test_chain_of_thought_uses_one_layer():
    assert plan(6, 4, chain=True) == plan(6, 1, chain=True)
    assert plan(10**12, 1, chain=True).parameters == plan(1, 1).parameters
    assert plan(10**12, 1, chain=True).passes == 10**12


def test_counts_by_hand():
    # Five hops in three layers: 2, 2 and 1. Blocks of 9 words and of 3; selectors of 18 k, 18 k and 6 k neurons.
    found, k = plan(5, 3), code_dimension(100, 0.5)
    assert (found.layers, found.hops_per_layer, found.last_hops, found.code_dimension) == (3, 2, 1, k)
    d = 12 * k
    assert found.dimension == d
    assert found.selector_neurons == 42 * k
    assert found.lookup_neurons == 200
    two, one, lookup = d + 6 + 1 + k, d + 3 + 1 + k, k + 1 + d
    assert found.parameters == 36 * k * two + 6 * k * one + 200 * lookup


def test_depth_buys_dimension_and_pays_with_lookups():
    plans = [plan(12, layers) for layers in (1, 2, 3, 4, 6, 12, 13)]
    dimensions = [one.dimension for one in plans]
    assert dimensions[:-1] == [3**h * plans[0].code_dimension for h in (12, 6, 4, 3, 2, 1)]
    assert [one.lookup_neurons for one in plans] == [100 * n for n in (0, 1, 2, 3, 5, 11, 11)]
    assert plans[-1] == plans[-2]  # no more layers than hops
    # The vectors grow with the logarithm of N, the lookups linearly.
    large = plan(12, 12, entities=10**6)
    assert large.dimension < 4 * plans[-1].dimension
    assert large.lookup_neurons == 10**4 * plans[-1].lookup_neurons


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plan(10**12, 2), ValueError, "bits in a layer, above 10000; use fewer hops or more layers"),
        (lambda: plan(3, 0), ValueError, "layers must be at least 1; got 0"),
        (lambda: plan(0, 1), ValueError, "hops must be at least 1; got 0"),
        (lambda: plan(3, 1, chain=1), TypeError, "chain_of_thought must be True or False; got 1"),
        (lambda: plan(3, 1, coherence=1.0), ValueError, r"coherence must lie in \(0, 1\)"),
    ],
)
def test_bad_plans_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_as_many_layers_as_hops_are_always_planned():
    assert plan(10**12, 10**12).dimension == plan(1, 1).dimension
