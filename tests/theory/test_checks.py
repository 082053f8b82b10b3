from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory.checks import (
    LARGEST_ENTRY,
    brief,
    check_array,
    check_choice,
    check_flag,
    check_labels,
    check_matrix,
    check_number,
    check_reals,
    check_whole_number,
    shown,
)


class TwoLines:
    def __repr__(self):
        return "a\nb" * 1000


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), "x" * 5000, "a\nb", b"x" * 5000, np.zeros((3, 1000)), sp.eye_array(9), TwoLines(), {1: 2}],
    ids=lambda value: type(value).__name__,
)
def test_any_value_is_shown_in_one_short_line(value):
    for text in (shown(value), brief(value)):
        assert 0 < len(text) <= 80
        assert "\n" not in text


def test_small_values_are_shown_as_they_are():
    assert [shown(v) for v in (None, 1.5, "3", True, np.float64(2))] == [
        "None",
        "1.5",
        "'3'",
        "True",
        "np.float64(2.0)",
    ]
    assert brief("node") == "node"


def test_numbers_of_every_kind_become_floats():
    for value in (2, 2.0, np.float32(2), np.int64(2), Fraction(2), np.array(2.0)):
        assert type(check_number(value, "x")) is float
        assert check_number(value, "x") == 2.0


@pytest.mark.parametrize("value", [True, np.bool_(True), "2", None, 2j, np.array([2.0]), [2.0]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="x must be a number; got"):
        check_number(value, "x")


@pytest.mark.parametrize("value", [np.nan, np.inf, 10**400, -(10**400)])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="x must be a finite number; got"):
        check_number(value, "x")


def test_whole_numbers():
    assert [check_whole_number(v, "x", 1) for v in (1, np.int8(3), np.array(5))] == [1, 3, 5]
    for value in (2.0, True, "2", None):
        with pytest.raises(TypeError, match="x must be a whole number"):
            check_whole_number(value, "x", 1)
    for value, message in (
        (0, "at least 1; got 0"),
        (2**53 + 1, "at most 9007199254740992"),
        (10**5000, "about 5001 digits"),
    ):
        with pytest.raises(ValueError, match=message):
            check_whole_number(value, "x", 1)


@pytest.mark.parametrize("value", [1, 0, None, "yes", np.array([True])])
def test_what_is_merely_true_is_no_flag(value):
    assert check_flag(np.bool_(True), "x") is True
    with pytest.raises(TypeError, match="x must be True or False"):
        check_flag(value, "x")


def test_choices():
    assert check_choice("a", "letter", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="unknown letter 'c'; use one of a, b"):
        check_choice("c", "letter", ("a", "b"))
    with pytest.raises(TypeError, match="letter must be a string"):
        check_choice(np.array(["a"]), "letter", ("a", "b"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (sp.eye_array(2), r"be a dense array; .*\.toarray\(\)"),
        (np.ma.masked_array([1.0], mask=[True]), "mask would be lost"),
        ({1.0, 2.0}, "an array or a list"),
        ((x for x in (1.0,)), "an array or a list"),
        (nx.path_graph(2), "an array or a list"),  # NumPy would take its nodes
        (["1", "2"], "real numbers; .*dtype <U1"),
        ([True, False], "dtype bool"),
        ([1j], "dtype complex128"),
        ([None], "dtype object"),
        ([10**400], "dtype object"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value, message):
    with pytest.raises(TypeError, match=f"x must .*{message}"):
        check_reals(value, "x")


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match=r"x must be an array of numbers; .* does not convert"):
        check_reals([[1.0], [2.0, 3.0]], "x")


def test_a_float64_array_is_not_copied():
    given = np.ones((2, 2))
    assert check_array(given, "x") is given
    assert check_array(np.float16([1.5]), "x").dtype == np.float64


@pytest.mark.parametrize(
    ("entry", "message"), [(np.nan, "NaN"), (-np.inf, "infinity"), (-1e71, "its products overflow")]
)
def test_entries_out_of_range_are_refused(entry, message):
    with pytest.raises(ValueError, match=f"x holds .*{message}"):
        check_array([0.0, entry, 1.0], "x")
    assert check_array([LARGEST_ENTRY], "x")[0] == LARGEST_ENTRY


def test_matrices_have_the_shape_that_is_asked_for():
    assert check_matrix([[1, 2]], (None, 2), "x").shape == (1, 2)
    for shape in ((2, None), (None, 3)):
        with pytest.raises(ValueError, match=r"x must be a matrix of shape .*; got \(1, 2\)"):
            check_matrix([[1, 2]], shape, "x")


def test_labels():
    assert check_labels([0, 2, 2], 3, "x").dtype == np.int64
    for wrong in ([0, 3, 1], [0, -1, 1], [0, 0.5, 1], [0, np.nan, 1]):
        with pytest.raises(ValueError, match="x must hold whole numbers from 0 to 2"):
            check_labels(wrong, 3, "x")
