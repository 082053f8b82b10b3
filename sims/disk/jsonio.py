"""JSON out and in, strictly: what is written here any JSON reader accepts.

JSON has no NaN and no infinity, so both are written as null; NumPy's numbers and arrays, tuples,
paths and dataclasses are written as the plain values they stand for.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, NoReturn

import numpy as np


def to_json(obj: Any, *, indent: int | None = None) -> str:
    """`obj` as strict JSON in ASCII: one line, or indented by `indent` blanks.

    Accepts None, booleans, integers, floats, strings, mappings, lists and tuples, NumPy scalars
    and arrays (as nested lists), paths (as text), enumerations (as their values) and dataclass
    instances (as objects of their fields). NaN and infinities become null; other floats are
    written by repr, so that they read back exactly. Keys that are not text are written as
    str(key), enumerations again by their values.

    Raises TypeError for a value of any other type, saying where it is, and ValueError for two
    keys of one mapping that are the same text or an object that contains itself.
    """
    try:
        plain = _plain(obj, "")
        return json.dumps(plain, indent=indent, allow_nan=False, ensure_ascii=True)
    except RecursionError:
        raise ValueError("the object contains itself, or is nested too deeply: write a flatter one") from None


def from_json(text: str) -> Any:
    """The value that JSON text stands for.

    Raises ValueError, in one line, for text that is not strict JSON (NaN and Infinity included).
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("not JSON that can be read (nested too deeply): write it again") from None
    except ValueError as error:
        raise ValueError(f"not JSON ({error}): write it again") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} has no place in JSON")


def _plain(obj: Any, where: str) -> Any:
    """`obj` made of None, bool, int, finite float, str, list and dict; `where` locates it."""
    if isinstance(obj, Enum):
        return _plain(obj.value, where)
    if obj is None or isinstance(obj, (bool, np.bool)):
        return None if obj is None else bool(obj)
    if isinstance(obj, (int, np.integer)) and not isinstance(obj, np.timedelta64):
        return int(obj)
    if isinstance(obj, (float, np.floating)):
        number = float(obj)  # also NumPy's long double, whose item() is no Python float
        return number if math.isfinite(number) else None
    if isinstance(obj, str):
        return str(obj)
    if isinstance(obj, PurePath):
        return str(obj)
    if isinstance(obj, np.ndarray):
        return _plain(obj.tolist(), where)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {field.name: _plain(getattr(obj, field.name), f"{where}.{field.name}") for field in _fields(obj)}
    if isinstance(obj, Mapping):
        return _plain_mapping(obj, where)
    if isinstance(obj, (list, tuple)):
        return [_plain(value, f"{where}[{index}]") for index, value in enumerate(obj)]
    raise TypeError(
        f"{type(obj).__name__} at {where or 'the top'} has no JSON form: "
        "give numbers, text, lists, mappings or NumPy arrays"
    )


def _plain_mapping(obj: Mapping[Any, Any], where: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in obj.items():
        name = str(key.value if isinstance(key, Enum) else key)
        if name in plain:
            raise ValueError(f"two keys at {where or 'the top'} are both written {name!r}: rename one")
        plain[name] = _plain(value, f"{where}.{name}")
    return plain


def _fields(obj: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(obj)
