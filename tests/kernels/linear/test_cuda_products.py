"""What the products of the GPU paths see: rows that count, whole widths, the targets' part; in Triton's interpreter."""

from __future__ import annotations

import pytest
import torch

from interpreted import INTERPRETED, run_interpreted
from linear_cases import IGNORE, leaves, make_case, reference_rows, relative_error

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels.linear import cuda, cuda_exponential
    from fiedler.kernels.linear.cuda_task import Task
    from fiedler.kernels.linear.options import Options
    from fiedler.kernels.linear.row_terms import ForwardResult, RowTerms, row_terms

    PATHS = ("chunked", "sweep", "recompute", "exponential", "flash")
    ROUNDED = 1e-5  # fp32 sums of some 40 terms

    def terms_of_case(case: object, options: Options) -> RowTerms:
        return row_terms(
            case.target, options, classes=len(case.weight), dtype=torch.float32, token_weight=case.token_weight
        )

    @pytest.fixture
    def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        """N and D of every task that a path was given."""
        found: list[tuple[int, int]] = []
        run = cuda._run

        def spy(task: Task, *rest: object) -> ForwardResult:
            found.append((task.rows, task.input.shape[1]))
            return run(task, *rest)

        monkeypatch.setattr(cuda, "_run", spy)
        return found

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("ignored", [4, 7])
    def test_rows_that_do_not_count_are_left_out(
        path: str, ignored: int, seen: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cuda, "COMPACT_FROM", 0.0)
        case = make_case(frozenset(["accuracy"]), rows=7, classes=21, width=16, dtype=torch.float32)
        case.target[:ignored] = IGNORE
        options = Options(**case.options)
        terms, need = terms_of_case(case, options), {"need_input": True, "need_weight": True, "need_bias": False}
        x, w, _ = leaves(case)
        rows, _, _, correct, _ = reference_rows(case, x, w, None)
        upstream = torch.linspace(-1, 2, 7)
        for kind in ("forward", "backward"):
            if kind == "forward":
                got = cuda.forward(case.input, case.weight, None, terms, options, path=path, **need)
                assert relative_error(got.loss_rows, rows.detach()) < ROUNDED
                assert torch.equal(got.correct, correct)
                given, into = (got.grad_input, got.grad_weight), torch.ones(7)
            else:
                given = cuda.backward(
                    case.input, case.weight, None, terms, options, got.row_sums, upstream, None, None, path=path, **need
                )
                into = upstream
            wanted = torch.autograd.grad(rows, (x, w), into.double(), retain_graph=True)
            for one, other in zip(given, wanted, strict=False):
                assert relative_error(one, other) < ROUNDED
        assert seen == [(7 - ignored, 16)] * 2

    def test_rows_whose_log_sum_exp_is_asked_for_count(
        seen: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cuda, "COMPACT_FROM", 0.0)
        case = make_case(frozenset(["lse", "ignored"]), rows=7, classes=21, width=16, dtype=torch.float32)
        options = Options(**case.options)
        got = cuda.forward(case.input, case.weight, None, terms_of_case(case, options), options, path="sweep",
                           need_input=False, need_weight=False, need_bias=False)  # fmt: skip
        assert seen == [(7, 16)]
        lse = torch.logsumexp(case.input.double() @ case.weight.double().T, dim=1)
        assert relative_error(got.lse, lse) < ROUNDED

    def test_few_ignored_rows_are_not_gathered(seen: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cuda, "COMPACT_FROM", 0.0)
        case = make_case(frozenset(), rows=32, classes=21, width=16, dtype=torch.float32)
        case.target[5] = IGNORE
        options = Options(**case.options)
        cuda.forward(case.input, case.weight, None, terms_of_case(case, options), options, path="sweep",
                     need_input=True, need_weight=True, need_bias=False)  # fmt: skip
        assert seen == [(32, 16)]

    @pytest.mark.parametrize("path", PATHS)
    def test_small_calls_do_not_wait_for_the_device(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def waits(*_: object, **__: object) -> None:
            raise AssertionError("the rows that count were counted")

        monkeypatch.setattr(cuda, "kept_rows", waits)
        case = make_case(frozenset(["ignored"]), rows=7, classes=21, width=16, dtype=torch.float32)
        options = Options(**case.options)
        cuda.forward(case.input, case.weight, None, terms_of_case(case, options), options, path=path,
                     need_input=True, need_weight=True, need_bias=False)  # fmt: skip

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(("width", "taken"), [(24, {"sweep": 32, "exponential": 32, "flash": 32}), (13, None)])
    def test_ragged_widths_are_padded(
        path: str, width: int, taken: dict[str, int] | None, seen: list[tuple[int, int]]
    ) -> None:
        case = make_case(frozenset(["bias"]), rows=5, classes=21, width=width, dtype=torch.float32)
        options = Options(**case.options)
        x, w, b = leaves(case)
        rows = reference_rows(case, x, w, b)[0]
        wanted = torch.autograd.grad(rows.sum(), (x, w, b))
        got = cuda.forward(case.input, case.weight, case.bias, terms_of_case(case, options), options, path=path,
                           need_input=True, need_weight=True, need_bias=True)  # fmt: skip
        for one, other in zip((got.grad_input, got.grad_weight, got.grad_bias), wanted, strict=True):
            assert one.is_contiguous()
            assert relative_error(one, other) < ROUNDED
        assert seen == [(5, 16 if taken is None else taken.get(path, width))]

    @pytest.mark.parametrize("path", PATHS)
    def test_gradients_that_cancel_but_at_the_target(path: str) -> None:
        """loss - lse = -z_y: no softmax term is left, and the weight's gradient is -x_i at the targets alone."""
        case = make_case(frozenset(["lse"]), rows=6, classes=21, width=16, dtype=torch.float32)
        options = Options(**case.options)
        terms, need = terms_of_case(case, options), {"need_input": True, "need_weight": True, "need_bias": False}
        lse = torch.logsumexp(case.input.double() @ case.weight.double().T, dim=1).float()
        ones = torch.ones(6)
        grad_input, grad_weight, _ = cuda.backward(
            case.input, case.weight, None, terms, options, lse, ones, -ones, None, path=path, **need
        )
        assert relative_error(grad_input, -case.weight[case.target].double()) < ROUNDED
        wanted = torch.zeros(21, 16, dtype=torch.float64).index_add_(0, case.target, -case.input.double())
        assert relative_error(grad_weight, wanted) < ROUNDED

    @pytest.mark.parametrize(("switches", "once", "dtype"), [
        (frozenset(), True, torch.float16), (frozenset(), False, torch.float32), ({"smoothing"}, True, torch.float32),
    ])  # fmt: skip
    def test_one_block_without_smoothing_writes_the_weight_gradient_itself(
        switches: frozenset[str], once: bool, dtype: torch.dtype
    ) -> None:
        case = make_case(frozenset(switches), rows=8, classes=21, width=16, dtype=torch.float16)
        options = Options(**case.options)
        terms = terms_of_case(case, options)
        gradient = cuda.forward_gradient(terms, torch.float32)
        task = Task(case.input, case.weight, None, terms, options, gradient, True, True, False)
        assert cuda_exponential._WeightSums(task, once=once).dtype == dtype
