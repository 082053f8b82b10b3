"""The vocabulary-parallel loss against the whole logits in float64, alone and in groups of two and four processes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import vocab_processes
from fiedler.kernels.linear.options import Options
from fiedler.kernels.linear.reference import linear_cross_entropy_reference
from fiedler.kernels.linear.vocabulary.layout import VocabLayout, even_layout
from fiedler.kernels.linear.vocabulary.parallel import vocab_parallel_linear_cross_entropy
from vocab_processes import CASES, CHUNK_ROWS, PROCESSES, SIZES, D, N, V
from worlds import found_by

pytestmark = pytest.mark.processes  # of several processes, or killed ones: make processes

# Norm of the error over the norm: sums of some tens of terms, and one rounding of the result for bfloat16.
CLOSE = {torch.float64: 1e-13, torch.float32: 2e-6, torch.bfloat16: 4e-3}
ALONE = VocabLayout(SIZES, (4,), 0)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    """What each of the four processes found."""
    return found_by(vocab_processes.__file__, tmp_path_factory.mktemp("processes"), PROCESSES)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def whole(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Loss and input gradient, the same everywhere, and the gradients of weight and bias put together."""
    for part in parts[1:]:
        assert torch.equal(part["loss"], parts[0]["loss"])
        assert torch.equal(part["input"], parts[0]["input"])
    joined = {name: torch.cat([part[name] for part in parts]) for name in ("weight", "bias") if name in parts[0]}
    return {"loss": parts[0]["loss"], "input": parts[0]["input"], **joined}


def exact(name: str) -> dict[str, Tensor]:
    """The same by autograd over the whole logits in float64."""
    case = CASES[name]
    given = vocab_processes.tensors(case)
    wide = {
        key: tensor.double().requires_grad_(key in ("input", "weight", "bias"))
        for key, tensor in vars(given).items()
        if tensor is not None and key != "target"
    }
    upstream = wide.pop("upstream")
    result = linear_cross_entropy_reference(
        wide["input"],
        wide["weight"],
        given.target,
        Options(**case.options),
        bias=wide.get("bias"),
        class_weight=wide.get("class_weight"),
        token_weight=wide.get("token_weight"),
    )
    result.loss.backward(upstream)
    made = {key: wide[key].grad for key in ("input", "weight", "bias") if key in wide}
    return {"loss": result.loss.detach(), **made}


def assert_close(found: dict[str, Tensor], name: str) -> None:
    expected = exact(name)
    assert found.keys() == expected.keys()
    for key, tensor in found.items():
        close = CLOSE[torch.float32 if key == "loss" and CASES[name].dtype != torch.float64 else CASES[name].dtype]
        error = (tensor.double() - expected[key]).norm() / expected[key].norm()
        assert error < close, f"{key}: {error}"


@pytest.mark.parametrize("name", CASES)
def test_one_process_with_four_shards(name: str) -> None:
    assert_close(vocab_processes.run(CASES[name], ALONE), name)


@pytest.mark.parametrize("name", CASES)
def test_one_shard(name: str) -> None:
    assert_close(vocab_processes.run(CASES[name], VocabLayout((V,), (1,), 0)), name)


@pytest.mark.parametrize("name", CASES)
def test_four_processes(found: list[dict[Any, Any]], name: str) -> None:
    assert_close(whole([part["four", name] for part in found]), name)


@pytest.mark.parametrize("name", CASES)
def test_a_sharded_dtensor(found: list[dict[Any, Any]], name: str) -> None:
    for part in found:
        assert_close(part["dtensor", name], name)


@pytest.mark.parametrize("name", CASES)
def test_who_holds_the_shards_changes_no_bit(found: list[dict[Any, Any]], name: str) -> None:
    alone = vocab_processes.run(CASES[name], ALONE)
    groups = {kind: whole([part[kind, name] for part in found]) for kind in ("four", "again")}
    groups |= {kind: whole([part[kind, name] for part in found[:2]]) for kind in ("two", "uneven")}
    for kind, group in groups.items():
        for key, tensor in group.items():
            assert torch.equal(tensor, alone[key]), f"{kind}: {key}"


def test_sizes_that_are_asked_for(found: list[dict[Any, Any]]) -> None:
    for part in found:
        assert part["gathered"].item() == pytest.approx(torch.log(torch.tensor(V)).item(), rel=1e-6)


def test_what_is_refused_in_a_group(found: list[dict[Any, Any]]) -> None:
    for rank, part in enumerate(found):
        said = part["refusals"]
        assert "weight must be a DTensor in Shard(0)" in said["replicated weight"]
        assert f"here is process {rank} of 4 with {V} rows of weight" in said["layout of another group"]
        assert f"the layout has {SIZES[rank]} classes on process {rank} of 4" in said["rows of another layout"]


def inputs(scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    given = vocab_processes.tensors(CASES["sum in float64"])
    return scale * given.input, given.weight, given.target


def loss(x: Tensor, w: Tensor, y: Tensor, **options: Any) -> Tensor:
    return vocab_parallel_linear_cross_entropy(x, w, y, **{"layout": ALONE, "chunk_rows": CHUNK_ROWS, **options})


@pytest.mark.parametrize("scale", [1.0, 1e4])  # logits of tens of thousands
def test_loss_and_gradients_at_large_logits(scale: float) -> None:
    x, w, y = inputs(scale)
    x, w = x.requires_grad_(), w.requires_grad_()
    loss(x, w, y).backward()
    gradients = x.grad, w.grad
    x.grad = w.grad = None
    expected = torch.nn.functional.cross_entropy(x @ w.T, y)
    expected.backward()
    assert loss(x, w, y).item() == pytest.approx(expected.item(), rel=CLOSE[torch.float64])
    for found, exact in zip(gradients, (x.grad, w.grad), strict=True):
        assert (found - exact).norm() <= CLOSE[torch.float64] * exact.norm()


def test_confident_rows_keep_their_digits() -> None:
    """A margin of 30: a loss near 1e-13 in float32, where lse - z_y would be zero."""
    y = torch.arange(V)
    x = 30.0 * torch.eye(V)
    w = torch.eye(V, requires_grad=True)
    layout = VocabLayout(SIZES, (4,), 0)
    value = vocab_parallel_linear_cross_entropy(x, w, y, reduction="none", layout=layout)
    expected = torch.log1p((V - 1) * torch.exp(torch.tensor(-30.0, dtype=torch.float64)))
    torch.testing.assert_close(value.double(), expected.expand(V), rtol=1e-6, atol=0)
    value.sum().backward()
    assert w.grad is not None
    torch.testing.assert_close(w.grad.diagonal().double(), -30 * expected.expand(V), rtol=1e-6, atol=0)


def test_chunks_of_any_length_agree() -> None:
    x, w, y = inputs()
    values = [loss(x, w, y, chunk_rows=rows).item() for rows in (1, 7, N, 10_000, None)]
    assert values == pytest.approx([values[0]] * len(values), rel=CLOSE[torch.float64])


def test_gradient_is_the_slope() -> None:
    x, w, y = inputs()
    x, w, bias = x[:9].requires_grad_(), w.requires_grad_(), torch.randn(V, dtype=torch.float64, requires_grad=True)
    for options in ({}, {"reduction": "none", "label_smoothing": 0.1, "logit_softcap": 2.0, "z_loss": 0.1}):
        assert torch.autograd.gradcheck(lambda a, b, c, o=options: loss(a, b, y[:9], bias=c, **o), (x, w, bias))


@pytest.mark.parametrize("frozen", ["input", "weight"])
def test_a_frozen_side_leaves_the_other_its_gradient(frozen: str) -> None:
    x, w, y = inputs()
    both = [tensor.clone().requires_grad_() for tensor in (x, w)]
    loss(*both, y).backward()
    one = [x.clone().requires_grad_(frozen != "input"), w.clone().requires_grad_(frozen != "weight")]
    loss(*one, y).backward()
    for name, alone, together in zip(("input", "weight"), one, both, strict=True):
        if name == frozen:
            assert alone.grad is None
        else:
            assert torch.equal(alone.grad, together.grad)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_a_second_derivative_is_refused(reduction: str) -> None:
    x, w, y = inputs()
    x.requires_grad_()
    (slope,) = torch.autograd.grad(loss(x, w, y, reduction=reduction).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once"):
        slope.sum().backward()


@pytest.mark.parametrize(("reduction", "value"), [("sum", 0.0), ("mean", float("nan")), ("none", 0.0)])
@pytest.mark.parametrize("rows", [0, 4])
def test_nothing_to_learn(reduction: str, value: float, rows: int) -> None:
    x, w, _ = inputs()
    x, w = x[:rows].requires_grad_(), w.requires_grad_()
    found = loss(x, w, torch.full((rows,), -100), reduction=reduction)
    torch.testing.assert_close(found.sum().item(), value, equal_nan=True)
    found.sum().backward()
    assert x.grad is not None
    assert not x.grad.any()
    assert w.grad is not None
    assert not w.grad.any()


def test_leading_dimensions() -> None:
    x, w, y = inputs()
    flat = loss(x[:36], w, y[:36], reduction="none")
    assert torch.equal(loss(x[:36].view(3, 12, D), w, y[:36].view(3, 12), reduction="none"), flat.view(3, 12))


def test_memory_stays_at_a_chunk_of_the_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest tensor made is far smaller than the N x V logits."""
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

    n, v, d, rows = 640, 512, 4, 32
    x, w = torch.randn(n, d, requires_grad=True), torch.randn(v, d, requires_grad=True)
    y = torch.randint(v, (n,))
    with Record():
        vocab_parallel_linear_cross_entropy(x, w, y, chunk_rows=rows, layout=even_layout(v, shards=2)).backward()
    assert largest <= rows * v


# Layouts.


def test_even_layouts_are_cut_as_torch_cuts() -> None:
    for classes in range(1, 30):
        for shards in (1, 2, 4, 6):
            sizes = even_layout(classes, shards=shards).sizes
            cut = [len(part) for part in torch.arange(classes).chunk(shards)]
            assert sizes == (*cut, *[0] * (shards - len(cut)))
    second = even_layout(10, shards=4, processes=2, rank=1)
    assert (second.sizes, second.counts, second.local, second.local_classes) == ((3, 3, 3, 1), (2, 2), range(2, 4), 4)
    assert second.starts == (0, 3, 6, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3, 4), (1,), 0), r"counts \(1,\) must divide the 2 shards \(3, 4\) among processes"),
        (((3, 4), (1, 1), 2), "rank 2 is none of the 2 processes"),
        (((0, 0), (1, 1), 0), "needs a class at least"),
    ],
)
def test_layouts_that_cannot_be(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VocabLayout(*arguments)
    with pytest.raises(ValueError, match="3 shards do not divide among 2 processes; use a multiple of 2"):
        even_layout(10, shards=3, processes=2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": torch.full((N,), V)}, ValueError, f"target holds {V} at position 0"),
        ({"y": torch.zeros(N)}, TypeError, "target must be int64"),
        ({"y": torch.zeros(N + 1, dtype=torch.int64)}, ValueError, "target must have shape"),
        ({"w": torch.zeros(V, D)}, TypeError, "weight is torch.float32, input torch.float64"),
        ({"w": torch.zeros(V - 1, D, dtype=torch.float64)}, ValueError, f"with {V - 1} rows of weight"),
        ({"x": torch.zeros(N, D + 1, dtype=torch.float64)}, ValueError, "do not fit"),
        ({"bias": torch.zeros(3, dtype=torch.float64)}, ValueError, "bias must have shape"),
        ({"class_weight": torch.ones(3)}, ValueError, "class_weight must have shape"),
        ({"class_weight": torch.ones(V, dtype=torch.complex64)}, TypeError, "class_weight must be floating point"),
        ({"token_weight": torch.ones(N, requires_grad=True)}, ValueError, "token_weight is a constant"),
        ({"label_smoothing": 2.0}, ValueError, "label_smoothing"),
        ({"chunk_rows": 0}, ValueError, "chunk_rows"),
    ],
)
def test_calls_that_do_not_fit(change: dict[str, Any], error: type[Exception], message: str) -> None:
    x, w, y = inputs()
    given = {"x": x, "w": w, "y": y, **change}
    with pytest.raises(error, match=message):
        loss(**given)


@pytest.mark.parametrize("what", ["ignored row", "shard", "target's class"])
def test_what_is_not_finite_stays_where_it_does_not_count(what: str) -> None:
    x, w, y = inputs()
    x, w, y, bias = x.detach(), w.detach().requires_grad_(), y.clamp_min(0), torch.zeros(len(w), dtype=x.dtype)
    layout = even_layout(len(w), shards=2)
    if what == "shard":  # of a padded vocabulary
        bias[: layout.sizes[0]] = -torch.inf
        y = y.clamp_min(layout.sizes[0])
    elif what == "target's class":  # that ignored rows stand for
        bias[0] = -torch.inf
        y = torch.where(y == 0, -100, y)
    else:
        y[::3] = -100
        bias += 700.0  # whose exponential is no number of float32, and near the largest of float64
    found = vocab_parallel_linear_cross_entropy(x, w, y, layout=layout, bias=bias)
    found.backward()
    wide = w.detach().requires_grad_()
    wanted = torch.nn.functional.cross_entropy(x @ wide.T + bias, y)
    wanted.backward()
    assert float(abs(found.detach() - wanted.detach())) < 1e-12 * float(wanted.detach())
    assert float((w.grad - wide.grad).norm() / wide.grad.norm()) < 1e-12
