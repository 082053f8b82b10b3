"""Rows of weight 0, ignored ones above all, kept out of the products: a call on the others, and its results spread out.

A third to a half of the tokens of an instruction-tuning batch is ignored, and every product of a chunk would take them
along. Which rows count is known on the device alone, so that finding out on a card waits for it.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from .row_terms import ForwardResult, RowTerms


def kept_rows(terms: RowTerms, *, most: float = 1.0) -> Tensor | None:
    """Indices (int64) of the rows with a weight, NaN included; None if all have one, or more than ``most`` of them."""
    if terms.uniform:
        return None
    kept = terms.row_weight.nonzero().squeeze(1)
    rows = terms.row_weight.shape[0]
    return None if len(kept) == rows or len(kept) > most * rows else kept


def terms_of(terms: RowTerms, kept: Tensor) -> RowTerms:
    """The terms of the rows ``kept``; what all rows share, the scale among it, stays."""
    return replace(
        terms,
        target=terms.target[kept],
        lse_coefficient=terms.lse_coefficient[kept],
        target_coefficient=terms.target_coefficient[kept],
        row_weight=terms.row_weight[kept],
        gradient=None if terms.gradient is None else terms.gradient[kept],
    )


def spread(values: Tensor, kept: Tensor, rows: int) -> Tensor:
    """(rows, ...) with ``values`` at the rows ``kept`` and 0 elsewhere."""
    return values.new_zeros((rows, *values.shape[1:])).index_copy_(0, kept, values)


def spread_result(found: ForwardResult, kept: Tensor, rows: int) -> ForwardResult:
    """The result of all rows from that of the rows ``kept``: the others have loss, lse and gradient 0."""
    return replace(
        found,
        loss_rows=spread(found.loss_rows, kept, rows),
        lse=spread(found.lse, kept, rows),
        row_sums=None if found.row_sums is None else spread(found.row_sums, kept, rows),
        correct=None if found.correct is None else spread(found.correct, kept, rows),
        grad_input=None if found.grad_input is None else spread(found.grad_input, kept, rows),
    )
