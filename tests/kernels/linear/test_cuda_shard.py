"""The vocabulary-parallel loss on the kernels of a card, in Triton's interpreter, against the whole logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import vocab_processes
from interpreted import INTERPRETED, run_interpreted
from linear_cases import relative_error

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels.linear.options import Options
    from fiedler.kernels.linear.reference import linear_cross_entropy_reference
    from fiedler.kernels.linear.vocabulary import parallel as vocab_parallel
    from fiedler.kernels.linear.vocabulary.layout import VocabLayout
    from fiedler.kernels.linear.vocabulary.parallel import vocab_parallel_linear_cross_entropy
    from vocab_processes import CASES, SIZES, Case, V

    CASES_HERE = {
        **{name: case for name, case in CASES.items() if case.dtype == torch.float32},
        "accumulated in float16": Case({"label_smoothing": 0.1, "z_loss": 0.01}, torch.float16, bias=True),
    }
    ROUNDED = {torch.float32: 5e-6, torch.float16: 4e-3}  # sums of tens of terms; operands and results in 16 bits
    LAYOUTS = {"four": VocabLayout(SIZES, (4,), 0), "an empty one": VocabLayout((10, 0, V - 10), (3,), 0)}

    @pytest.fixture(autouse=True)
    def on_card(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vocab_parallel, "on_card", lambda input: input.dtype != torch.float64)

    # Every row of every shard is a program of the interpreter: seconds each.
    @pytest.mark.parametrize(("name", "layout"), [
        ("everything", "four"), ("rows", "an empty one"), ("accumulated in float16", "an empty one"),
    ])  # fmt: skip
    def test_against_the_whole_logits(name: str, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
        case = CASES_HERE[name]
        monkeypatch.setitem(CASES, name, case)
        given = vocab_processes.tensors(case)
        wide = {key: t.double() for key, t in vars(given).items() if t is not None and key != "target"}
        leaves = [wide[key].requires_grad_() for key in ("input", "weight", "bias") if key in wide]
        exact = linear_cross_entropy_reference(
            wide["input"], wide["weight"], given.target, Options(**case.options), bias=wide.get("bias"),
            class_weight=wide.get("class_weight"), token_weight=wide.get("token_weight"),
        ).loss  # fmt: skip
        wanted = torch.autograd.grad(exact, leaves, wide["upstream"])
        found = vocab_processes.run(case, LAYOUTS[layout])
        assert relative_error(found.pop("loss"), exact.detach()) < ROUNDED[case.dtype]
        for tensor, right in zip(found.values(), wanted, strict=True):
            assert tensor.dtype == case.dtype
            assert relative_error(tensor, right) < ROUNDED[case.dtype]

    def test_logits_far_above_the_target() -> None:
        """Shards move their offsets by themselves, each to its own largest logit."""
        x, w = torch.full((3, 16), 10.0), torch.linspace(-3, 3, V)[:, None].expand(V, 16).clone().requires_grad_()
        target = torch.tensor([0, 10, V - 1])
        loss = vocab_parallel_linear_cross_entropy(x, w, target, layout=LAYOUTS["four"])
        loss.backward()
        z = (x.double() @ w.detach().double().T).requires_grad_()
        exact = torch.nn.functional.cross_entropy(z, target)
        exact.backward()
        assert relative_error(loss.detach(), exact.detach()) < ROUNDED[torch.float32]
        assert relative_error(w.grad, z.grad.T @ x.double()) < ROUNDED[torch.float32]

    def test_a_target_that_is_no_class_gives_nan_where_looking_would_wait(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vocab_parallel, "check_targets", lambda *_: None)
        case = replace(CASES["rows"])
        given = vocab_processes.tensors(case)
        given.target[5] = V
        loss = vocab_parallel_linear_cross_entropy(
            given.input, given.weight, given.target, layout=LAYOUTS["four"], reduction="none"
        )
        assert torch.isnan(loss).nonzero().tolist() == [[5]]
