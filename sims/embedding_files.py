"""Reading an embedding somebody else trained, and which of its rows are the graph's nodes.

A file is untrusted: no pickle is ever loaded, and every way a file can be wrong (missing,
truncated, corrupt, a forged header, the wrong kind of numbers) is one ValueError of one line.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class _Stored:
    """One array of a file, described before its numbers are read."""

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], NDArray[Any]]


def read_embedding(path: str | os.PathLike[str], *, key: str | None = None) -> NDArray[np.float64]:
    """The embedding in a file: float64, shape (rows, m), C-contiguous, every entry finite.

    Reads .npy, .npz, .safetensors and PyTorch's .pt, .pth, .bin (a tensor, or nested dicts of
    tensors, whose keys are joined with dots). Where a file holds several arrays `key` names
    one; without it the file's only 2-D array is taken. Real floats (float16 and bfloat16 too) and
    integers are converted, booleans, complex numbers and 8-bit floats refused, and Python objects
    never loaded.

    Raises ValueError, in one line, where there is no such file, its suffix is unknown, it cannot
    be read, the key is absent or the choice unclear, or the array is not a 2-D table of finite
    numbers with at least one row and one column.
    """
    path = Path(path)
    try:
        _check_file(path)
        arrays = _guarded(lambda: _READERS[path.suffix.lower()](path))
        name = _choose(arrays, key)
        stored, called = arrays[name], f"array {name!r}" if name else "the array"
        _check_kind(stored, called)
        loaded = _guarded(lambda: _as_float64(stored.load()))
        _check_finite(loaded, called)
    except ValueError as error:
        raise ValueError(f"{path}: {error}".replace("\n", " ")) from error.__cause__
    return loaded


def node_rows(spec: str | os.PathLike[str], nodes: Sequence[Hashable]) -> NDArray[np.int64]:
    """Which row of an embedding belongs to each node: int64, shape (n,), in the order of `nodes`.

    `spec` is row numbers ("3,5,7"), a half-open slice ("9:24" is 9, ..., 23), or a text file in
    UTF-8 (one called "5" is "./5"). A file has one row number a line, in node order, or two
    columns "node row", in any order, where a node is written as str(node) (blanks inside it are
    kept: "(0, 1) 7"). Blank lines are skipped, and so is everything from a "#" that starts a line
    or follows a blank.

    Raises ValueError where a row is negative, not an integer or given twice, the number of rows
    is not n, or a named node is unknown, repeated or missing.
    """
    text = os.fspath(spec)
    if isinstance(spec, str) and (ends := re.fullmatch(r"\s*([+-]?\d+)\s*:\s*([+-]?\d+)\s*", text)):
        start, stop = (_row_number(end, f"slice {text!r}") for end in ends.groups())
        _check_count(max(stop - start, 0), len(nodes), f"slice {text!r}")  # before it is spelt out
        return np.arange(start, stop, dtype=np.int64)
    if isinstance(spec, str) and re.fullmatch(r"[\s\d,+-]+", text):
        where = f"rows {text!r}"
        rows = [_row_number(word, where) for word in text.split(",")]
    else:
        where = str(spec)
        lines = _text_lines(text)
        named = [len(words.split()) > 1 for _, words in lines]
        if any(named) and not all(named):
            number = lines[named.index(not named[0])][0]
            raise ValueError(
                f"{where}, line {number}: one column and two are mixed: write a row number on every line, "
                "or a node and its row on every line"
            )
        if any(named):
            rows = _rows_by_name(lines, nodes, where)
        else:
            rows = [_row_number(word, f"{where}, line {number}") for number, word in lines]
    _check_count(len(rows), len(nodes), where)
    if repeated := [row for row, times in Counter(rows).items() if times > 1]:
        raise ValueError(f"{where}: row {repeated[0]} is given to two nodes: give every node its own row")
    return np.array(rows, dtype=np.int64)


def select_rows(embedding: NDArray[np.floating], rows: NDArray[np.integer] | None, n: int) -> NDArray[np.float64]:
    """The n nodes' vectors: float64, shape (n, m), a new array.

    `embedding` has shape (R, m); `rows`, shape (n,), names a row for each node, and None means
    that the file's rows are the nodes, which asks for R = n.

    Raises ValueError where `rows` is None and R is not n, where it does not hold n integers, or
    where one of them is not a row of the embedding.
    """
    count = embedding.shape[0]
    if rows is None:
        if count != n:
            raise ValueError(
                f"the file has {count} rows but the graph has {n} nodes: "
                "say with --rows which row is which node (for instance --rows 0:N or a file)"
            )
        return np.array(embedding, dtype=np.float64, order="C")
    chosen = np.asarray(rows)
    if chosen.shape != (n,) or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"rows has shape {chosen.shape} and dtype {chosen.dtype}: give {n} integers, one for each node"
        )
    if n and (int(chosen.max()) >= count or int(chosen.min()) < 0):
        wrong = int(chosen.max()) if int(chosen.max()) >= count else int(chosen.min())
        raise ValueError(f"row {wrong} is not in the file, which has {count} rows: --rows counts from 0 to {count - 1}")
    return np.array(embedding[chosen], dtype=np.float64, order="C")


# What a file holds, by suffix.


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
    from safetensors import safe_open

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
}


# Checks and messages.


class _Refused(ValueError):
    """A refusal that already says what to do, unlike an exception of the library that reads."""


def _guarded(read: Callable[[], T]) -> T:
    """read(), where whatever a damaged file makes a library raise becomes one ValueError."""
    try:
        return read()
    except _Refused:
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
        raise ValueError(f"unknown suffix {path.suffix!r}: save it as one of {', '.join(SUFFIXES)}")


def _choose(arrays: dict[str, _Stored], key: str | None) -> str:
    if not arrays:
        raise ValueError("holds no array: save the embedding as a 2-D array of floats")
    if key is not None:
        if list(arrays) == [""]:
            raise ValueError(f"holds one array without a name, so there is no {key!r}: leave out --key")
        if key not in arrays:
            near = difflib.get_close_matches(key, arrays, n=1)
            hint = f"did you mean {near[0]!r}? It holds" if near else "give --key one of"
            raise ValueError(f"holds no array {key!r}: {hint} {_listed(arrays)}")
        return key
    tables = [name for name, stored in arrays.items() if len(stored.shape) == 2]
    if len(tables) == 1:
        return tables[0]
    if len(arrays) == 1:
        return next(iter(arrays))  # refused next, by its shape
    if tables:
        raise ValueError(f"holds {len(tables)} 2-D arrays, {_listed(tables)}: choose one with --key")
    shapes = [f"{name!r} {stored.shape}" for name, stored in arrays.items()]
    raise ValueError(f"holds no 2-D array but {_listed(shapes, str)}: save the embedding as (rows, dimensions)")


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


def _check_finite(array: NDArray[np.float64], called: str) -> None:
    wrong = ~np.isfinite(array)
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise ValueError(
            f"{called} has {int(wrong.sum())} NaN or infinite entries, the first in row {row}: "
            "use a checkpoint from before training diverged"
        )


def _listed(names: Iterable[Any], show: Callable[[Any], str] = repr) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(show(name) for name in names[:_SHOWN]) + more


def _text_lines(name: str) -> list[tuple[int, str]]:
    """A text file's lines that say something, each with its number."""
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ValueError(
            f"rows {name!r} are no numbers like 3,5,7, no slice like 9:24 and no readable file ({reason}): "
            "give one of these"
        ) from error
    lines = ((number, re.sub(r"(^|\s)#.*", "", line).strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines if line]


def _row_number(word: str, where: str) -> int:
    word = word.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", word):  # 18 digits always fit an int64
        raise ValueError(f"{where}: {word[:40]!r} is not a row number: give integers from 0 on")
    if (row := int(word)) < 0:
        raise ValueError(f"{where}: row {row} is negative: count rows from 0")
    return row


def _check_count(given: int, n: int, where: str) -> None:
    if given != n:
        raise ValueError(f"{where}: {given} rows for a graph of {n} nodes: give exactly {n}, one for each node")


def _rows_by_name(lines: list[tuple[int, str]], nodes: Sequence[Hashable], where: str) -> list[int]:
    index = {str(node): None for node in nodes}
    if len(index) != len(nodes):
        twice = Counter(str(node) for node in nodes).most_common(1)[0][0]
        raise ValueError(
            f"{where}: two nodes are both written {twice!r}: give the rows in node order, one number a line"
        )
    found: dict[str, int] = {}
    for number, line in lines:
        label, word = line.rsplit(maxsplit=1)
        row = _row_number(word, f"{where}, line {number}")
        if label not in index:
            near = difflib.get_close_matches(label, index, n=1) or list(index)[:1]
            hint = f", whose nodes are written like {near[0]!r}" if near else ""
            raise ValueError(f"{where}, line {number}: no node {label!r} in the graph{hint}: correct or drop it")
        if label in found:
            raise ValueError(f"{where}, line {number}: node {label!r} is given a second time: keep one line")
        found[label] = row
    if missing := [label for label in index if label not in found]:
        raise ValueError(f"{where}: no row for {len(missing)} nodes, {_listed(missing)}: add a line for each")
    return [found[str(node)] for node in nodes]
