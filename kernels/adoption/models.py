"""``patch``: a Hugging Face causal LM that trains with the fused loss, its own forward kept.

The model's own forward runs whole, so that arguments, outputs, router losses, caches and checkpointing are its own. In
training two things differ: its head computes the loss in its call and hands empty logits on, and the loss function that
the forward asks for returns that loss. Models are known by their interface; nothing of ``transformers`` is imported.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..checks import check_choice, check_chunk_rows, check_flag
from ..linear.dtensors import PLAIN_TENSORS
from ..linear.heads import output_head, text_config
from ..linear.options import Options, check_path
from ..linear.own_loss import FEW, LOSS_TOLERANCE, ROUNDING, check_logits, check_loss, evaluation, own_answers
from ..linear.wrapped_heads import called_head, check_plain, every_head
from .classes import Adopted, adopt, release
from .head import AdoptedCall, AdoptedHead, AdoptedWrapper, Request, Terms

Model = TypeVar("Model", bound=torch.nn.Module)

WHEN = ("eval", "always", "never")


def patch(
    model: Model,
    *,
    logits: str = "eval",
    verify: bool = True,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    path: str = "auto",
    chunk_rows: int | None = None,
    vocab_parallel: bool = False,
) -> Model:
    """Make ``model(..., labels=labels)`` compute its loss without the logits (B, T, V) in training; returns ``model``.

    The model's own forward runs: the same arguments, output class, router losses and gradients, but the ``logits`` of
    the output are None. ``num_items_in_batch``, ``shift_labels`` and ``ignore_index`` mean what they mean to it; scale
    and soft cap of the logits are those of its config. ``logits_to_keep`` keeps logits of those positions beside the
    loss of all. Without labels, with ``return_dict=False`` and in ``generate`` nothing differs.

    ``logits``: "eval" computes logits and loss as the model itself does in evaluation; "always" gives logits in
    training as well, beside the fused loss; "never" leaves them out in evaluation too. ``label_smoothing`` and
    ``z_loss`` are terms of the loss in training; ``path``, ``chunk_rows`` and ``vocab_parallel`` (a head whose weight
    is a DTensor split by classes) go to ``linear_cross_entropy``.

    Model and head get classes derived from their own, of the same names: parameters, their names, hooks and state dicts
    stay. Patch before wrapping (DDP, ``fully_shard``, ``torch.compile``, Trainer); PEFT may come before or after. A
    second call changes the options; after the head was replaced (a resized vocabulary) call it again. ``unpatch``
    undoes it.

    With ``verify`` logits and loss are compared with the model's own on four tokens, unless its parameters are sharded
    or on the meta device. Raises TypeError or ValueError naming the model for one without a plain linear head or with
    a loss function that is not next-token cross-entropy, for one wrapped already, and where they differ.

    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> import torch, fiedler.kernels
    >>> sizes = dict(vocab_size=50, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    >>> model = fiedler.kernels.patch(LlamaForCausalLM(LlamaConfig(**sizes)).train())
    >>> tokens = torch.tensor([[3, 1, 4, 1, 5]])
    >>> output = model(input_ids=tokens, labels=tokens)
    >>> output.logits is None, 3 < output.loss.item() < 5
    (True, True)
    >>> model.eval()(input_ids=tokens, labels=tokens).logits.shape
    torch.Size([1, 5, 50])
    """
    _check_module(model)
    check_choice(logits, "logits", WHEN)
    check_flag(verify, "verify")
    check_flag(vocab_parallel, "vocab_parallel")
    Options(label_smoothing=label_smoothing, z_loss=z_loss)
    check_path(path)
    check_chunk_rows(chunk_rows)
    options: Any = {"label_smoothing": label_smoothing, "z_loss": z_loss, "path": path, "chunk_rows": chunk_rows}
    options["vocab_parallel"] = vocab_parallel
    _patch(_adapted(model), logits, verify, options)
    return model


def _patch(model: Any, logits: str, verify: bool, options: dict[str, Any]) -> None:
    head, embedding = output_head(model), model.get_output_embeddings()
    layers = every_head(embedding)
    terms = Terms(head.scale, head.logit_softcap)
    adopted = isinstance(model, AdoptedModel) and hasattr(model, "fused_logits") and isinstance(embedding, AdoptedCall)
    if not (adopted and all(map(_has_terms, layers))):
        vars(model).pop("fused_logits", None)  # set where the head was replaced since
        called = called_head(embedding)
        _check_model(model, called)
        before = _own_loss(model, called) if verify and _is_plain(model) else None
        adopt(model, AdoptedModel)
        if embedding is not called:
            adopt(embedding, AdoptedWrapper)
            embedding.pending = None
        for layer in layers:
            adopt(layer, AdoptedHead)
            layer.terms, layer.pending = terms, None
        try:
            if before is not None:
                _compare(model, *before)
        except BaseException:
            unpatch(model)
            raise
    model.fused_logits = logits
    for layer in layers:
        layer.terms, layer.pending = terms._replace(**options), None


def unpatch(model: Model) -> Model:
    """Undo ``patch``; returns ``model``. One that is not patched is left as it is.

    A class that a wrapper derived since (``fully_shard``) stays, and does what the model's own does. Raises TypeError
    for what is no module.
    """
    _check_module(model)
    adapted = _adapted(model)
    if isinstance(adapted, AdoptedModel):
        embedding: torch.nn.Module = adapted.get_output_embeddings()  # type: ignore[operator]
        heads = [one for one in embedding.modules() if isinstance(one, AdoptedCall)]  # in adapters that came since, too
        module: Any
        for module in (adapted, *heads):
            for name in ("fused_logits", "terms", "pending"):
                vars(module).pop(name, None)
            release(module)
    return model


class AdoptedModel(Adopted, torch.nn.Module):
    """Comes before the model's own class in the class of a patched one."""

    fused_logits: str

    @staticmethod
    def members(original: type) -> dict[str, Any]:
        """A forward with the signature of the model's own, which trainers and ``generate`` read, and what it takes for
        the loss function. No ``super()``: ``torch.compile`` does not follow it to a property."""
        own: Callable[..., Any] = original.forward  # type: ignore[attr-defined]
        parameters = inspect.signature(own).parameters.values()
        names = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD][1:]

        @functools.wraps(own)
        def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
            named = dict(zip(names, args, strict=False)) | kwargs
            if len(args) > len(names) or not _is_fused(self, named):
                return own(self, *args, **kwargs)
            return _fused(self, own, named)

        own_loss: property = inspect.getattr_static(original, "loss_function")

        def loss_function(self: Any) -> Any:
            """The model's own, or while a fused call runs what hands over the head's loss."""
            pending = getattr(_asked(self), "pending", None)
            return own_loss.fget(self) if pending is None else pending.answer  # type: ignore[misc]

        def set_loss_function(self: Any, value: Any) -> None:
            if "fused_logits" in vars(self):
                raise ValueError(f"{type(self).__name__} is patched: its head computes the loss; unpatch it first")
            own_loss.__set__(self, value)

        return {"forward": forward, "loss_function": property(loss_function, set_loss_function)}


def _is_fused(model: Any, named: dict[str, Any]) -> bool:
    """Whether this call is for the fused loss."""
    when = getattr(model, "fused_logits", None)
    if when is None or named.get("labels") is None or not (model.training or when == "never"):
        return False
    return_dict = named.get("return_dict")
    default = getattr(getattr(model, "config", None), "return_dict", True)
    return bool(default if return_dict is None else return_dict)


def _fused(model: Any, own: Callable[..., Any], named: dict[str, Any]) -> Any:
    """The model's own forward with the loss of its head."""
    name, head = type(model).__name__, _asked(model)
    _check_head(model, head)
    keep = named.get("logits_to_keep", 0)
    if not isinstance(keep, int) or keep != 0:
        named["logits_to_keep"] = 0  # the loss is of all positions
    elif model.fused_logits == "always":
        keep = None
    request = Request(
        name=name,
        training=model.training,
        labels=named["labels"],
        shift_labels=named.get("shift_labels"),
        num_items_in_batch=named.get("num_items_in_batch"),
        ignore_index=named.get("ignore_index", -100),
        keep=keep,
    )
    head.pending = request
    try:
        output = own(model, **named)
    finally:
        head.pending = None
    if not request.taken:
        raise TypeError(f"{name} does not take its loss from its loss_function; unpatch it")
    if isinstance(keep, int) and keep == 0:
        return type(output)(**{key: value for key, value in output.items() if key != "logits"})
    return output


def _check_module(model: Any) -> None:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}; pass the model itself")


def _adapted(model: Any) -> Any:
    """The causal LM in a model of PEFT, whose forward calls it; otherwise the model itself."""
    find = getattr(model, "get_base_model", None)
    found = find() if callable(find) else None
    return found if isinstance(found, torch.nn.Module) else model


def _asked(model: Any) -> Any:
    """Who gets the request: what the model's forward calls, or behind a wrapper that came since the head."""
    embedding = model.get_output_embeddings()
    return embedding if isinstance(embedding, AdoptedCall) else called_head(embedding)


def _check_head(model: Any, asked: Any) -> None:
    """TypeError for a head that cannot compute the loss, or in a wrapper whose hooks have to see it."""
    name, embedding = type(model).__name__, model.get_output_embeddings()
    head = called_head(embedding)
    if not _has_terms(head):
        check_plain(head, name)
        raise TypeError(f"the output embedding of {name} was replaced since; call patch again, or unpatch it first")
    if asked is not embedding and hasattr(type(embedding), "unshard"):
        raise TypeError(f"fully_shard has hooks around the head of {name}, which adapters wrap; call patch again")


def _has_terms(head: Any) -> bool:
    return isinstance(head, AdoptedHead) and hasattr(head, "terms")


def _check_model(model: torch.nn.Module, layer: torch.nn.Module) -> None:
    name = type(model).__name__
    loss_function = inspect.getattr_static(type(model), "loss_function", None)
    if "labels" not in inspect.signature(model.forward).parameters or not isinstance(loss_function, property):
        raise TypeError(
            f"{name} takes no labels or has no loss_function; patch it before it is wrapped, or use causal_lm_loss"
        )
    for module in (model, layer):
        if "forward" in vars(module):
            raise ValueError(
                f"forward of {type(module).__name__} was replaced (by device_map, tp_plan or an accelerator); patch "
                f"{name} first"
            )
    _check_loss_function(model, layer)


def _check_loss_function(model: Any, layer: Any) -> None:
    """ValueError unless the loss function is the next-token cross-entropy, over a number of items too."""
    classes = layer.weight.shape[0]
    labels = torch.arange(FEW, device="cpu")[None] % classes
    z = torch.sin(torch.arange(1.0, FEW * classes + 1, device="cpu")).view(1, FEW, classes)
    sums = torch.nn.functional.cross_entropy(z[0, :-1], labels[0, 1:], reduction="sum")
    for items, expected in ((None, sums / (FEW - 1)), (2, sums / 2)):
        found = None
        try:
            found = model.loss_function(logits=z, labels=labels, vocab_size=classes, num_items_in_batch=items)
        except Exception as error:
            reason = f"it raised {type(error).__name__}"
        else:
            reason = "it gave another loss"
        if not (isinstance(found, Tensor) and found.shape == () and torch.isclose(found, expected, rtol=1e-4)):
            raise ValueError(
                f"the loss_function of {type(model).__name__} is not next-token cross-entropy ({reason}); the head "
                "cannot compute its loss"
            )


def _is_plain(model: torch.nn.Module) -> bool:
    return all(type(one) in PLAIN_TENSORS and not one.is_meta for one in model.parameters())


def _own_loss(model: Any, layer: Any) -> tuple[Tensor, Tensor, float]:
    """Tokens, the loss that the model itself gives them, and its largest logit; ValueError or TypeError for a model
    that does more to logits and labels than the head will."""
    weight: Tensor = model.get_input_embeddings().weight
    tokens = torch.arange(FEW, device=weight.device)[None] % min(weight.shape[0], layer.weight.shape[0])
    seen = own_answers(model, tokens)
    check_logits(model, seen)
    if not getattr(text_config(model), "output_router_logits", False):  # a further term, which the patched model keeps
        check_loss(model, seen)
    with evaluation(model):
        output = model(input_ids=tokens, labels=tokens)
    return tokens, output.loss, float(output.logits.abs().max())


def _compare(model: Any, tokens: Tensor, expected: Tensor, largest: float) -> None:
    """TypeError or ValueError unless the patched model gives the expected loss, to the rounding of the ``largest`` of
    the logits that the model itself stores."""
    name, model.fused_logits = type(model).__name__, "never"
    try:
        with evaluation(model):
            found = float(model(input_ids=tokens, labels=tokens).loss)
    except Exception as error:
        raise TypeError(
            f"{name} does not take its loss from its loss_function and the logits of its head "
            f"({type(error).__name__}); it cannot be patched, use causal_lm_loss"
        ) from error
    dtype = model.get_output_embeddings().weight.dtype
    unit = max(LOSS_TOLERANCE * torch.finfo(torch.float32).eps, ROUNDING * torch.finfo(dtype).eps)
    allowed = unit * max(1.0, abs(float(expected)), largest)
    if not abs(found - float(expected)) <= allowed:
        raise ValueError(
            f"the loss of {name} is {float(expected):.6g}, patched {found:.6g}, which differ by more than "
            f"{allowed:.3g}; it cannot be patched, use causal_lm_loss"
        )
