"""Reading embeddings: every format gives back what was saved, and every bad file one clear line."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fiedler.sims.interop.embedding_files import SUFFIXES, read_embedding

TABLE = np.random.default_rng(0).standard_normal((5, 3))
NAMED = [".npz", ".safetensors", ".pt", ".pth", ".bin"]


def save(folder: Path, suffix: str, arrays: dict[str, np.ndarray]) -> Path:
    """The named arrays in one file of this format (.npy: the first alone)."""
    path = folder / f"embedding{suffix}"
    if suffix == ".npy":
        np.save(path, next(iter(arrays.values())))
    elif suffix == ".npz":
        np.savez(path, **arrays)
    else:
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        if suffix == ".safetensors":
            save_file(tensors, path)
        else:
            torch.save(tensors, path)
    return path


def outcome(path: Path) -> tuple[np.ndarray | None, str]:
    try:
        return read_embedding(path), ""
    except ValueError as error:
        return None, str(error)


class Payload:
    """What a malicious pickle does: it would write `marker` when loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch '{self.marker}'",))


# Round trips.


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8"])
def test_every_format_gives_back_the_numbers_saved(tmp_path: Path, suffix: str, dtype: str) -> None:
    saved = (np.abs(TABLE) * 10).astype(dtype)
    read = read_embedding(save(tmp_path, suffix, {"w": saved}))
    assert read.dtype == np.float64
    assert read.flags.c_contiguous
    assert read.flags.writeable
    np.testing.assert_array_equal(read, saved.astype(np.float64))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_bfloat16_is_read_exactly(tmp_path: Path, suffix: str) -> None:
    tensor = torch.tensor(TABLE).to(torch.bfloat16)
    path = tmp_path / f"x{suffix}"
    if suffix == ".pt":
        torch.save(tensor, path)
    else:
        save_file({"first": torch.arange(7), "w": tensor}, path)
    np.testing.assert_array_equal(read_embedding(path), tensor.double().numpy())


def test_layouts_of_memory_do_not_matter(tmp_path: Path) -> None:
    np.save(tmp_path / "fortran.npy", np.asfortranarray(TABLE))
    np.save(tmp_path / "big.npy", TABLE.astype(">f4"))
    torch.save(torch.tensor(TABLE).T, tmp_path / "transposed.pt")
    np.testing.assert_array_equal(read_embedding(tmp_path / "fortran.npy"), TABLE)
    np.testing.assert_array_equal(read_embedding(tmp_path / "big.npy"), TABLE.astype(np.float32))
    np.testing.assert_array_equal(read_embedding(tmp_path / "transposed.pt"), TABLE.T)


def test_a_bare_tensor_a_parameter_and_the_old_format_are_read(tmp_path: Path) -> None:
    torch.save(torch.nn.Parameter(torch.tensor(TABLE)), tmp_path / "a.pt")
    torch.save({"w": torch.tensor(TABLE)}, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(read_embedding(tmp_path / "a.pt"), TABLE)
    np.testing.assert_array_equal(read_embedding(str(tmp_path / "b.pt")), TABLE)


def test_a_checkpoint_of_nested_dicts(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 2))
    torch.save({"epoch": 3, "model": model.state_dict(), "note": "x"}, tmp_path / "c.pt")
    with pytest.raises(ValueError, match=r"2 2-D arrays, 'model\.0\.weight', 'model\.1\.weight': choose .*--key"):
        read_embedding(tmp_path / "c.pt")
    weights = read_embedding(tmp_path / "c.pt", key="model.0.weight")
    np.testing.assert_array_equal(weights, model[0].weight.detach().double().numpy())


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    os.rename(save(tmp_path, ".npy", {"w": TABLE}), tmp_path / "X.NPY")
    np.testing.assert_array_equal(read_embedding(tmp_path / "X.NPY"), TABLE)


# Which array.


@pytest.mark.parametrize("suffix", NAMED)
def test_choosing_among_arrays(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path, suffix, {"bias": np.ones(3), "input": TABLE, "cube": np.ones((2, 2, 2))})
    np.testing.assert_array_equal(read_embedding(path), TABLE)  # the only table
    np.testing.assert_array_equal(read_embedding(path, key="input"), TABLE)
    with pytest.raises(ValueError, match=r"no array 'inputs': did you mean 'input'\? It holds '"):
        read_embedding(path, key="inputs")
    with pytest.raises(ValueError, match=r"no array 'zzz': give --key one of '"):
        read_embedding(path, key="zzz")
    with pytest.raises(ValueError, match=r"array 'bias' has shape \(3,\): an embedding is 2-D"):
        read_embedding(path, key="bias")


@pytest.mark.parametrize("suffix", NAMED)
def test_an_unclear_choice_lists_at_most_eight(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path, suffix, {f"layer{i:02d}": TABLE + i for i in range(11)})
    with pytest.raises(ValueError, match=r"11 2-D arrays, .*'layer00'.* and 3 more: choose one with --key") as caught:
        read_embedding(path)
    assert str(caught.value).count("layer") == 8
    np.testing.assert_array_equal(read_embedding(path, key="layer04"), TABLE + 4)


def test_no_table_and_no_array(tmp_path: Path) -> None:
    path = save(tmp_path, ".npz", {"a": np.ones(3), "b": np.ones((2, 2, 2))})
    with pytest.raises(ValueError, match=r"no 2-D array but 'a' \(3,\), 'b' \(2, 2, 2\)"):
        read_embedding(path)
    torch.save({"epoch": 3}, tmp_path / "n.pt")
    with pytest.raises(ValueError, match="holds no array"):
        read_embedding(tmp_path / "n.pt")


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_a_key_for_an_array_without_a_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, TABLE)
    else:
        torch.save(torch.tensor(TABLE), path)
    with pytest.raises(ValueError, match="without a name, so there is no 'w': leave out --key"):
        read_embedding(path, key="w")


# Refusals.


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["bool", "complex64"])
def test_other_kinds_of_numbers_are_refused(tmp_path: Path, suffix: str, dtype: str) -> None:
    with pytest.raises(ValueError, match=r"has dtype \w+: save it as real numbers"):
        read_embedding(save(tmp_path, suffix, {"w": TABLE.astype(dtype)}))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_eight_bit_floats_are_refused(tmp_path: Path, suffix: str) -> None:
    tensors = {"w": torch.ones(2, 2).to(torch.float8_e4m3fn)}
    path = tmp_path / f"x{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(tensors, path)
    with pytest.raises(ValueError, match=r"has dtype (f8_e4m3|float8_e4m3fn): save it as real"):
        read_embedding(path)


@pytest.mark.parametrize("array", [np.array([["a", "b"]]), np.zeros((2, 2), dtype="M8[s]"), np.zeros((2, 2), "V2")])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_text_dates_and_raw_bytes_are_refused(tmp_path: Path, suffix: str, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"has dtype .*: save it as real numbers"):
        read_embedding(save(tmp_path, suffix, {"w": array}))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2)])
def test_only_tables_are_read(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(.*\): an embedding is 2-D"):
        read_embedding(save(tmp_path, suffix, {"w": np.ones(shape)}))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_tables_are_refused(tmp_path: Path, suffix: str, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="empty, of shape"):
        read_embedding(save(tmp_path, suffix, {"w": np.ones(shape)}))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_entries_that_are_not_finite_are_counted(tmp_path: Path, suffix: str, bad: float) -> None:
    table = TABLE.copy()
    table[2, 1] = table[4, 0] = bad
    with pytest.raises(ValueError, match="has 2 NaN or infinite entries, the first in row 2"):
        read_embedding(save(tmp_path, suffix, {"w": table}))


def test_entries_whose_products_overflow_are_refused(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[3, 2] = -1e70
    np.testing.assert_array_equal(read_embedding(save(tmp_path, ".npy", {"w": table})), table)
    table[3, 2] = -1.1e70
    with pytest.raises(ValueError, match=r"the array has entries as large as 1e\+70, whose products overflow"):
        read_embedding(save(tmp_path, ".npy", {"w": table}))


def test_paths_that_are_no_embedding(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.npy: no such file"):
        read_embedding(tmp_path / "absent.npy")
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        read_embedding(tmp_path / "folder.npy")
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"unknown suffix '\.csv': save it as one of \.npy, .*\.bin"):
        read_embedding(tmp_path / "x.csv")
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ValueError, match="not an ordinary file"):
        read_embedding(tmp_path / "pipe.npy")
    for strange in ("a" * 5000 + ".npy", "a\0b.npy"):
        with pytest.raises(ValueError, match=r"cannot be opened|no such file"):
            read_embedding(tmp_path / strange)


# Malice and damage.


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pickle_is_never_run(tmp_path: Path, suffix: str, protocol: int) -> None:
    marker, path = tmp_path / "ran", tmp_path / f"evil{suffix}"
    path.write_bytes(pickle.dumps(Payload(marker), protocol=protocol))
    with pytest.raises(ValueError, match="evil"):
        read_embedding(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())  # and yet it is live
    assert marker.exists()


@pytest.mark.parametrize("old", [False, True])
def test_a_payload_inside_a_torch_file_is_never_run(tmp_path: Path, old: bool) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.pt"
    content = {"w": torch.tensor(TABLE), "x": Payload(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(ValueError, match=r"more than plain tensors.*safetensors"):
        read_embedding(path, key="w")
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_payload_inside_an_object_array_is_never_run(tmp_path: Path, suffix: str) -> None:
    marker = tmp_path / "ran"
    evil = np.array([[Payload(marker), 1.0]], dtype=object)
    path = save(tmp_path, suffix, {"w": evil, "good": TABLE})
    with pytest.raises(ValueError, match="pickled Python objects, which are never loaded"):
        read_embedding(path, key="w" if suffix == ".npz" else None)
    if suffix == ".npz":  # the other array is still readable
        np.testing.assert_array_equal(read_embedding(path, key="good"), TABLE)
    assert not marker.exists()


def test_a_whole_module_is_refused_with_the_remedy(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"m\.pt: holds more than plain tensors.*safetensors") as caught:
        read_embedding(tmp_path / "m.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "flip"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".pt", "old .pt"])
def test_damaged_files_are_one_clear_error(tmp_path: Path, suffix: str, damage: str) -> None:
    rng = np.random.default_rng(1)
    path = save(tmp_path, suffix.split()[-1], {"w": TABLE, "bias": np.ones(3)})
    if suffix.startswith("old"):
        content = {"w": torch.tensor(TABLE), "bias": torch.ones(3)}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for at in rng.permutation(len(whole))[:250]:
        raw = bytearray(whole[:at]) if damage == "cut" else bytearray(whole)
        if damage == "flip":
            raw[at] ^= 1 << rng.integers(8)
        path.write_bytes(raw)
        read, message = outcome(path)  # any exception but ValueError fails the test
        if read is not None:  # a bit of a number's own bytes can change unnoticed
            assert damage == "flip"
            assert np.isfinite(read).all()
        else:
            assert message.startswith(str(path))
            assert "\n" not in message


def test_a_forged_header_reserves_no_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", TABLE)
    raw = (tmp_path / "x.npy").read_bytes()
    forged = raw.replace(b"(5, 3), }" + b" " * 14, b"(5" + b"0" * 14 + b", 3), }")
    assert len(forged) == len(raw)
    assert forged != raw
    (tmp_path / "x.npy").write_bytes(forged)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("w.npy", forged)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(ValueError, match="promises shape"):
            read_embedding(tmp_path / name)
    (tmp_path / "x.npy").write_bytes(raw.replace(b"(5, 3), } ", b"(-5, 3), }"))
    with pytest.raises(ValueError, match=r"gives the shape \(-5, 3\)"):
        read_embedding(tmp_path / "x.npy")
    header = json.dumps({"w": {"dtype": "F64", "shape": [10**9, 10**9], "data_offsets": [0, 8 * 10**18]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match="cannot be read"):
        read_embedding(tmp_path / "x.safetensors")
    torch.save(torch.zeros(1).expand(10**7, 10**7), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="larger than the numbers stored"):
        read_embedding(tmp_path / "x.pt")


def test_tensors_that_are_not_plain_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "sparse.pt")
    torch.save({"w": torch.empty(3, 3, device="meta")}, tmp_path / "meta.pt")
    for name in ("sparse.pt", "meta.pt"):
        with pytest.raises(ValueError, match="not stored as plain numbers"):
            read_embedding(tmp_path / name)


def test_two_tensors_of_one_joined_name(tmp_path: Path) -> None:
    torch.save({"a.b": torch.ones(2, 2), "a": {"b": torch.zeros(2, 2)}}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"two tensors are both called 'a\.b'"):
        read_embedding(tmp_path / "x.pt")


def test_importing_the_module_does_not_import_torch() -> None:
    code = "import sys, fiedler.sims.interop.embedding_files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
