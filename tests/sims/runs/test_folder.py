"""The run folder: what is written comes back, nothing half written, nothing of others removed."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from fiedler.sims.disk.files import atomic_write
from fiedler.sims.runs.folder import RunDir

CONFIG = {"graph": "cycle:15", "seed": 3, "rates": (0.1, np.float32(0.5)), "limit": float("inf")}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "runs" / "one", CONFIG)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Making and finding one.


def test_a_new_run_folder(run: RunDir) -> None:
    assert sorted(os.listdir(run.path)) == ["SHA256SUMS", "config.json", "environment.json", "figures"]
    assert run.figures == run.path / "figures"
    assert run.read_config() == {"graph": "cycle:15", "seed": 3, "rates": [0.1, 0.5], "limit": None}
    assert run.read_environment()["versions"]["numpy"] == np.__version__
    assert RunDir.open(run.path) == run
    assert RunDir.open(str(run.path)) == run


def test_a_config_read_from_a_run_makes_the_same_run(run: RunDir, tmp_path: Path) -> None:
    again = RunDir.create(tmp_path / "two", json.loads((run.path / "config.json").read_text()))
    assert (again.path / "config.json").read_bytes() == (run.path / "config.json").read_bytes()


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    assert RunDir.create(tmp_path, {}).read_config() == {}


def test_a_folder_in_use_is_refused(run: RunDir) -> None:
    before = everything(run.path)
    with pytest.raises(ValueError, match=r"runs/one is not empty .*--overwrite or another --out"):
        RunDir.create(run.path, {"seed": 4})
    assert everything(run.path) == before


def test_overwriting_removes_the_run_and_nothing_else(run: RunDir, tmp_path: Path) -> None:
    run.append_metrics({"step": 0})
    run.write_scores({"a": 1})
    run.write_modes(u=np.eye(2))
    run.write_embeddings({"w": np.eye(2)})
    (run.figures / "plot.svg").write_text("x")
    (run.figures / "notes.txt").write_text("mine")
    (run.path / "notes.txt").write_text("mine")
    (run.path / "more").mkdir()
    (run.path / "more" / "scores.json").write_text("mine")
    new = RunDir.create(run.path, {"seed": 4}, overwrite=True)
    kept = ["SHA256SUMS", "config.json", "environment.json", "figures/notes.txt", "more/scores.json", "notes.txt"]
    assert sorted(everything(run.path)) == kept
    assert new.read_config() == {"seed": 4}
    assert new.read_metrics() == []


def test_overwriting_removes_the_page_of_the_old_numbers(run: RunDir) -> None:
    for name in ("report.html", "mine.html"):
        (run.path / name).write_text("old")
    RunDir.create(run.path, {}, overwrite=True)
    assert [path.name for path in run.path.glob("*.html")] == ["mine.html"]


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "x"},
        {"scores.json": "{}"},
        {"config.json": '{"model_type": "gpt2"}', "model.safetensors": "x"},
        {"config.json": "[]"},
        {"config.json": "not json"},
    ],
)
def test_a_folder_of_something_else_is_never_overwritten(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=r"no config\.json of a run.*another --out"):
        RunDir.create(tmp_path, CONFIG, overwrite=True)
    assert everything(tmp_path) == before


def test_overwriting_follows_no_link(run: RunDir, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "photo.png").write_text("mine")
    (album / "scores").write_text("mine")
    run.figures.rmdir()
    run.figures.symlink_to(album)
    (run.path / "scores.json").symlink_to(album / "scores")
    before = everything(run.path)
    with pytest.raises(ValueError, match=r"figures is a symbolic link, and nothing is written or removed where it"):
        RunDir.create(run.path, CONFIG, overwrite=True)
    assert everything(run.path) == before
    run.figures.unlink()
    RunDir.create(run.path, CONFIG, overwrite=True)
    assert sorted(os.listdir(album)) == ["photo.png", "scores"]
    assert not (run.path / "scores.json").exists()


def test_a_config_without_a_json_form_changes_nothing(run: RunDir, tmp_path: Path) -> None:
    before = everything(run.path)
    with pytest.raises(TypeError, match=r"set at \.bad has no JSON form"):
        RunDir.create(run.path, {"bad": {1}}, overwrite=True)
    assert everything(run.path) == before
    with pytest.raises(TypeError, match="no JSON form"):
        RunDir.create(tmp_path / "new", {"bad": {1}})
    assert not (tmp_path / "new").exists()


def test_places_where_no_folder_can_be(run: RunDir) -> None:
    file = run.path / "config.json"
    for path in (file, file / "below"):
        with pytest.raises(ValueError, match=r"cannot be made a run folder .*another --out"):
            RunDir.create(path, CONFIG)
    run.write_scores({})
    (run.path / "scores.json").unlink()
    (run.path / "scores.json").mkdir()
    with pytest.raises(ValueError, match="cannot be made a run folder"):
        RunDir.create(run.path, CONFIG, overwrite=True)


def test_opening_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="absent is not a folder"):
        RunDir.open(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"no config\.json of a run"):
        RunDir.open(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"no config\.json of a run"):
        RunDir.open(tmp_path)


# What a run writes.


def test_metrics(run: RunDir) -> None:
    assert run.read_metrics() == []
    run.append_metrics({"step": 0, "loss": 0.1 + 0.2, "bad": float("nan"), "vector": np.arange(2)})
    run.append_metrics({"step": np.int64(1), "loss": np.inf})
    first, second = run.read_metrics()
    assert first == {"step": 0, "loss": 0.1 + 0.2, "bad": None, "vector": [0, 1]}
    assert second == {"step": 1, "loss": None}
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 2


def test_metrics_cut_short_by_a_kill(run: RunDir) -> None:
    file = run.path / "metrics.jsonl"
    run.append_metrics({"step": 0})
    with file.open("ab") as stream:
        stream.write(b'{"step": 1, "lo')
    assert run.read_metrics() == [{"step": 0}]
    run.append_metrics({"step": 2})
    assert run.read_metrics() == [{"step": 0}, {"step": 2}]
    file.write_bytes(b'{"step')
    run.append_metrics({"step": 3})
    assert run.read_metrics() == [{"step": 3}]


@pytest.mark.parametrize("line", [b"{", b"[1]", b'{"a": NaN}', b"\xff", b""])
def test_metrics_that_are_damaged(run: RunDir, line: bytes) -> None:
    (run.path / "metrics.jsonl").write_bytes(b'{"step": 0}\n' + line + b"\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: "):
        run.read_metrics()


def test_metrics_without_a_json_form(run: RunDir) -> None:
    run.append_metrics({"step": 0})
    before = everything(run.path)
    with pytest.raises(TypeError, match="no JSON form"):
        run.append_metrics({"step": object()})
    with pytest.raises(TypeError, match="a list is no record"):
        run.append_metrics([1])  # type: ignore[arg-type]
    assert everything(run.path) == before


def test_modes(run: RunDir) -> None:
    arrays = {
        "values": np.linspace(0, 1, 4),
        "vectors": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "file": np.array(3),  # a name that np.savez keeps for itself
        "cycle:15/node2vec": np.array(["a", "bc"]),
        "empty": np.zeros((0, 2), dtype=np.int8),
    }
    run.write_modes(**arrays)
    back = run.read_modes()
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, strict=True)


def test_modes_of_python_objects_are_refused(run: RunDir) -> None:
    run.write_modes(u=np.eye(2))
    with pytest.raises(ValueError, match="mode array 'w' holds Python objects"):
        run.write_modes(u=np.eye(3), w=np.array([None]))
    assert run.read_modes()["u"].shape == (2, 2)


def test_modes_that_hold_a_pickle_are_not_loaded(run: RunDir) -> None:
    np.savez(run.path / "modes.npz", u=np.array([object], dtype=object))
    with pytest.raises(ValueError, match=r"modes\.npz cannot be read"):
        run.read_modes()
    (run.path / "modes.npz").write_bytes(pickle.dumps(np.eye(2)))
    with pytest.raises(ValueError, match=r"modes\.npz cannot be read"):
        run.read_modes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool", ">f8"])
def test_embeddings(run: RunDir, dtype: str) -> None:
    table = (np.random.default_rng(0).standard_normal((4, 3)) * 9).astype(dtype)
    given = {"plain": table, "turned": table.T, "every other": table[::2, ::-1], "one": table[0, 0]}
    run.write_embeddings(given)
    back = run.read_embeddings()
    assert sorted(back) == sorted(given)
    for name, array in given.items():
        native = np.asarray(array)
        np.testing.assert_array_equal(back[name], native.astype(native.dtype.newbyteorder("=")), strict=True)


@pytest.mark.parametrize("dtype", ["complex128", "object", "U3", "float128"])
def test_embeddings_of_other_types_are_refused(run: RunDir, dtype: str) -> None:
    run.write_embeddings({"w": np.eye(2)})
    with pytest.raises(ValueError, match=r"embedding 'bad' has dtype .*: give real numbers"):
        run.write_embeddings({"w": np.eye(3), "bad": np.zeros((2, 2), dtype=dtype)})
    assert run.read_embeddings()["w"].shape == (2, 2)


def test_scores(run: RunDir) -> None:
    run.write_scores({"r2": np.float64(0.25), "bad": np.nan})
    assert run.read_scores() == {"r2": 0.25, "bad": None}
    with pytest.raises(TypeError, match="no JSON form"):
        run.write_scores({"r2": 0.5, "bad": 1j})
    assert run.read_scores()["r2"] == 0.25


def test_what_is_absent_or_damaged(run: RunDir) -> None:
    readers = {
        "modes.npz": run.read_modes,
        "embeddings.safetensors": run.read_embeddings,
        "scores.json": run.read_scores,
    }
    for name, read in readers.items():
        with pytest.raises(ValueError, match=f"holds no {name}"):
            read()
        (run.path / name).write_bytes(b"\x93NUMPY\xff{")
        with pytest.raises(ValueError, match=f"{name} cannot be read .*--resume.*--overwrite"):
            read()
    (run.path / "scores.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"scores\.json holds no JSON object"):
        run.read_scores()


# Whole or not at all.


def test_a_write_that_fails_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def fail(stream: BinaryIO) -> None:
        stream.write(b"half of the ne")
        stream.flush()
        assert path.read_text() == "old"  # nobody sees a half
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, fail)
    assert everything(tmp_path) == {"x": b"old"}


def test_a_disk_that_fails_at_the_last_moment(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    run.write_scores({"a": 1})
    run.write_modes(u=np.eye(2))
    run.write_embeddings({"w": np.eye(2)})
    before = everything(run.path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: run.write_scores({"a": 2}),
        lambda: run.write_modes(u=np.eye(3)),
        lambda: run.write_embeddings({"w": np.eye(3)}),
    ):
        with pytest.raises(OSError, match="No space left"):
            write()
    assert everything(run.path) == before


def test_files_have_the_usual_permissions(run: RunDir) -> None:
    plain = run.path / "plain"
    plain.touch()
    assert (run.path / "config.json").stat().st_mode == plain.stat().st_mode


def test_what_a_killed_write_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".config.json.0a1b2c3d.tmp").write_text("half")
    run = RunDir.create(tmp_path, CONFIG)  # as good as empty
    (run.path / ".modes.npz.0a1b2c3d.tmp").write_text("half")
    RunDir.create(tmp_path, CONFIG, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["SHA256SUMS", "config.json", "environment.json", "figures"]


def test_removing_a_run(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG)
    run.write_scores({"a": 1})
    run.append_metrics({"step": 0})
    RunDir.remove(run.path)
    assert not run.path.exists()
    RunDir.remove(run.path)  # nothing there, nothing done
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    RunDir.remove(other)
    assert os.listdir(other) == ["config.json"]
    kept = RunDir.create(tmp_path / "kept", CONFIG)
    (kept.figures / "photo.jpg").write_text("mine")
    RunDir.remove(kept.path)
    assert everything(tmp_path / "kept") == {"figures/photo.jpg": b"mine"}
