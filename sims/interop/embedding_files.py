"""Reading an embedding somebody else trained; ``interop.node_rows`` says which of its rows are the graph's nodes.

A file is untrusted: no pickle is ever loaded, and every way a file can be wrong (missing,
truncated, corrupt, a forged header, the wrong kind of numbers) is one ValueError of one line.
"""

from __future__ import annotations

import json
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..extras import Lacking, require
from ..suggest import choose, nearest
from .word_vectors import SUFFIXES as WORD_SUFFIXES
from .word_vectors import read_word_vectors

T = TypeVar("T")

SUFFIXES = (".npy", ".npz", ".safetensors", ".pt", ".pth", ".bin")
_READABLE = frozenset(
    ["float16", "bfloat16", "float32", "float64", "float128"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
# safetensors' names for the types accepted here, as NumPy reads their bytes.
_SAFETENSORS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"} | {
    f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)
}
_SHOWN = 8
_LARGEST = 1e70  # the scores hold fourth powers of the entries, which must stay below 1e308


@dataclass(frozen=True)
class _Stored:
    """One array of a file, described before its numbers are read."""

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], NDArray[Any]]


def read_embedding(path: str | os.PathLike[str], *, key: str | None = None) -> NDArray[np.float64]:
    """The embedding in a file: float64, shape (rows, m), C-contiguous, every entry finite.

    Reads .npy, .npz, .safetensors, PyTorch's .pt, .pth, .bin (a tensor, or nested dicts of
    tensors, whose keys are joined with dots) and word2vec's text, .w2v, .vec, .txt (its rows in the
    file's order; `read_named_embedding` has their names). Where a file holds several arrays `key` names
    one; without it the file's only 2-D array is taken. Real floats (float16 and bfloat16 too) and
    integers are converted, booleans, complex numbers and 8-bit floats refused, and Python objects
    never loaded.

    Raises ValueError, in one line, where there is no such file, its suffix is unknown, it cannot
    be read, the key is absent or the choice unclear, or the array is not a 2-D table of finite
    numbers, none above 1e70, with at least one row and one column.

    >>> import tempfile
    >>> import numpy as np
    >>> from fiedler.sims import read_embedding
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/model.npz", vectors=np.eye(3, 2), step=7)
    ...     read_embedding(f"{folder}/model.npz").tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    path = Path(path)
    try:
        _check_file(path)
        arrays = _guarded(lambda: _READERS[path.suffix.lower()](path))
        name = _choose(arrays, key)
        stored, called = arrays[name], f"array {name!r}" if name else "the array"
        _check_kind(stored, called)
        loaded = _guarded(lambda: _as_float64(stored.load()))
        _check_numbers(loaded, called)
    except ValueError as error:
        raise ValueError(f"{path}: {error}".replace("\n", " ")) from error.__cause__
    return loaded


def read_named_embedding(path: str | os.PathLike[str]) -> tuple[tuple[str, ...] | None, NDArray[np.float64]]:
    """The names of the rows of word2vec's text, None of other files, and the embedding; as `read_embedding`."""
    path = Path(path)
    if path.suffix.lower() not in WORD_SUFFIXES:
        return None, read_embedding(path)
    try:
        _check_file(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    names, found = read_word_vectors(path)
    try:
        _check_numbers(found, "the file")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return names, found


# What a file holds, by suffix.


def _read_words(path: Path) -> dict[str, _Stored]:
    try:
        _, found = read_word_vectors(path)
    except ValueError as error:
        raise _Refused(str(error).removeprefix(str(path)).lstrip(", ")) from error
    return {"": _Stored(found.shape, "float64", lambda: found)}


def _read_npy(path: Path) -> dict[str, _Stored]:
    def load() -> NDArray[Any]:
        with path.open("rb") as stream:
            return _npy_array(stream)

    with path.open("rb") as stream:
        shape, dtype = _npy_header(stream)
        left = path.stat().st_size - stream.tell()
    # A forged shape must not reserve memory that the file cannot fill.
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > left:
        raise ValueError(f"its header promises shape {shape} of {dtype}, more than the {left} bytes it holds")
    return {"": _Stored(shape, dtype.name, load)}


def _read_npz(path: Path) -> dict[str, _Stored]:
    def load(member: str) -> NDArray[Any]:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            array = _npy_array(stream)
            if stream.read(1):  # reading to the end also checks the member's checksum
                raise ValueError(f"{member!r} is longer than its header says")
            return array

    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            with archive.open(info) as stream:
                shape, dtype = _npy_header(stream)
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize > info.file_size:
                raise ValueError(f"{info.filename!r} promises shape {shape} of {dtype}, more than it holds")
            name = info.filename.removesuffix(".npy")
            arrays[name] = _Stored(shape, dtype.name, lambda member=info.filename: load(member))  # type: ignore[misc]
    return arrays


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    one = np.lib.format.read_magic(stream) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if any(side < 0 for side in shape):
        raise ValueError(f"its header gives the shape {shape}")
    return shape, dtype


def _npy_array(stream: IO[bytes]) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _read_safetensors(path: Path) -> dict[str, _Stored]:
    safe_open = require("safetensors", "sims").safe_open

    def load(name: str) -> NDArray[Any]:
        # Read here, since safetensors' own NumPy reader has no bfloat16.
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            entry = json.loads(stream.read(length))[name]
            begin, end = entry["data_offsets"]
            stream.seek(8 + length + begin)
            raw = stream.read(end - begin)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
        return np.frombuffer(raw, _SAFETENSORS[entry["dtype"]]).reshape(entry["shape"])

    arrays = {}
    with safe_open(path, framework="np") as file:  # checks the header against the file's length
        for name in file.keys():  # noqa: SIM118 (safe_open is no mapping)
            part = file.get_slice(name)
            code = str(part.get_dtype())
            dtype = "bfloat16" if code == "BF16" else code.lower()
            dtype = np.dtype(_SAFETENSORS[code]).name if code in _SAFETENSORS else dtype
            arrays[name] = _Stored(tuple(part.get_shape()), dtype, lambda name=name: load(name))  # type: ignore[misc]
    return arrays


def _read_torch(path: Path) -> dict[str, _Stored]:
    import pickle

    require("torch", "sims")
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            content = torch.load(path, weights_only=True, map_location="cpu")
        except pickle.UnpicklingError as error:
            raise _Refused(
                "holds more than plain tensors, or is corrupt, and nothing in it was run: "
                "save the tensor alone with safetensors.torch.save_file"
            ) from error

    def load(tensor: torch.Tensor) -> NDArray[Any]:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise _Refused("it is not stored as plain numbers in memory: save it as an ordinary dense tensor")
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise _Refused("it is larger than the numbers stored for it: call .contiguous() and save it again")
        array: NDArray[Any] = tensor.detach().to(torch.float64).numpy()
        return array

    def walk(value: object, name: str) -> Iterable[tuple[str, torch.Tensor]]:
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, dict):
            for inner, part in value.items():
                yield from walk(part, f"{name}.{inner}" if name else str(inner))

    arrays: dict[str, _Stored] = {}
    for name, tensor in walk(content, ""):
        if name in arrays:
            raise _Refused(f"two tensors are both called {name!r}: save the one meant alone")
        dtype = str(tensor.dtype).removeprefix("torch.")
        arrays[name] = _Stored(tuple(tensor.shape), dtype, lambda tensor=tensor: load(tensor))  # type: ignore[misc]
    return arrays


_READERS: dict[str, Callable[[Path], dict[str, _Stored]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".bin": _read_torch,
    **dict.fromkeys(WORD_SUFFIXES, _read_words),
}


# Checks and messages.


class _Refused(ValueError):
    """A refusal that already says what to do, unlike an exception of the library that reads."""


def _guarded(read: Callable[[], T]) -> T:
    """read(), where whatever a damaged file makes a library raise becomes one ValueError."""
    try:
        return read()
    except (_Refused, Lacking):
        raise
    except MemoryError as error:
        raise ValueError("needs more memory than there is, or its header is forged: save fewer rows") from error
    except Exception as error:
        # The library's own first line, without the colours and line breaks it may hold.
        first = re.sub(r"[^ -~]+", " ", str(error).strip().split("\n")[0])[:120].strip()
        kind = type(error).__name__
        reason = first if first and kind == "ValueError" else f"{kind}: {first}" if first else kind
        raise ValueError(
            f"cannot be read ({reason}): it is truncated, corrupt or of another format, so save it again"
        ) from error


def _check_file(path: Path) -> None:
    try:
        found, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise ValueError(f"cannot be opened ({error.strerror}): give another path") from error
    if not found:
        raise ValueError("no such file: check the path")
    if folder:
        raise ValueError("is a folder: name the embedding's file inside it")
    if not path.is_file():
        raise ValueError("is not an ordinary file: copy the embedding to one")
    if path.suffix.lower() not in _READERS:
        raise ValueError(
            f"unknown suffix {path.suffix!r}: {choose(path.suffix, (*SUFFIXES, *WORD_SUFFIXES), 'save it as one of')}"
        )


def _choose(arrays: dict[str, _Stored], key: str | None) -> str:
    if not arrays:
        raise ValueError("holds no array: save the embedding as a 2-D array of floats")
    if key is not None:
        if list(arrays) == [""]:
            raise ValueError(f"holds one array without a name, so there is no {key!r}: leave out --key")
        if key not in arrays:
            near = nearest(key, arrays)
            hint = "give --key one of" if near is None else f"did you mean {near!r}? It holds"
            raise ValueError(f"holds no array {key!r}: {hint} {listed(arrays)}")
        return key
    tables = [name for name, stored in arrays.items() if len(stored.shape) == 2]
    if len(tables) == 1:
        return tables[0]
    if len(arrays) == 1:
        return next(iter(arrays))  # refused next, by its shape
    if tables:
        raise ValueError(f"holds {len(tables)} 2-D arrays, {listed(tables)}: choose one with --key")
    shapes = [f"{name!r} {stored.shape}" for name, stored in arrays.items()]
    raise ValueError(f"holds no 2-D array but {listed(shapes, str)}: save the embedding as (rows, dimensions)")


def _check_kind(stored: _Stored, called: str) -> None:
    if stored.dtype == "object":
        raise ValueError(f"{called} holds pickled Python objects, which are never loaded: save it as float32")
    if stored.dtype not in _READABLE:
        raise ValueError(f"{called} has dtype {stored.dtype}: save it as real numbers, for instance float32")
    if len(stored.shape) != 2:
        raise ValueError(f"{called} has shape {stored.shape}: an embedding is 2-D, (rows, dimensions)")
    if 0 in stored.shape:
        raise ValueError(f"{called} is empty, of shape {stored.shape}: give at least one row and one column")


def _as_float64(array: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # a float128 past float64's range is refused as infinite
        return np.array(array, dtype=np.float64, order="C")


def _check_numbers(array: NDArray[np.float64], called: str) -> None:
    wrong = ~np.isfinite(array)
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise ValueError(
            f"{called} has {int(wrong.sum())} NaN or infinite entries, the first in row {row}: "
            "use a checkpoint from before training diverged"
        )
    largest = float(np.abs(array).max())
    if largest > _LARGEST:
        raise ValueError(f"{called} has entries as large as {largest:.0e}, whose products overflow: scale it down")


def listed(names: Iterable[Any], show: Callable[[Any], str] = repr) -> str:
    """The first few names as messages show them, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(show(name) for name in names[:_SHOWN]) + more
