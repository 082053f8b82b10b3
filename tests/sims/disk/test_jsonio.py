"""Strict JSON: NumPy and other plain values go in, and any JSON reader gets them out."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiedler.sims.disk.jsonio import from_json, to_json


@dataclass(frozen=True)
class Inner:
    weights: np.ndarray


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    steps: tuple[int, ...] = (1, 2)
    extra: dict[str, Any] = field(default_factory=dict)


class Kind(enum.Enum):
    EXACT = "exact"


def strict(text: str) -> Any:
    """What a reader without JavaScript's NaN makes of it."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_come_back_exactly(value: Any) -> None:
    assert from_json(to_json(value)) == value
    assert strict(to_json(value, indent=2)) == value


@given(st.floats())
def test_floats_come_back_exactly_or_as_null(value: float) -> None:
    back = strict(to_json({"x": value, "n": np.float64(value)}))
    assert back["x"] == back["n"] == (value if math.isfinite(value) else None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.longdouble(0.5), 0.5),
        (np.int64(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(2.5), 2.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, np.nan, -np.inf]), [1.0, None, None]),
        (np.array([True, False]), [True, False]),
        (np.zeros((0, 3)), []),
        ((1, (2, 3)), [1, [2, 3]]),
        (PurePosixPath("a/b"), "a/b"),
        (Path("x"), "x"),
        (Kind.EXACT, "exact"),
        ({Kind.EXACT: 1, 2: 3, (0, 1): np.inf}, {"exact": 1, "2": 3, "(0, 1)": None}),
        (
            Outer("a", Inner(np.array([1.5]))),
            {"name": "a", "inner": {"weights": [1.5]}, "steps": [1, 2], "extra": {}},
        ),
    ],
)
def test_what_else_is_written(value: Any, expected: Any) -> None:
    back = strict(to_json(value))
    assert back == expected
    assert type(back) is type(expected)


def test_it_is_one_line_of_ascii() -> None:
    text = to_json({"λ": "a\nb", "ugly": "\udc80"})
    assert text.isascii()
    assert "\n" not in text
    assert from_json(text) == {"λ": "a\nb", "ugly": "\udc80"}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [1, {2}]}, r"set at \.a\[1\]"),
        (1j, "complex at the top"),
        (np.array([1j]), r"complex at \[0\]"),
        (np.array([object()], dtype=object), r"object at \[0\]"),
        (b"raw", "bytes at the top"),
        (Outer("a", Inner(b"raw")), r"bytes at \.inner\.weights"),  # type: ignore[arg-type]
        (np.timedelta64(1, "s"), "timedelta64 at the top"),
        (Outer, "type at the top"),
    ],
)
def test_what_has_no_json_form(value: Any, where: str) -> None:
    with pytest.raises(TypeError, match=f"{where} has no JSON form: give"):
        to_json(value)


def test_keys_that_collide_and_objects_that_hold_themselves() -> None:
    with pytest.raises(ValueError, match=r"two keys at \.a are both written '1': rename one"):
        to_json({"a": {1: "x", "1": "y"}})
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        to_json(loop)


@pytest.mark.parametrize("text", ["", "{", "[NaN]", '{"a": Infinity}', "-Infinity", "{'a': 1}", "[" * 100000])
def test_text_that_is_not_json(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        from_json(text)
