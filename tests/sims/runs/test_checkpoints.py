"""Checkpoints: what is written comes back, the newest two are kept, a damaged one is named and passed over."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.disk.files import Damage
from fiedler.sims.runs.checkpoints import (
    Checkpoint,
    Needs,
    clear_checkpoints,
    read_checkpoint,
    usable_steps,
    write_checkpoint,
)

ARRAYS = {
    "float64": np.linspace(0, 1, 5),
    "float32": np.eye(3, dtype=np.float32)[:, ::-1],
    "int": np.array(7),
    "bytes": np.frombuffer(b"abc", dtype=np.uint8),
    "nothing": np.zeros((0, 4)),
    "flags": np.array([True, False]),
    "special": np.array([np.nan, np.inf, -0.0]),
}
TEXTS = {"config": '{"graph": "Zürich"}', "other": ""}


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "c", Checkpoint(12, ARRAYS, TEXTS))
    assert path.name.startswith("step-000000012.")
    back = read_checkpoint(tmp_path / "c", 12)
    assert back is not None
    assert back.step == 12
    assert back.texts == TEXTS
    assert sorted(back.arrays) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back.arrays[name], array, strict=True)
    assert np.signbit(back.arrays["special"][2])
    size = path.stat().st_size
    content = sum(array.nbytes for array in ARRAYS.values()) + sum(map(len, TEXTS.values()))
    assert size - 4096 < content <= size  # a header of some kilobytes beside them


def test_equal_states_are_equal_files(tmp_path: Path) -> None:
    names = [write_checkpoint(tmp_path / str(i), Checkpoint(3, ARRAYS, TEXTS)).name for i in range(3)]
    assert len(set(names)) == 1
    assert write_checkpoint(tmp_path / "o", Checkpoint(3, {**ARRAYS, "int": np.array(8)}, TEXTS)).name != names[0]


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 5, 900_000_000_000, 3):
        write_checkpoint(tmp_path, Checkpoint(step, ARRAYS))
        if step == 900_000_000_000:
            assert usable_steps(tmp_path) == [step, 5]
    # Back at an earlier step, later files are of a course that was given up.
    assert usable_steps(tmp_path) == [3]
    assert read_checkpoint(tmp_path, 5) is None


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "renamed"])
def test_a_damaged_one_is_named_and_passed_over(tmp_path: Path, damage: str) -> None:
    write_checkpoint(tmp_path, Checkpoint(1, ARRAYS))
    path = write_checkpoint(tmp_path, Checkpoint(2, ARRAYS))
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[:-1])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "emptied":
        path.write_bytes(b"")
    else:
        path = path.rename(path.with_name(path.name.replace("step-000000002", "step-000000009").replace(".a", ".b")))
        path.write_bytes(data[:-4])
    with pytest.warns(Damage, match=f"{path.name} is damaged") as warned:
        assert usable_steps(tmp_path) == [1]
    assert len(warned) == 1
    assert read_checkpoint(tmp_path, 2) is None
    write_checkpoint(tmp_path, Checkpoint(2, ARRAYS))
    assert usable_steps(tmp_path) == [2, 1]
    assert len(os.listdir(tmp_path)) == 2


def test_what_a_killed_write_left_goes_with_the_next(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, Checkpoint(1, ARRAYS))
    (tmp_path / ".step-000000002.0.safetensors.deadbeef.tmp").write_text("half")
    (tmp_path / "notes.txt").write_text("mine")
    assert usable_steps(tmp_path) == [1]
    write_checkpoint(tmp_path, Checkpoint(2, ARRAYS))
    assert len(os.listdir(tmp_path)) == 3
    clear_checkpoints(tmp_path)
    assert os.listdir(tmp_path) == ["notes.txt"]
    clear_checkpoints(tmp_path / "absent")


def test_clearing_follows_no_link(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "mine", Checkpoint(1, ARRAYS))
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    clear_checkpoints(tmp_path / "link")
    assert usable_steps(tmp_path / "mine") == [1]
    clear_checkpoints(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\0\0\0\0\0\0\0{}      "], ids=["empty", "garbage", "bare"])
def test_one_that_has_its_checksum_and_is_none_is_passed_over(tmp_path: Path, content: bytes) -> None:
    write_checkpoint(tmp_path, Checkpoint(1, ARRAYS))
    forged = tmp_path / f"step-000000002.{hashlib.sha256(content).hexdigest()[:32]}.safetensors"
    forged.write_bytes(content)
    with pytest.warns(Damage, match=r"is damaged \(its content is no checkpoint\): an older state"):
        assert usable_steps(tmp_path) == [1]
    assert read_checkpoint(tmp_path, 2) is None


def test_one_that_lacks_what_a_run_needs_is_passed_over(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, Checkpoint(5, ARRAYS, TEXTS))
    fits = Needs(5, {"float64": (5,), "int": None}, ("config",))
    assert usable_steps(tmp_path, fits) == [5]
    for needs, why in (
        (replace(fits, last=4), "its step is beyond the last, 4"),
        (replace(fits, shapes={"float64": (6,)}), "its float64 has another shape"),
        (replace(fits, shapes={"weight": None}), "its weight is missing"),
        (replace(fits, texts=("graph",)), "its graph is missing"),
    ):
        with pytest.warns(Damage, match=why):
            assert usable_steps(tmp_path, needs) == []


def test_writing_follows_no_link(tmp_path: Path) -> None:
    """Another run's checkpoints of later steps would be removed there."""
    write_checkpoint(tmp_path / "other", Checkpoint(9, ARRAYS))
    (tmp_path / "checkpoint").symlink_to(tmp_path / "other")
    with pytest.raises(ValueError, match="is a symbolic link"):
        write_checkpoint(tmp_path / "checkpoint", Checkpoint(1, ARRAYS))
    assert usable_steps(tmp_path / "other") == [9]
