"""The sharded losses against the plain ones of one process, alone and in groups of one, two and three processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import scipy.sparse as sp
import torch
import torch.distributed as dist
from torch import Tensor

import sharded_processes
from fiedler.kernels import (
    csr_target,
    graph_cross_entropy,
    sharded_graph_cross_entropy,
    sharded_target,
    tied_graph_cross_entropy,
    tied_sharded_graph_cross_entropy,
)
from graph_targets import TARGETS
from sharded_processes import CASES, PROCESSES, TILE, Case, D
from worlds import found_by

pytestmark = pytest.mark.processes  # of several processes, or killed ones: make processes

# Norm of the error over the norm. bfloat16 inputs are compared with themselves in float32, and their gradients rounded.
CLOSE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 4e-3}
TWELVE = 1e-12


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    """What each process found."""
    return found_by(sharded_processes.__file__, tmp_path_factory.mktemp("processes"), PROCESSES)


def plain(case: Case) -> dict[str, Tensor]:
    """The same by the loss of one process, inputs in the dtype of the sums."""
    whole = sharded_processes.tensors(case)
    x = whole.embedding.to(whole.sums).requires_grad_(case.learns[0])
    c = whole.context.to(whole.sums).requires_grad_(case.learns[1])
    target = csr_target(TARGETS[case.target], dtype=whole.sums)
    options: dict[str, Any] = {"row_weight": whole.weight, "reduction": case.reduction}
    tied = case.tied
    loss = tied_graph_cross_entropy(x, target, **options) if tied else graph_cross_entropy(x, c, target, **options)
    if loss.requires_grad:
        loss.backward(torch.tensor(1.5, dtype=whole.sums))
    return {"loss": loss.detach(), **{k: t.grad for k, t in (("embedding", x), ("context", c)) if t.grad is not None}}


def assert_close(parts: list[dict[str, Tensor]], case: Case, close: float | None = None) -> None:
    expected = plain(case)
    for one in parts:
        assert one.keys() == expected.keys()
        assert torch.equal(one["loss"], parts[0]["loss"])
    for key, exact in expected.items():
        whole = parts[0][key] if key == "loss" else torch.cat([one[key] for one in parts])
        assert whole.shape == exact.shape
        assert whole.dtype == (exact.dtype if key == "loss" else case.dtype)
        allowed = close or CLOSE[exact.dtype if key == "loss" else case.dtype]
        assert (whole.double() - exact.double()).norm() <= allowed * exact.double().norm(), key


@pytest.mark.parametrize("name", CASES)
def test_a_group_is_one_process(found: list[dict[Any, Any]], name: str) -> None:
    parts = [one[name] for one in found if name in one]
    assert len(parts) == len(CASES[name].sizes)
    assert_close(parts, CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_a_group_repeats_itself_bit_by_bit(found: list[dict[Any, Any]], name: str) -> None:
    assert all(one["again", name] for one in found if name in one)


@pytest.mark.parametrize("name", CASES)
def test_without_a_group(name: str) -> None:
    case = CASES[name]
    n, m = TARGETS[case.target].shape
    alone = replace(case, sizes=(n,), columns=(m,) if case.columns else None)
    assert_close([sharded_processes.run(alone)], alone)


def sent(sizes: tuple[int, ...], rank: int, row_bytes: int) -> int:
    """Every block but that of the next process, whose neighbour is the last to see it."""
    return row_bytes * (sum(sizes) - sizes[(rank + 1) % len(sizes)])


def test_bytes_sent(found: list[dict[Any, Any]]) -> None:
    for rank, one in enumerate(found):
        traffic, n = one["traffic"], 9
        block = 8 * D
        rows = CASES["uneven"].sizes
        # Contexts twice, and their gradients once past every process, home included.
        assert traffic["uneven"] == 2 * sent(rows, rank, block) + n * block
        # Rows; rows with offset, slope, weight and pivot.
        assert traffic["uneven tied"] == sent(rows, rank, block) + sent(rows, rank, block + 3 * 8 + 8)
        half = CASES["bfloat16 tied"].sizes
        assert traffic["bfloat16 tied"] == sent(half, rank, 2 * D) + sent(half, rank, 2 * D + 2 * 4 + 8)
        assert traffic["loss alone"] == sent((3, 3, 3), rank, block)
        assert traffic["embedding alone"] == 2 * sent((3, 3, 3), rank, block)


def test_the_next_block_is_on_its_way_before_this_one_is_computed_with(found: list[dict[Any, Any]]) -> None:
    assert all(one["traffic"]["begun"] == [1, 2, 2] for one in found)


def test_what_is_refused_is_refused_everywhere_alike(found: list[dict[Any, Any]]) -> None:
    expected = {
        "dtype": "ValueError: the processes disagree on the dtype: torch.float32 on process 0, torch.bfloat16 on proc",
        "width": "ValueError: the processes disagree on the width: 5 on process 0, 4 on process 1; give all the same",
        "reduction": "ValueError: the processes disagree on the reduction: sum on process 0, mean on process 1",
        "kind": "ValueError: the processes disagree on the kind of loss: untied on process 0, tied on process 1",
        "weights": "ValueError: the processes disagree on the row weights: none on process 0, some on process 1",
        "gradients": "ValueError: the processes disagree on the gradients required: none on process 0, context on pro",
        "shape here": "ValueError: process 1: target has shape (2,); want (1,): rows here as in the target",
        "type here": "TypeError: process 1: embedding must be a tensor; got None",
        "target of the other kind": "ValueError: the target was made with tied=False; make one with",
        "negative target": "ValueError: process 1: target entries must be finite and not negative; 2 are not",
        "kind of target": "ValueError: the processes disagree on the tied: False on process 0, True on process 1",
        "columns of target": "ValueError: the processes disagree on the columns of T: 6 on process 0, 5 on process 1",
        "dtype of target": "ValueError: the processes disagree on the dtype: torch.float32 on process 0, torch.float64",
        "too few contexts": "ValueError: T has 6 columns and the processes hold 1 + 1 + 1 rows of context",
        "no sparse rows": "TypeError: process 1: rows must be a SciPy sparse matrix; got a value of type ndarray; con",
    }
    for one in found:
        assert one["refusals"].keys() == expected.keys()
        for name, message in expected.items():
            assert one["refusals"][name].startswith(message)
            assert one["refusals"][name] == found[0]["refusals"][name]


def test_what_is_no_group() -> None:
    with pytest.raises(ValueError, match="no member of the process group it was given; call from members alone"):
        tied_target(process_group=dist.GroupMember.NON_GROUP_MEMBER)
    with pytest.raises(TypeError, match="process group or None; got 3"):
        tied_target(process_group=3)


def tied_target(name: str = "ragged", **options: Any) -> Any:
    return sharded_target(sp.csr_array(TARGETS[name]), tied=True, **{"dtype": torch.float64, **options})


# Logits up to hundreds of millions, which are rounded to as many units in the sixteenth place.
@pytest.mark.parametrize(("scale", "close"), [(1e-3, 1e-12), (30.0, 1e-12), (3e3, 3e-8)])
@pytest.mark.parametrize("name", ["one hop", "pairs"])
def test_logits_of_any_size(name: str, scale: float, close: float) -> None:
    case = Case(name, (len(TARGETS[name]),), tied=True, scale=scale)
    for one in (case, replace(case, tied=False)):
        assert_close([sharded_processes.run(one)], one, close)


def test_confident_rows_keep_their_digits() -> None:
    """A margin of 30: a loss near 1e-13 in float32, where lse - z_ik would be zero."""
    target = sharded_target(sp.eye_array(6, format="csr"), tied=False)
    x, c = (30.0 * torch.eye(6)).requires_grad_(), torch.eye(6).requires_grad_()
    loss = sharded_graph_cross_entropy(x, c, target, tile=TILE)
    expected = torch.log1p(5 * torch.exp(torch.tensor(-30.0, dtype=torch.float64)))
    assert loss.item() == pytest.approx(6 * expected.item(), rel=1e-6)
    loss.backward()
    # An exponent of 43 is rounded to some units in the seventh place.
    torch.testing.assert_close(x.grad.diagonal().double(), -expected.expand(6), rtol=3e-6, atol=0)
    torch.testing.assert_close(c.grad.diagonal().double(), -30 * expected.expand(6), rtol=3e-6, atol=0)


@pytest.mark.parametrize("tile", [1, 4, 9, 1000, None])
def test_tiles_of_any_size_agree(tile: int | None) -> None:
    whole = sharded_processes.tensors(CASES["uneven"])
    x = whole.embedding.requires_grad_()
    loss = tied_sharded_graph_cross_entropy(x, tied_target(), tile=tile)
    expected = tied_sharded_graph_cross_entropy(x, tied_target(), tile=2)
    assert loss.item() == pytest.approx(expected.item(), rel=TWELVE)
    a, b = (torch.autograd.grad(each, x)[0] for each in (loss, expected))
    assert (a - b).norm() <= TWELVE * b.norm()


def test_gradient_is_the_slope() -> None:
    whole = sharded_processes.tensors(CASES["uneven"])
    x, c = whole.embedding.requires_grad_(), whole.context.requires_grad_()
    untied = sharded_target(sp.csr_array(TARGETS["ragged"]), tied=False, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: sharded_graph_cross_entropy(a, b, untied, tile=TILE), (x, c))
    assert torch.autograd.gradcheck(lambda a: tied_sharded_graph_cross_entropy(a, tied_target(), tile=TILE), (x,))


def test_a_second_derivative_is_refused() -> None:
    x = sharded_processes.tensors(CASES["uneven"]).embedding.requires_grad_()
    (slope,) = torch.autograd.grad(tied_sharded_graph_cross_entropy(x, tied_target()), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once"):
        slope.sum().backward()


def test_under_autocast_and_without_gradients() -> None:
    x = sharded_processes.tensors(CASES["float32"]).embedding.requires_grad_()
    target = tied_target("one hop", dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = tied_sharded_graph_cross_entropy(x, target)
    assert loss.item() == tied_sharded_graph_cross_entropy(x.bfloat16(), target).item()
    (slope,) = torch.autograd.grad(loss, x)
    assert slope.dtype == torch.float32
    with torch.no_grad():
        assert not tied_sharded_graph_cross_entropy(x, target).requires_grad


def test_memory_stays_at_tiles_and_rows() -> None:
    """No tensor is larger than the rows or a tile, far below the n x n logits."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(tensor, Tensor):
                    largest = max(largest, tensor.untyped_storage().nbytes() // tensor.element_size())
            return out

    n, tile = 600, 50
    rows = sp.csr_array(sp.eye_array(n, k=1) + sp.eye_array(n, k=-1))
    x = torch.randn(n, 4, requires_grad=True)
    for tied in (True, False):
        target = sharded_target(rows, tied=tied)
        with Record():
            if tied:
                tied_sharded_graph_cross_entropy(x, target, tile=tile).backward()
            else:
                sharded_graph_cross_entropy(x, x.detach().clone().requires_grad_(), target, tile=tile).backward()
    assert largest <= max(tile * tile, n * 4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"embedding": torch.zeros(9, D)}, TypeError, "target is torch.float64 on cpu; embedding, torch.float32"),
        ({"embedding": torch.zeros(9, dtype=torch.float64)}, TypeError, r"must be floating point of shape \(rows here"),
        ({"embedding": torch.zeros(9, D, dtype=torch.int64)}, TypeError, "must be floating point"),
        ({"embedding": torch.zeros(8, D, dtype=torch.float64)}, ValueError, r"target has shape \(9,\); want \(8,\)"),
        ({"target": csr_target(TARGETS["ragged"])}, TypeError, "got a CsrTarget; make it with sharded_target"),
        ({"reduction": "none"}, ValueError, "reduction must be one of 'sum', 'mean'; got 'none'"),
        ({"tile": 0}, ValueError, "tile must lie between 1 and"),
        ({"tile": 2.5}, TypeError, "tile must be an integer"),
        ({"row_weight": torch.ones(9)}, TypeError, "row_weight is torch.float32"),
        ({"row_weight": torch.ones(8, dtype=torch.float64)}, ValueError, r"row_weight has shape \(8,\); want \(9,\)"),
        ({"row_weight": -torch.ones(9, dtype=torch.float64)}, ValueError, "row_weight must be finite, not negative"),
    ],
)
def test_calls_that_do_not_fit(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"embedding": torch.zeros(9, D, dtype=torch.float64), "target": tied_target(), **change}
    with pytest.raises(error, match=message):
        tied_sharded_graph_cross_entropy(**given)


@pytest.mark.parametrize(
    ("rows", "options", "error", "message"),
    [
        (sp.csr_array((3, 4)), {}, ValueError, "T has 4 columns and the processes hold 3 rows of context"),
        (sp.csr_array((0, 0)), {}, ValueError, "one at least"),
        (sp.eye_array(3), {"columns": 3}, ValueError, "columns = 3 for a tied target"),
        (sp.eye_array(3), {"tied": False, "columns": -1}, ValueError, "columns must lie between 0 and"),
        (sp.eye_array(3) * float("inf"), {}, ValueError, "must be finite and not negative"),
        (sp.eye_array(3), {"dtype": torch.float16}, TypeError, "a target is torch.float32 or torch.float64"),
        ([[1.0]], {}, TypeError, "rows must be a SciPy sparse matrix; got a value of type list"),
    ],
)
def test_targets_that_cannot_be(rows: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sharded_target(rows, **{"tied": True, **options})
