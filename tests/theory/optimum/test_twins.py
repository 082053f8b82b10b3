"""Nodes that a target cannot tell apart: found exactly, averaged, and equal at the optimum."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory import from_networkx, one_hop_target, parse, tied_optimum, twin_classes
from fiedler.theory.optimum.objectives import TiedObjective
from fiedler.theory.optimum.target_parts import target_parts
from fiedler.theory.optimum.twins import averaged, twin_labels

EQUAL = 1e-7  # rows of a factor solved to a gradient of 1e-11


def leaves_of_hubs():
    """A path of three hubs with two, three and one leaves: nodes 0-2, then the leaves."""
    return one_hop_target(from_networkx(nx.Graph([(0, 1), (1, 2), (0, 3), (0, 4), (1, 5), (1, 6), (1, 7), (2, 8)])))


def test_leaves_of_a_hub_are_twins():
    assert twin_classes(leaves_of_hubs()).tolist() == [0, 1, 2, 3, 3, 4, 4, 4, 5]


def test_neighbours_and_different_weights_are_none():
    triangle = one_hop_target(parse("hamming:1,3"))
    assert len(set(twin_classes(triangle).tolist())) == 3
    weights = np.ones(9)
    weights[3] = 2.0
    assert twin_classes(leaves_of_hubs(), weights).tolist() == [0, 1, 2, 3, 4, 5, 5, 5, 6]


def test_unsorted_entries_and_stored_zeros_make_no_difference():
    target = sp.coo_array(leaves_of_hubs())
    order = np.random.default_rng(0).permutation(target.nnz)
    rows, columns = np.append(target.row[order], 0), np.append(target.col[order], 0)
    stored = sp.coo_array((np.append(target.data[order], 0.0), (rows, columns)), shape=target.shape)
    kept = stored.nnz
    labels = twin_labels(sp.csr_array(stored), np.ones(9))
    assert labels.tolist() == [0, 1, 2, 3, 3, 4, 4, 4, 5]
    assert stored.nnz == kept


def test_rows_are_averaged_within_classes():
    x = np.arange(18.0).reshape(9, 2)
    labels = twin_classes(leaves_of_hubs())
    found = averaged(x, labels)
    for c in set(labels.tolist()):
        assert np.allclose(found[labels == c], x[labels == c].mean(axis=0))
    assert averaged(x, np.arange(9)) is x


@pytest.mark.parametrize("word", ["karate", "tree:3,2", "les-miserables", "cycle:4"])
def test_twins_have_one_place_at_the_optimum(word):
    target = one_hop_target(parse(word))
    labels = twin_classes(target)
    assert len(set(labels.tolist())) < len(labels)
    found = tied_optimum(target, tolerance=0)
    assert found.relative_gap < 1e-10
    gram = found.gram
    assert np.allclose(gram, averaged(averaged(gram, labels).T, labels), atol=EQUAL * max(1.0, np.abs(gram).max()))


def test_columns_of_a_start_are_alike_without_decay_only():
    target = target_parts(leaves_of_hubs())
    f = np.random.default_rng(0).standard_normal((9, 3))
    free, decayed = TiedObjective(target, np.ones(9), 0.0), TiedObjective(target, np.ones(9), 0.1)
    assert np.array_equal(free.alike(f)[3], free.alike(f)[4])
    assert decayed.alike(f) is f
