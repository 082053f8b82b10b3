"""Linear cross-entropy as modules: a loss that holds options only, and an output head that holds the weight as well."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..checks import (
    LARGEST_CLASSES,
    LARGEST_WIDTH,
    check_chunk_rows,
    check_device,
    check_flag,
    check_integer,
    check_optional_tensor,
    shown,
)
from .cross_entropy import DTYPES, LinearCrossEntropyOutput, loss_with_options
from .options import Options, check_path


class LinearCrossEntropyLoss(torch.nn.Module):
    """``linear_cross_entropy`` with its options fixed; ``forward(input, weight, target, bias=None)``.

    Arguments are those of the function, checked here; autocast casts as there. ``class_weight`` becomes a buffer, so it
    follows the module to its device. Raises what the function raises.

    >>> import torch
    >>> from fiedler.kernels import LinearCrossEntropyLoss
    >>> loss = LinearCrossEntropyLoss(label_smoothing=0.1, return_accuracy=True)
    >>> output = loss(torch.eye(3), 4 * torch.eye(3), torch.tensor([0, 1, 0]))  # the last is wrong
    >>> round(output.loss.item(), 4), round(output.accuracy.item(), 4)
    (1.5026, 0.6667)
    """

    class_weight: Tensor | None

    def __init__(
        self,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        logit_softcap: float | None = None,
        z_loss: float = 0.0,
        class_weight: Tensor | None = None,
        return_lse: bool = False,
        return_entropy: bool = False,
        return_accuracy: bool = False,
        path: str = "auto",
        chunk_rows: int | None = None,
        vocab_parallel: bool = False,
    ) -> None:
        super().__init__()
        self.options = Options(
            label_smoothing=label_smoothing,
            logit_softcap=logit_softcap,
            z_loss=z_loss,
            ignore_index=ignore_index,
            reduction=reduction,
            return_lse=return_lse,
            return_entropy=return_entropy,
            return_accuracy=return_accuracy,
        )
        check_path(path)
        check_chunk_rows(chunk_rows)
        check_flag(vocab_parallel, "vocab_parallel")
        weights = check_optional_tensor(class_weight, "class_weight")
        if weights is not None and not (weights.is_floating_point() and weights.dim() == 1):
            raise TypeError(f"class_weight must be floating point, one number a class; got {shown(weights)}")
        self.path, self.chunk_rows, self.vocab_parallel = path, chunk_rows, vocab_parallel
        self.register_buffer("class_weight", class_weight)

    def forward(
        self,
        input: Tensor,
        weight: Tensor,
        target: Tensor,
        bias: Tensor | None = None,
        *,
        token_weight: Tensor | None = None,
    ) -> Tensor | LinearCrossEntropyOutput:
        """The loss of ``linear_cross_entropy`` with these options; raises what it raises."""
        return loss_with_options(
            input,
            weight,
            target,
            self.options,
            bias=bias,
            class_weight=self.class_weight,
            token_weight=token_weight,
            path=self.path,
            chunk_rows=self.chunk_rows,
            vocab_parallel=self.vocab_parallel,
        )

    def extra_repr(self) -> str:
        """The options that differ from the defaults."""
        plain = Options()
        changed = {name: value for name, value in vars(self.options).items() if value != getattr(plain, name)}
        changed |= {"path": self.path} if self.path != "auto" else {}
        changed |= {"vocab_parallel": True} if self.vocab_parallel else {}
        return ", ".join(f"{name}={value!r}" for name, value in changed.items())


class LinearCrossEntropy(torch.nn.Linear):
    """An output head: ``torch.nn.Linear`` (in_features D, out_features V) with its loss.

    ``forward(input)`` gives logits as the linear layer does, without the soft cap; ``forward(input, target)`` gives the
    loss without ever storing them. ``options`` are the keywords of ``LinearCrossEntropyLoss``. The parameters are those
    of the linear layer, so state dicts load both ways (class weights, if given, are one more buffer).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        check_integer(in_features, "in_features", 1, LARGEST_WIDTH)
        check_integer(out_features, "out_features", 1, LARGEST_CLASSES)
        check_flag(bias, "bias")
        check_device(device)
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype in DTYPES):
            raise TypeError(f"dtype must be float32, bfloat16, float16 or float64; got {shown(dtype)}")
        super().__init__(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self.loss = LinearCrossEntropyLoss(**options)

    def forward(  # type: ignore[override]
        self, input: Tensor, target: Tensor | None = None, *, token_weight: Tensor | None = None
    ) -> Tensor | LinearCrossEntropyOutput:
        """Logits (..., V) of ``input`` (..., D), or with ``target`` (...) its loss; raises what the loss raises."""
        if target is None:
            return super().forward(input)
        loss: Tensor | LinearCrossEntropyOutput = self.loss(
            input, self.weight, target, self.bias, token_weight=token_weight
        )
        return loss
