"""Checks of what callers pass, in one line that names it: TypeError for a wrong kind, ValueError for one out of range.

Only what the host knows is looked at (types, shapes, dtypes, devices): no check waits for a device.
"""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import Any, TypeVarTuple, cast

import torch
from torch import Tensor

SHOWN = 60  # characters of a value in a message
LARGEST_INTEGER = 2**63 - 1  # of a tensor, and of an operator's argument
# Of a width and of a number of classes, from integers alone: beyond, a mistyped number would be allocated.
LARGEST_WIDTH, LARGEST_CLASSES = 2**20, 2**28

Tensors = TypeVarTuple("Tensors")


def shown(value: Any) -> str:
    """``value`` for a message: one short line."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"an integer of about {int(value.bit_length() * 0.30103) + 1} digits"  # Python prints no longer ones
    if isinstance(value, (str, bytes, int, float, complex, type(None), torch.dtype, torch.device)):
        text = " ".join(repr(value[: SHOWN + 1] if isinstance(value, (str, bytes)) else value).split())
        return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
    return f"a value of type {type(value).__name__}"  # the repr of anything else may be as long as it likes


def check_tensor(value: Any, name: str) -> Tensor:
    """``value`` if it is a dense tensor; TypeError otherwise."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor; got {shown(value)}")
    if value.layout is not torch.strided or value.is_quantized:
        what = "a quantised tensor" if value.is_quantized else f"a tensor in layout {value.layout}"
        raise TypeError(f"{name} must be a dense tensor; got {what}; use .to_dense() or .dequantize()")
    return value


def check_optional_tensor(value: Any, name: str) -> Tensor | None:
    """The same, or None."""
    return None if value is None else check_tensor(value, name)


def as_autocast(*tensors: *Tensors) -> tuple[*Tensors]:
    """The tensors as ``torch.nn.functional.linear`` takes them: where autocast is on for a tensor's device, floating
    point tensors in its dtype, but float64 ones as they are. What is no tensor comes back as it is, too."""
    return cast("tuple[*Tensors]", tuple(map(_as_autocast, tensors)))


def _as_autocast(tensor: Any) -> Any:
    if not (isinstance(tensor, Tensor) and tensor.is_floating_point()) or tensor.dtype == torch.float64:
        return tensor
    kind = tensor.device.type  # there is no autocast for some
    enabled = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return tensor.to(torch.get_autocast_dtype(kind)) if enabled else tensor


def check_flag(value: Any, name: str) -> None:
    """TypeError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")


def check_number(value: Any, name: str) -> float:
    """A Python number as a float, NaN and infinities included; TypeError for anything else, a bool too."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a Python number, got {shown(value)} of type {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.inf  # or minus that: neither is finite


def check_integer(value: Any, name: str, least: int, most: int = LARGEST_INTEGER) -> int:
    """A Python integer from ``least`` to ``most``; TypeError for anything else, a bool too, ValueError outside."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {shown(value)} of type {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must lie between {least} and {most}; got {shown(value)}")
    return value


def check_choice(value: Any, name: str, known: tuple[str, ...]) -> None:
    """ValueError unless ``value`` is one of the words ``known``."""
    if not (isinstance(value, str) and value in known):
        hint = did_you_mean(value, known)
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}; got {shown(value)}{hint}")


def did_you_mean(value: Any, known: tuple[str, ...]) -> str:
    """ "; did you mean ...?" with the nearest of ``known``, empty where none is near."""
    near = get_close_matches(value[:SHOWN].lower(), known, n=1) if isinstance(value, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def check_device(value: Any) -> None:
    """TypeError unless ``value`` is a device, its name or None, ValueError for one that this machine does not have."""
    if value is None:
        return
    if not isinstance(value, (str, torch.device)):
        raise TypeError(f"device must be a torch.device or its name; got {shown(value)}")
    try:
        device = torch.device(value)
    except RuntimeError:
        raise ValueError(f"unknown device {shown(value)}; use 'cpu' or 'cuda'") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {shown(value)} needs CUDA, which is not available here; use 'cpu'")


def check_chunk_rows(value: int | None) -> None:
    """TypeError unless ``value`` is an integer or None, ValueError for one below 1."""
    if value is None:
        return
    if isinstance(value, int) and value < 1:
        raise ValueError(f"chunk_rows must be at least 1, or None to choose by shape; got {shown(value)}")
    check_integer(value, "chunk_rows", 1)
