"""What may come of a call that is given bad values: ``verdict`` judges what it did.

It raised ValueError or TypeError, in one short line written by us, or it returned and had every right to: the value is
of a kind that the argument's annotation names, holds no NaN, has a shape that fits, and neither does the result hold
NaN.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import signal
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
import torch

import fiedler.kernels
import fiedler.theory
from bad_values import SKIP, spoil

SECONDS = 5.0  # of processor time a call may take: sizes are small, and what is too large is refused before any work
LINE = 500  # characters of a message
OURS = tuple(str(Path(str(package.__file__)).parent) for package in (fiedler.theory, fiedler.kernels))


class Hang(BaseException):
    """The call ran out of time. No Exception, so that nothing in between takes it for an error of its own."""


@dataclass(frozen=True)
class Call:
    """A public function with one small valid call.

    ``arguments``: makes them afresh. ``failures``: what a computation on good input is documented to raise besides.
    ``nan_in``: arguments that may hold NaN or infinity. ``nan_out``: whether the result may hold NaN. ``loose``: labels
    of bad values an argument may accept although they change its shape or sign; "*" for all. ``kinds``: what an
    argument may be besides what its annotation says.
    """

    function: Callable[..., Any]
    arguments: Callable[[], dict[str, Any]]
    failures: tuple[type[Exception], ...] = ()
    nan_in: frozenset[str] = frozenset()
    nan_out: bool = False
    loose: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


def non_finite(value: Any, depth: int = 0) -> bool:
    """Whether it holds NaN or infinity."""
    if isinstance(value, (float, np.floating)):
        return not math.isfinite(value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc" and not bool(np.isfinite(value).all())
    if sp.issparse(value):
        return non_finite(value.data)
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and value.device.type == "cpu" and not bool(value.to_dense().isfinite().all())
    if isinstance(value, (list, tuple)) and depth < 4:
        return any(non_finite(part, depth + 1) for part in value)
    return False


def holds_nan(value: Any, depth: int = 0) -> bool:
    """Whether a result holds NaN anywhere."""
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc" and bool(np.isnan(value).any())
    if sp.issparse(value):
        return holds_nan(value.data)
    if isinstance(value, torch.Tensor):
        dense = value.is_floating_point() and value.device.type == "cpu" and value.layout == torch.strided
        return dense and bool(value.isnan().any())
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and depth < 4:
        return any(holds_nan(getattr(value, part.name), depth + 1) for part in dataclasses.fields(value))
    if isinstance(value, (list, tuple)) and depth < 4:
        return any(holds_nan(part, depth + 1) for part in value)
    return False


def kind_of(value: Any) -> str:
    """What a value is, in the words of ``ALLOWED``."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if value is None:
        return "none"
    if isinstance(value, (bool, np.bool_)):
        return "flag"
    if isinstance(value, (int, np.integer)):
        return "whole"
    if isinstance(value, (float, np.floating, Fraction)):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, np.ma.MaskedArray):
        return "masked"
    if isinstance(value, np.ndarray):
        return {"f": "array", "i": "array", "u": "array", "b": "flags"}.get(value.dtype.kind, "other array")
    if isinstance(value, (list, tuple)):
        try:
            return {"f": "list", "i": "list"}.get(np.asarray(value).dtype.kind, "other list")
        except ValueError:
            return "other list"
    if sp.issparse(value):
        return "sparse"
    if isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, nx.Graph):
        return "networkx"
    if isinstance(value, Path):
        return "path"
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        return "function"
    return type(value).__name__


# Words of annotations, and the kinds of values they let in.
ALLOWED = {
    "bool": {"flag"},
    "int": {"whole"},
    "float": {"whole", "number"},
    "str": {"text"},
    "Side": {"text"},
    "Truncation": {"text"},
    "Dangling": {"text"},
    "None": {"none"},
    "Array": {"array", "list", "tensor"},
    "ArrayLike": {"array", "list", "tensor"},
    "NDArray": {"array", "list", "tensor"},
    "sparray": {"sparse"},
    "csr_array": {"sparse"},
    "Callable": {"function", "type"},
    "PathLike": {"path"},
    "Sequence": {"list", "other list"},
    "tuple": {"list", "other list"},
    "Tensor": {"tensor"},
}


def allowed(call: Call) -> dict[str, set[str]]:
    """The kinds that each argument may be."""
    annotations = {name: str(p.annotation) for name, p in inspect.signature(call.function).parameters.items()}
    found = {}
    for name in call.arguments():
        words = re.findall(r"\w+", annotations.get(name, "") + " " + call.kinds.get(name, ""))
        found[name] = {kind for word in words for kind in ALLOWED.get(word, {word})}
    return found


# What no argument takes, unless the registry says so: a shape that does not fit, a negative number, one that no float
# holds.
def refused(label: str) -> bool:
    return label.startswith("shape") or label in ("-1", "-0.5", "-10^12", "10^400", "10^5000", "cube", "empty list")


def verdict(call: Call, labels: dict[str, str]) -> str | None:
    """Make the call with the arguments of ``labels`` spoilt; what is wrong with what it did, or None."""
    arguments = call.arguments()
    for name, label in labels.items():
        value = spoil(label, arguments[name])
        if value is SKIP:
            return None
        arguments[name] = value
    bad = {name: arguments[name] for name in labels}
    try:
        with strict_warnings(), time_limit():
            result = call.function(**arguments)
            if isinstance(result, types.GeneratorType):
                result = list(result)
    except Hang:
        return f"took longer than {SECONDS:g} s"
    except Exception as error:
        return _error(call, bad, error)
    return _result(call, labels, bad, result)


def _error(call: Call, bad: dict[str, Any], error: Exception) -> str | None:
    message = str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    told = f"{type(error).__name__}({message[:200]!r}) from {where.filename}:{where.lineno}"
    if type(error) in call.failures:
        return None
    if type(error) not in (ValueError, TypeError):
        return f"raised {told}"
    if not message or "\n" in message or len(message) >= LINE:
        return f"raised a message that is not one short line: {told}"
    if any(callable(value) for value in bad.values()):
        return None  # a function of the user's may raise what it likes
    if not (where.filename.startswith(OURS) and (where.line or "").startswith("raise")):
        return f"left the refusal to others: {told}"
    return None


def _result(call: Call, labels: dict[str, str], bad: dict[str, Any], result: Any) -> str | None:
    kinds = allowed(call)
    for name, value in bad.items():
        if kind_of(value) not in kinds[name]:
            return f"took {kind_of(value)} for {name}, which may be {', '.join(sorted(kinds[name]))}"
        if non_finite(value) and name not in call.nan_in:
            return f"took NaN or infinity in {name}"
        loose = call.loose.get(name, "")
        alike = len([label for label in labels.values() if label.startswith("shape")]) > 1  # they may fit each other
        if not alike and refused(labels[name]) and loose != "*" and labels[name] not in loose.split("; "):
            return f"took {labels[name]!r} for {name}"
    if holds_nan(result) and not call.nan_out:
        return "returned NaN"
    return None


@contextmanager
def strict_warnings() -> Iterator[None]:
    """Arithmetic that went wrong, and parts of numbers that were dropped, are errors."""
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of features in beta
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        warnings.filterwarnings("error", message="Casting complex")  # torch's
        try:
            yield
        finally:
            torch.set_warn_always(always)


class time_limit:
    """Hang after SECONDS of processor time: a machine busy with other things changes nothing."""

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGPROF, self.stop)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self.before)

    def stop(self, *_: object) -> None:
        raise Hang
