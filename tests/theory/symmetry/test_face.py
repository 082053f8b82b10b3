"""The face of the cone that holds an optimum: path-stars against 40 digits, and proofs that must not go through."""

import numpy as np
import pytest
from scipy.linalg import eigvalsh

from fiedler.theory import (
    RankRange,
    graph_optimum,
    graph_symmetry,
    parse,
    path_star_symmetry,
    reduced_tied_optimum,
    reduced_untied_optimum,
    target_optimum,
)
from fiedler.theory.symmetry.face import face_is_proved, find_face, twin_blocks
from fiedler.theory.symmetry.problem import ReducedProblem
from fiedler.theory.symmetry.ranges import block_rank_range

# Least slack of the trivial block of path-star:d x 5 at its optimum, from a solution of the equations in (h, a) in 40
# digits. Float64 resolves all of them; the interior point kept eigenvalues there from d = 700 on (0.8 to 2.5).
SLACKS = {20: 9.0e-3, 100: 5.0e-3, 200: 2.1e-3, 400: 8.6e-5, 700: 3.9e-7, 1000: 5.1e-9}


def problem(word, decay=0.0, *, tied=True, family=True):
    symmetry = graph_symmetry(parse(word), family=family)
    weights = np.ones(len(symmetry.algebra.type_sizes))
    return ReducedProblem(symmetry.algebra, symmetry.target(), weights, decay, tied=tied)


def solved(word, decay=0.0):
    """The problem with its optimum's factors and bias, by the solver and polish."""
    p = problem(word, decay)
    found = reduced_tied_optimum(p.algebra, p.target, weight_decay=decay)
    blocks = p.algebra.to_blocks(found.gram)
    blocks = (p.frame.T @ blocks[0] @ p.frame, *blocks[1:])
    factors = []
    for block in blocks:
        values, modes = np.linalg.eigh(block)
        keep = values > 1e-8 * max(1.0, values.max(initial=0))
        factors.append(modes[:, keep] * np.sqrt(values[keep]))
    return p, factors, p.bias_frame.T @ found.bias, found


@pytest.mark.parametrize("arms", SLACKS)
def test_path_stars_have_the_rank_and_slack_of_forty_digits(arms):
    p, factors, free, found = solved(f"path-star:{arms}x5")
    assert found.rank_range == RankRange(arms - 1, arms - 1)
    assert found.rank == arms - 1
    assert found.multiplicities.tolist() == [arms - 1]
    slopes = p.slopes(p.gradient(p.join([f @ f.T for f in factors], free)))
    assert eigvalsh(slopes[0])[0] == pytest.approx(SLACKS[arms], rel=1e-2)
    assert found.certificate.max_violation < 1e-13
    assert not found.attained


@pytest.mark.parametrize(("arms", "length"), [(5_000, 5), (100_000, 10)])
def test_where_float64_does_not_resolve_the_slack_the_rank_is_a_range(arms, length):
    # Extrapolated from the table the slack is far below rounding there: the rank of the point found is not proved.
    found = reduced_tied_optimum((s := path_star_symmetry(arms, length)).algebra, s.target())
    assert found.multiplicities.tolist() == [arms - 1]
    assert (found.rank_range.low, found.rank_range.high) == (arms - 1, arms)
    assert not found.rank_range.proved


@pytest.mark.parametrize(("word", "decay"), [("grid:4x4", 0.0), ("grid:4x4", 0.1), ("path-star:4x5", 0.05)])
def test_the_blocks_prove_what_the_dense_gap_proves(word, decay):
    _, _, _, found = solved(word, decay)
    symmetry = graph_symmetry(parse(word), family=False)
    dense = target_optimum(symmetry.expand(symmetry.target()), weight_decay=decay)
    assert found.rank_range == dense.rank_range
    assert found.rank_range.proved


@pytest.mark.parametrize(("word", "decay"), [("grid:4x4", 0.0), ("path-star:100x5", 0.0), ("path-star:4x5", 0.1)])
def test_nothing_is_proved_off_the_optimum_or_on_a_wrong_face(word, decay):
    p, factors, free, _ = solved(word, decay)
    factors, free, proved = find_face(p, factors, free)
    assert proved
    assert face_is_proved(p, factors, free)
    rng = np.random.default_rng(0)
    for size in (0.3, 1.0):  # from 1e-4 away Newton's theorem may still find the optimum
        moved = [f + size * rng.standard_normal(f.shape) for f in factors]
        assert not face_is_proved(p, moved, free)
    wider = [np.column_stack([f, 1e-9 * rng.standard_normal(len(f))]) if len(f) else f for f in factors]
    assert not face_is_proved(p, wider, free)
    for b, f in enumerate(factors):
        if f.shape[1]:
            assert not face_is_proved(p, [g[:, :-1] if c == b else g for c, g in enumerate(factors)], free)


def test_a_spurious_direction_is_dropped():
    p, factors, free, _ = solved("path-star:1000x5")
    spurious = [np.array([[1.0], [0.5], [-0.2], [0.4]]), factors[1]]
    found, _, proved = find_face(p, spurious, free)
    assert proved
    assert [f.shape[1] for f in found] == [0, 1]


@pytest.mark.parametrize("decay", [0.05, 0.3])
def test_untied_faces(decay):
    symmetry = path_star_symmetry(50, 4)
    found = reduced_untied_optimum(symmetry.algebra, symmetry.target(), weight_decay=decay)
    assert found.rank_range == RankRange(found.rank, found.rank)
    residual = problem("path-star:50x4", decay, tied=False)
    blocks = symmetry.algebra.to_blocks(found.logits)
    wide = block_rank_range(residual, blocks, found.logits, found.certificate.duality_gap, found.loss)
    assert wide.low <= found.rank <= wide.high


def test_twins_are_found_in_the_blocks():
    # Nine leaves of tree:3,2 in threes: six differences of twins, one block of one number.
    p = problem("tree:3,2")
    assert [m for m, twin in zip(p.algebra.multiplicity, twin_blocks(p), strict=True) if twin] == [6]
    assert not any(twin_blocks(problem("tree:3,2", 0.1)))
    assert not any(twin_blocks(problem("cycle:15", family=False)))
    assert not any(twin_blocks(problem("petersen")))
    assert graph_optimum(parse("tree:3,2")).rank_range == RankRange(2, 2)


@pytest.mark.parametrize("word", ["path-star:30x4", "grid:4x4", "petersen", "tree:3,3"])
@pytest.mark.parametrize("gap", [1e-12, 1e-6, 1e-2, 1.0])
def test_a_larger_gap_never_contradicts_the_proved_rank(word, gap):
    p, _, _, found = solved(word)
    assert found.rank_range.proved
    blocks, z = p.algebra.to_blocks(found.gram), found.gram + found.bias[p.algebra.column_type]
    ranks = block_rank_range(p, blocks, z, gap, found.loss)
    assert ranks.low <= found.rank <= ranks.high
    assert len(ranks.unresolved) == len(ranks.multiplicities)
