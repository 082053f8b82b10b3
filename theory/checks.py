"""Checks at the door of every public function: what a caller passed, made exact or refused in one line that names it.

TypeError for a value of the wrong kind (None, text, a flag where a number is meant, an object array), ValueError for
one out of range. Every check costs at most one pass over its array, so doors can afford them and loops do without.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from math import isfinite
from numbers import Real
from operator import index
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
T = TypeVar("T")

SHOWN = 60  # characters of a value in a message
DENSE_LIMIT = 2000  # nodes: an eigenvalue problem takes seconds there, and grows with the cube
LARGEST_ENTRY = 1e70  # of an array whose fourth powers are summed (energies of Gram matrices): 1e308 is out of reach
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-100, 1e100  # of an edge: degrees and their inverses stay in float64
LARGEST_LOGIT = 1e12  # of a start: a softmax of larger ones is lost to their rounding
LARGEST_COUNT = 2**53  # integers above are not exact in float64
LARGEST_ARRAY = 2**30  # numbers, 8 GiB: more is a mistyped count, and is refused before it is allocated


def shown(value: Any) -> str:
    """``value`` for a message: one short line."""
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"an integer of about {int(value.bit_length() * 0.30103) + 1} digits"  # Python prints no longer ones
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if sp.issparse(value):
        return f"a sparse {type(value).__name__} of shape {value.shape}"
    if isinstance(value, (str, bytes, int, float, complex, type(None), np.generic, np.ndarray)):
        text = " ".join(repr(value[: SHOWN + 1] if isinstance(value, (str, bytes)) else value).split())
        return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
    return f"a value of type {type(value).__name__}"  # the repr of anything else may be as long as it likes


def brief(value: object) -> str:
    """A label or a name as it prints, in one line and not too long."""
    text = " ".join(str(value).split()) if isinstance(value, (str, float, tuple, frozenset)) else shown(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def check_type(value: object, kind: type[T], name: str, remedy: str) -> T:
    """``value`` if it is a ``kind``; TypeError otherwise."""
    if not isinstance(value, kind):
        given = type(value).__name__
        if given == kind.__name__:  # of another package
            given = f"that of {type(value).__module__.partition('.')[0]}"
        raise TypeError(f"{name} must be a {kind.__name__}, not {given}; {remedy}")
    return value


def check_callable(value: object, name: str) -> None:
    """TypeError unless ``value`` can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function; got {shown(value)}")


def check_text(value: object, name: str) -> str:
    """``value`` if it is a string; TypeError otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string; got {shown(value)}")
    return value


def check_choice(value: object, name: str, known: Sequence[str]) -> str:
    """``value`` if it is one of the words ``known``; ValueError naming them otherwise, TypeError for no string."""
    if check_text(value, name) not in known:
        raise ValueError(
            f"unknown {name} {shown(value)}; {did_you_mean(str(value), known)}use one of {', '.join(known)}"
        )
    return str(value)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """ "did you mean ...? " with the nearest of ``known``, empty where none is near."""
    near = get_close_matches(word[:SHOWN].lower(), known, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def check_flag(value: object, name: str) -> bool:
    """``value`` as a bool; TypeError for anything that is merely true or false when asked."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {shown(value)}")
    return bool(value)


def check_real(value: Any, name: str) -> float:
    """A real number as a float, NaN and infinities included; TypeError for anything else, a bool too."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        return float("inf")  # or minus that: neither is finite


def check_number(value: Any, name: str) -> float:
    """A finite real number as a float."""
    number = check_real(value, name)
    if not isfinite(number):
        raise ValueError(f"{name} must be a finite number; got {shown(value)}")
    return number


def check_positive(value: Any, name: str) -> float:
    """A positive finite number as a float."""
    number = check_real(value, name)
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a positive number; got {shown(value)}")
    return number


def check_smoothing(value: Any) -> float:
    """The share ``label_smoothing`` in [0, 1) as a float."""
    number = check_real(value, "label_smoothing")
    if not 0.0 <= number < 1.0:
        raise ValueError(f"label_smoothing must lie in [0, 1); got {shown(value)}")
    return number


def check_whole_number(value: Any, name: str, least: int, most: int = LARGEST_COUNT) -> int:
    """An integer from ``least`` to ``most`` as an int; TypeError for another kind of number, a bool too."""
    try:
        number = None if isinstance(value, (bool, np.bool_)) else index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} must be a whole number; got {shown(value)}")
    if number < least:
        raise ValueError(f"{name} must be at least {least}; got {shown(number)}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}; got {shown(number)}")
    return number


def check_room(numbers: float, what: str) -> None:
    """ValueError for an array of more than LARGEST_ARRAY numbers."""
    if numbers > LARGEST_ARRAY:
        raise ValueError(f"{what} would hold {numbers:.1e} numbers, above the limit of {LARGEST_ARRAY:.1e}; use fewer")


def check_array(value: ArrayLike, name: str, *, largest: float = LARGEST_ENTRY) -> Array:
    """Real numbers as a float64 array of any shape; TypeError for what holds other things, ValueError for NaN, for
    infinity and for entries above ``largest``."""
    array = check_reals(value, name)
    size = max(float(array.max(initial=0.0)), -float(array.min(initial=0.0)))  # both are NaN when an entry is
    if not isfinite(size):
        raise ValueError(f"{name} holds NaN or infinity; use finite numbers")
    if size > largest:
        raise ValueError(f"{name} holds {size:.1e}, above {largest:.0e}: its products overflow; scale it down")
    return array


def check_reals(value: ArrayLike, name: str, *, kinds: str = "iuf") -> Array:
    """As ``check_array``, with NaN and infinities left in. ``kinds``: NumPy's letters of the dtypes taken; "b" for
    matrices of zeros and ones, elsewhere True is no number."""
    if sp.issparse(value):
        raise TypeError(f"{name} must be a dense array; got {shown(value)}; use .toarray()")
    if not isinstance(value, (np.ndarray, Sequence, Real)) and not hasattr(value, "__array__"):  # sets, graphs
        raise TypeError(f"{name} must be an array or a list of numbers; got {shown(value)}")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array, for a mask would be lost; use .filled(...) or .data")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged lists; objects that refuse to become arrays (tensors do)
        raise ValueError(f"{name} must be an array of numbers; {shown(value)} does not convert to one") from None
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} must hold real numbers; got {shown(value)}, of dtype {array.dtype}")
    with np.errstate(over="ignore"):  # long doubles; infinity is refused after this
        return array.astype(np.float64, copy=False)


def check_vector(value: ArrayLike, name: str, length: int | None = None) -> Array:
    """Finite numbers (k,), k = ``length`` unless None, as float64."""
    vector = check_array(value, name)
    if vector.ndim != 1 or (length is not None and len(vector) != length):
        wanted = "(k,)" if length is None else f"({length},)"
        raise ValueError(f"{name} must have shape {wanted}; got {vector.shape}")
    return vector


def check_labels(value: ArrayLike, n: int, name: str) -> NDArray[np.int64]:
    """One label from 0 to n - 1 a node, (n,) int64."""
    labels = check_reals(value, name)
    if labels.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label a node; got {labels.shape}")
    if not ((labels >= 0) & (labels < n) & (labels == np.floor(labels))).all():
        raise ValueError(f"{name} must hold whole numbers from 0 to {n - 1}; got {shown(value)}")
    return labels.astype(np.int64)


def check_matrix(
    value: ArrayLike, shape: tuple[int | None, int | None], name: str, *, largest: float = LARGEST_ENTRY
) -> Array:
    """A finite float64 matrix of the given shape (None: any size); ValueError naming it otherwise."""
    array = check_reals(value, name)
    fits = array.ndim == 2 and all(want is None or have == want for have, want in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must be a matrix of shape {wanted}; got {array.shape}")
    return check_array(array, name, largest=largest)


def check_dense(n: int, what: str) -> None:
    """Raises ValueError above DENSE_LIMIT nodes for ``what`` needs the whole matrix."""
    if n > DENSE_LIMIT:
        raise ValueError(f"{what} needs a dense matrix, up to {DENSE_LIMIT} nodes; got {n}: use a smaller graph")
