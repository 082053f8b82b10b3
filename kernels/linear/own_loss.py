"""Whether a causal LM's own forward does to hidden states, logits and labels what this package takes it to do.

Its output embedding is made to answer with planted logits, large and small, so that a soft cap, a scale or a further
term of the loss shows whatever the weights are; the tolerance is then that of one rounding, in every dtype.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .dtensors import is_dtensor
from .heads import hidden_states, output_head, text_config
from .wrapped_heads import called_head

# Two roundings of the same number in the model's dtype: the transformation of the logits, and its result.
ROUNDING = 4.0
# Sums of FEW * V terms in float32, in the order of another program.
LOSS_TOLERANCE = 64.0
FEW = 4  # tokens at most: models may have no positions for more than those they are given
LARGEST, RATIO = 1000.0, 8.0  # planted logits: the largest of the first token, and of one token over the next's

# What a check depends on, of each model: asked again where one of it has changed.
_shown: weakref.WeakKeyDictionary[torch.nn.Module, Any] = weakref.WeakKeyDictionary()


def verify_head(model: torch.nn.Module, input_ids: Tensor) -> None:
    """Try the model's own forward on up to four tokens; again once its head, dtype, config or loss has changed.

    Raises ValueError if its head is not called once on the trunk's hidden states, if its logits are not those of
    ``output_head``, or if the loss it gives for labels is not the mean next-token cross-entropy of its logits.
    """
    inner: Any = getattr(model, "_orig_mod", model)  # under torch.compile
    state = _state(inner)
    if _shown.get(inner) == state or input_ids.is_meta or not input_ids.numel():
        return
    tokens = input_ids.detach()[:1, :FEW].long()
    seen = own_answers(inner, tokens)
    check_hidden(inner, seen.hidden, tokens)
    check_logits(inner, seen)
    check_loss(inner, seen)
    _shown[inner] = state


class Seen(NamedTuple):
    """One call of a model: input and planted output of its head, its logits, labels and loss."""

    hidden: Tensor
    planted: Tensor
    logits: Tensor
    labels: Tensor
    loss: Tensor | None


def own_answers(model: Any, tokens: Tensor) -> Seen:
    """The model's own forward in evaluation with planted logits. Raises ValueError if it fails, or calls its head
    more often than once."""
    name, head = type(model).__name__, called_head(model.get_output_embeddings())
    calls: list[tuple[Tensor, Tensor]] = []

    def plant(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        calls.append((inputs[0].detach(), planted_like(output)))
        return calls[-1][1]

    count = tokens.shape[1]
    takes_labels = count > 1 and "labels" in inspect.signature(model.forward).parameters
    labels = (7 * torch.arange(count, device=tokens.device) + 1)[None] % head.weight.shape[0]
    hook = head.register_forward_hook(plant, prepend=True)
    try:
        with _own_forward(model):
            output = model(input_ids=tokens, **({"labels": labels} if takes_labels else {}))
    except Exception as error:
        raise ValueError(
            f"{name} cannot be tried on tokens and labels alone ({type(error).__name__}: {error}); compute its loss "
            "from its own logits, or leave the trial out by verify=False"
        ) from error
    finally:
        hook.remove()
    if len(calls) != 1:
        raise ValueError(f"{name} calls its output embedding {len(calls)} times; compute its loss from its own logits")
    loss = getattr(output, "loss", None)
    if takes_labels and loss is None:
        raise ValueError(f"{name} gives no loss for labels; compute it from its own logits")
    return Seen(*calls[0], whole(output.logits).detach(), labels, None if loss is None else whole(loss))


def planted_like(output: Tensor) -> Tensor:
    """Logits (1, FEW, V) of the head's dtype, device and placement: sines, of 1000, 125, 16 and 2 a token."""
    count, classes = output.shape[-2], output.shape[-1]
    number = torch.arange(1.0, count * classes + 1, dtype=torch.float64).view(1, count, classes)
    sizes = LARGEST / RATIO ** torch.arange(count, dtype=torch.float64)
    z = (torch.sin(number) * sizes[:, None]).to(output.dtype).to(output.device)
    if is_dtensor(output):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(z, output.device_mesh, output.placements)  # type: ignore[attr-defined]
    return z


def check_hidden(model: Any, hidden: Tensor, tokens: Tensor) -> None:
    """ValueError unless the head is called on what the trunk gives."""
    with _own_forward(model):
        trunks = whole(hidden_states(model, tokens))
    hidden = whole(hidden)
    _check_same(model, "the input of its output embedding", hidden, "its hidden states", trunks, hidden.dtype)


def check_logits(model: Any, seen: Seen) -> None:
    """ValueError unless the model scales and caps its logits as ``output_head`` says."""
    head = output_head(model)
    expected = whole(seen.planted).double() * head.scale
    if head.logit_softcap is not None:
        expected = head.logit_softcap * torch.tanh(expected / head.logit_softcap)
    _check_same(model, "its logits", seen.logits, "scaled and capped as its config says", expected, seen.planted.dtype)


def check_loss(model: Any, seen: Seen) -> None:
    """ValueError unless the model's loss is the mean next-token cross-entropy of its logits."""
    if seen.loss is None:  # it takes no labels: there is no other loss that ours could be taken for
        return
    logits, labels = seen.logits[0, :-1].double(), seen.labels[0, 1:].to(seen.logits.device)
    expected = float(torch.nn.functional.cross_entropy(logits, labels))
    loss = seen.loss
    tolerance = LOSS_TOLERANCE * torch.finfo(torch.float32).eps
    if loss.dtype in (torch.float16, torch.bfloat16):
        tolerance = ROUNDING * torch.finfo(loss.dtype).eps
    if not abs(float(loss) - expected) <= tolerance * abs(expected):
        raise ValueError(
            f"the loss of {type(model).__name__} is not the mean next-token cross-entropy of its logits: on a trial "
            f"{float(loss):.6g}, and that is {expected:.6g} (labels it does not shift, or a further term); compute "
            "its loss from its own logits"
        )


def _check_same(model: Any, what: str, found: Tensor, meant: str, expected: Tensor, dtype: torch.dtype) -> None:
    found, expected = found.double(), expected.double().to(found.device)
    apart = (found - expected).abs() if found.shape == expected.shape else torch.tensor(float("inf"))
    # Position by position: a cap changes the large ones, an offset the small ones. NaN is within nothing.
    allowed = ROUNDING * torch.finfo(dtype).eps * expected.abs().amax(-1, keepdim=True)
    if not bool((apart <= allowed).all()):
        raise ValueError(
            f"the logits of {type(model).__name__} are not its hidden states times its output embedding: {what} differ "
            f"from {meant} by {float(apart.max()):.3g}; compute its loss from its own logits"
        )


def _state(model: Any) -> tuple[Any, ...]:
    """What the answers depend on but the weights: changed, they are asked for again."""
    head = called_head(model.get_output_embeddings())
    config = getattr(model, "config", None)
    configs = {id(one): one for one in (config, text_config(model))}
    numbers = tuple(
        (name, value)
        for one in configs.values()
        for name, value in sorted(getattr(one, "__dict__", {}).items())
        if isinstance(value, (bool, int, float, str))
    )
    return (
        id(head),
        head.weight.dtype,
        tuple(head.weight.shape),
        torch.is_autocast_enabled(head.weight.device.type),
        len(head._forward_hooks),
        id(vars(model).get("_loss_function")),
        numbers,
    )


@contextmanager
def evaluation(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation without gradients, and without compiled code, which does not see hooks that came later."""
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for module, state in training.items():
            module.training = state


@contextmanager
def _own_forward(model: Any) -> Iterator[None]:
    """The same of a patched model as if it were not patched."""
    fused = vars(model).pop("fused_logits", None)
    try:
        with evaluation(model):
            yield
    finally:
        if fused is not None:
            model.fused_logits = fused


def whole(tensor: Any) -> Tensor:
    """The tensor, gathered where it is a DTensor."""
    return tensor.full_tensor() if is_dtensor(tensor) else tensor
