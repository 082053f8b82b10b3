"""Options: what is refused, and by which name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fiedler.kernels.checks import check_chunk_rows
from fiedler.kernels.linear.options import Options, check_path


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("label_smoothing", math.nan, ValueError),
        ("label_smoothing", -0.1, ValueError),
        ("label_smoothing", 1.1, ValueError),
        ("label_smoothing", "0.1", TypeError),
        ("logit_softcap", 0.0, ValueError),
        ("logit_softcap", -5.0, ValueError),
        ("logit_softcap", math.nan, ValueError),
        ("logit_softcap", math.inf, ValueError),
        ("z_loss", math.nan, ValueError),
        ("z_loss", -1e-4, ValueError),
        ("z_loss", None, TypeError),
        ("ignore_index", 1.5, TypeError),
        ("reduction", "avg", ValueError),
        ("reduction", None, ValueError),
        ("return_lse", 1, TypeError),
        ("label_smoothing", 10**400, ValueError),
        ("z_loss", 1e300, ValueError),
        ("ignore_index", 2**63, ValueError),
        ("reduction", ["mean"], ValueError),
    ],
)
def test_bad_values_are_refused_by_name(option: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=option):
        Options(**{option: value})


def test_bounds_are_allowed() -> None:
    assert Options(label_smoothing=0).label_smoothing == 0
    assert Options(label_smoothing=1.0, z_loss=0.0, logit_softcap=None).logit_softcap is None


def test_path_and_chunk_rows() -> None:
    check_path("auto")
    check_chunk_rows(None)
    check_chunk_rows(1)
    with pytest.raises(ValueError, match="path"):
        check_path("fast")
    with pytest.raises(ValueError, match="chunk_rows"):
        check_chunk_rows(0)
    with pytest.raises(TypeError, match="chunk_rows"):
        check_chunk_rows(2.0)  # type: ignore[arg-type]
