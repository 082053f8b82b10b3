"""Checks of arguments: what they refuse, and that they never look at values."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fiedler.kernels.checks import check_device, check_integer, check_number, check_tensor, shown


@pytest.mark.parametrize(
    "value",
    [10**5000, "x" * 5000, "a\nb", torch.zeros(100, 100), [1] * 5000, torch.float32],
    ids=lambda value: type(value).__name__,
)
def test_any_value_is_shown_in_one_short_line(value: Any) -> None:
    assert 0 < len(shown(value)) <= 80
    assert "\n" not in shown(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], "be a tensor; got a value of type list"),
        (torch.eye(2).to_sparse(), "layout torch.sparse_coo; use .to_dense"),
        (torch.eye(2).to_sparse_csr(), "layout torch.sparse_csr"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_what_is_no_dense_tensor_is_refused(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"x must .*{message}"):
        check_tensor(value, "x")


def test_tensors_without_data_pass() -> None:
    assert check_tensor(torch.empty(3, device="meta"), "x").is_meta  # no value was read


def test_integers_and_numbers() -> None:
    assert check_integer(3, "x", 1) == 3
    assert check_number(10**400, "x") == float("inf")
    for value, error in ((True, TypeError), (2.0, TypeError), (0, ValueError), (2**63, ValueError)):
        with pytest.raises(error, match=r"^x must"):
            check_integer(value, "x", 1)


@pytest.mark.parametrize(("value", "error"), [("gpu", ValueError), ("", ValueError), (0, TypeError)])
def test_devices_that_do_not_exist_are_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="device"):
        check_device(value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA card")
def test_a_card_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="needs CUDA, which is not available here"):
        check_device("cuda:0")
