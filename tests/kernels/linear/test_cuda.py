"""Every GPU path of linear cross-entropy, kernels and all, in Triton's interpreter against the float64 formula."""

from __future__ import annotations

import pytest
import torch

from interpreted import INTERPRETED, run_interpreted
from linear_cases import Case, leaves, make_case, option_pairs, reference_rows, relative_error

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels.linear import cuda as linear_triton
    from fiedler.kernels.linear.options import Options
    from fiedler.kernels.linear.row_terms import row_terms

    # fp32 rounding of sums of about 40 terms, and of fp16 operands and results.
    TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3}
    PATHS = ("chunked", "sweep", "recompute", "exponential", "flash")
    SHAPE = {"rows": 6, "classes": 37, "width": 20}

    def serves(path: str, case: Case) -> bool:
        both = "logit_softcap" in case.options and case.options.get("label_smoothing", 0) > 0
        if path in ("sweep", "exponential") and case.input.dtype == torch.float16:
            return False
        return not (both and path in ("sweep", "exponential", "flash"))

    def check(case: Case, path: str, *, chunk_rows: int | None = 4, tolerance: float | None = None) -> None:
        """forward with its gradients, then backward with upstream gradients into everything that is returned."""
        tolerance = TOLERANCE[case.input.dtype] if tolerance is None else tolerance
        options = Options(**case.options)
        terms = row_terms(
            case.target, options, classes=case.weight.shape[0], dtype=torch.float32, class_weight=case.class_weight,
            token_weight=case.token_weight,
        )  # fmt: skip
        need = {"need_input": True, "need_weight": True, "need_bias": case.bias is not None}
        x, w, b = leaves(case)
        rows, lse, entropy, correct, divisor = reference_rows(case, x, w, b)
        total = rows.sum() / divisor if options.reduction == "mean" else rows.sum()
        wanted = torch.autograd.grad(total, [t for t in (x, w, b) if t is not None], retain_graph=True)
        got = linear_triton.forward(
            case.input, case.weight, case.bias, terms, options, path=path, chunk_rows=chunk_rows, **need
        )
        assert relative_error(got.loss_rows, rows.detach()) < tolerance
        if options.return_lse:
            assert relative_error(got.lse, lse.detach()) < tolerance
        if options.return_entropy:
            assert relative_error(got.entropy, entropy.detach()) < tolerance
        if options.return_accuracy:
            assert torch.equal(got.correct, correct)
        given = [got.grad_input, got.grad_weight, *([got.grad_bias] if b is not None else [])]
        for one, other in zip(given, wanted, strict=True):
            assert one.dtype == case.input.dtype
            assert relative_error(one, other) < tolerance
        silent = linear_triton.forward(
            case.input, case.weight, case.bias, terms, options, path=path, chunk_rows=chunk_rows, need_input=False,
            need_weight=False, need_bias=False,
        )  # fmt: skip
        assert relative_error(silent.loss_rows, rows.detach()) < tolerance
        assert silent.grad_input is None
        assert silent.grad_weight is None
        generator = torch.Generator().manual_seed(1)
        upstream = [torch.randn(rows.shape, generator=generator) for _ in range(3)]
        if not options.return_lse:
            upstream[1] = None
        if not options.return_entropy:
            upstream[2] = None
        outputs = [(o, u) for o, u in zip((rows, lse, entropy), upstream, strict=True) if u is not None]
        wanted = torch.autograd.grad(
            [o for o, _ in outputs], [t for t in (x, w, b) if t is not None], [u.double() for _, u in outputs]
        )
        given = linear_triton.backward(
            case.input, case.weight, case.bias, terms, options, got.row_sums, *upstream, path=path,
            chunk_rows=chunk_rows, **need,
        )  # fmt: skip
        for one, other in zip(given, wanted, strict=False):
            assert relative_error(one, other) < tolerance

    @pytest.mark.parametrize("path", PATHS)
    def test_every_pair_of_options(path: str) -> None:
        for switches in option_pairs():
            case = make_case(switches, dtype=torch.float32, seed=len(switches), **SHAPE)
            if serves(path, case):
                try:
                    check(case, path)
                except AssertionError as error:
                    raise AssertionError(f"{path} with {sorted(switches)}") from error
            else:
                with pytest.raises(ValueError, match="label_smoothing"):
                    check(case, path)
