"""An output head that computes the loss of the model it belongs to, inside its own call: hooks that gather its weight
before the call, and reduce its gradient after it, see nothing new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..linear.cross_entropy import linear_cross_entropy
from .classes import Adopted


class Terms(NamedTuple):
    """What does not change from call to call: scale and cap of the logits, and options of the loss in training."""

    scale: float = 1.0
    logit_softcap: float | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    path: str = "auto"
    chunk_rows: int | None = None
    vocab_parallel: bool = False


@dataclass
class Request:
    """One call of the model: what its loss is made of, and the loss once the head has computed it.

    ``keep``: positions whose logits are wanted: the last so many, a tensor of indices, or None for all.
    """

    name: str
    training: bool
    labels: Tensor
    shift_labels: Tensor | None = None
    num_items_in_batch: Any = None
    ignore_index: int = -100
    keep: int | Tensor | None = 0
    loss: Tensor | None = None
    taken: bool = False

    def answer(self, logits: Any = None, labels: Tensor | None = None, vocab_size: Any = None, **given: Any) -> Tensor:
        """What the model gets from its loss function. Raises ValueError where its loss would not be the head's."""
        if self.loss is None:
            raise ValueError(f"{self.name} asked for its loss before it called its head; unpatch it")
        same = (
            _same(labels, self.labels)
            and _same(given.get("shift_labels"), self.shift_labels)
            and _same(given.get("num_items_in_batch"), self.num_items_in_batch)
            and given.get("ignore_index", -100) == self.ignore_index
        )
        if not same:
            raise ValueError(f"{self.name} changes labels or number of items before its loss; unpatch it")
        self.taken = True
        return self.loss


class AdoptedCall(Adopted, torch.nn.Module):
    """What a model's own forward calls for its logits: the head, or what adapters have put around it."""

    pending: Request | None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Logits; with a request pending those it keeps, and the loss is left in it. Loss and logits are both outputs
        of the call that hooks see: a hook on outputs fetches the weight for backward, too."""
        pending = getattr(self, "pending", None)
        if pending is None:
            return super().__call__(*args, **kwargs)
        if pending.loss is not None:
            raise ValueError(f"{pending.name} calls its head more than once for a loss; unpatch it")
        pending.loss, logits = super().__call__(*args, request=pending, **kwargs)
        return logits


class AdoptedWrapper(AdoptedCall):
    """Comes before the class of a wrapper that hands its call, keywords too, on to one of several heads."""


class AdoptedHead(AdoptedCall):
    """Comes before ``torch.nn.Linear`` in the class of a patched model's head."""

    weight: Tensor
    bias: Tensor | None
    terms: Terms

    def forward(self, input: Tensor, request: Request | None = None) -> Any:
        """The linear layer of ``input`` (..., D); for a request the loss, and logits of the positions it keeps."""
        if request is None:
            return torch.nn.functional.linear(input, self.weight, self.bias)
        if hasattr(input, "placements"):  # the style's hook on the output takes one tensor, not loss and logits
            raise TypeError(
                f"a style of parallelize_module splits the head of {request.name}; leave the head out of the plan and "
                "make its weight a DTensor by distribute_tensor"
            )
        return self._loss(input, request), self._kept(input, request.keep)

    def _loss(self, input: Tensor, request: Request) -> Tensor:
        terms = self.terms
        if request.shift_labels is None:  # padded rather than sliced: the hidden states are not copied
            labels = torch.nn.functional.pad(request.labels, (0, 1), value=request.ignore_index)[..., 1:]
        else:
            labels = request.shift_labels
        options: dict[str, Any] = {
            "path": terms.path,
            "chunk_rows": terms.chunk_rows,
            "vocab_parallel": terms.vocab_parallel,
        }
        if request.training:
            options |= {"label_smoothing": terms.label_smoothing, "z_loss": terms.z_loss}
        items = request.num_items_in_batch
        loss: Any = linear_cross_entropy(
            input * terms.scale if terms.scale != 1.0 else input,
            self.weight,
            labels.to(input.device),
            bias=self.bias,
            ignore_index=request.ignore_index,
            reduction="mean" if items is None else "sum",
            logit_softcap=terms.logit_softcap,
            **options,
        )
        if items is None:
            return loss
        return loss / (items.to(loss.device) if isinstance(items, Tensor) else items)

    def _kept(self, input: Tensor, keep: int | Tensor | None) -> Tensor:
        """Logits before scale and cap, which the model applies itself; (..., 0, V) where none is kept."""
        if isinstance(keep, int):
            if keep == 0:
                return input.new_empty((*input.shape[:-2], 0, self.weight.shape[0]))
            input = input[..., -keep:, :]
        elif keep is not None:
            input = input[..., keep, :]
        return torch.nn.functional.linear(input, self.weight, self.bias)

    # ``output_head`` knows by this that without a request the head does what the linear layer does.
    forward.__wrapped__ = torch.nn.Linear.forward  # type: ignore[attr-defined]


def _same(one: Any, other: Any) -> bool:
    """The same number or tensor, or the same on another device: models move labels to the device of their logits."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return one is other or not (isinstance(one, Tensor) or isinstance(other, Tensor) or one != other)
    return one is other or (one.device != other.device and one.shape == other.shape)
