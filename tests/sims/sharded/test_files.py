"""Files of a sharded run: what every process has is used, what one lacks is not, and shards are whole or refused.

Processes are threads (``thread_rings``); with processes these files are tried in test_run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from fiedler.kernels.sharded.ring import ALIKE, Ring
from fiedler.sims.disk.files import Damage
from fiedler.sims.disk.sums import rewrite_sums
from fiedler.sims.runs.checkpoints import Checkpoint, usable_steps
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.shards import read_shards
from fiedler.sims.sharded import files as module
from fiedler.sims.sharded.files import ShardFiles
from thread_rings import in_threads

CONFIG = '{"seed": 1}'
ROWS = (3, 0, 2)  # of three processes
WHOLE = {"embedding": np.arange(10.0).reshape(5, 2), "context": np.arange(10.0, 20.0).reshape(5, 2)}


def files_of(path: Path, ring: Ring, config: str = CONFIG) -> ShardFiles:
    return ShardFiles(RunDir(path), ring, config, "cpu")


def everywhere(world: int, path: Path, work: Callable[[ShardFiles], Any], config: str = CONFIG) -> list[Any]:
    return in_threads(world, lambda ring: work(files_of(path, ring, config)))


def arrays(step: int, rank: int) -> dict[str, np.ndarray]:
    return {"embedding": np.full(2, 10.0 * step + rank)}


def save(path: Path, steps: dict[int, list[int]]) -> None:
    """Checkpoints of these steps of each process, as worlds that died at different instants leave them."""
    for rank, own in steps.items():
        ring = mock.Mock(spec=Ring, rank=rank, world=len(steps))
        ring.together = lambda call, _: call()
        for step in own:
            files_of(path, ring).save(step, arrays(step, rank))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def write(path: Path, rows: tuple[int, ...] = ROWS) -> list[dict[str, str]]:
    """The shards of a finished run, with their checksums."""

    def shard(files: ShardFiles) -> dict[str, str]:
        first = sum(rows[: files.ring.rank])
        own = slice(first, first + rows[files.ring.rank])
        return files.write_shard(first, {name: array[own] for name, array in WHOLE.items()})

    sums = everywhere(len(rows), path, shard)
    rewrite_sums(path, sums[0])
    return sums


def mixed(path: Path, first: tuple[int, ...], second: tuple[int, ...]) -> Path:
    """A folder with shard 0 of a run whose rows lie as in ``first`` and shard 1 of one as in ``second``."""
    for rank, rows in enumerate((first, second)):
        (path / str(rank)).mkdir()
        write(path / str(rank), rows)
        (path / "mixed").mkdir(exist_ok=True)
        shard_of(path / "mixed", rank).write_bytes(shard_of(path / str(rank), rank).read_bytes())
    return path / "mixed"


def shard_of(path: Path, rank: int) -> Path:
    return path / f"embeddings-rank-{rank}.safetensors"


@pytest.mark.parametrize("rows", [ROWS, (5,), (0, 5), (1, 1, 1, 1, 1)])
def test_shards_together_are_the_whole(folder: Path, rows: tuple[int, ...]) -> None:
    sums = write(folder, rows)
    assert all(one == sums[0] for one in sums)
    assert sorted(sums[0]) == [shard_of(folder, rank).name for rank in range(len(rows))]
    whole = read_shards(folder)
    assert whole.keys() == WHOLE.keys()
    for name, array in WHOLE.items():
        np.testing.assert_array_equal(whole[name], array, strict=True)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(folder, rows)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_more_than_nine_shards_lie_in_the_order_of_their_rows(folder: Path) -> None:
    """Not in that of their names, where 10 comes before 2."""
    rows = (1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1)
    write(folder, rows)
    assert np.array_equal(read_shards(folder)["embedding"], WHOLE["embedding"])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda folder: _cut(shard_of(folder, 2)), "rank-2.* does not have its checksum"),
    "a flipped bit": (lambda folder: _flip(shard_of(folder, 0)), "rank-0.* does not have its checksum"),
    "gone": (lambda folder: shard_of(folder, 0).unlink(), "holds 2 shards of 3"),
    "the last gone": (lambda folder: shard_of(folder, 2).unlink(), "holds 2 shards of 3"),
    "the empty one gone": (lambda folder: shard_of(folder, 1).unlink(), "holds 2 shards of 3"),
    "all gone": (lambda folder: [path.unlink() for path in folder.glob("emb*")], "holds no embeddings-rank-K"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_shards_that_are_damaged_or_missing_are_refused(folder: Path, damage: str) -> None:
    change, message = DAMAGE[damage]
    write(folder)
    change(folder)
    with pytest.raises(ValueError, match=f"{message}.*: put the files of all processes into the folder, or go on with"):
        read_shards(folder)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\xff" * 100])
def test_a_shard_that_is_none_is_refused_without_checksums_too(folder: Path, content: bytes) -> None:
    write(folder)
    (folder / "SHA256SUMS").unlink()
    shard_of(folder, 1).write_bytes(content)
    with pytest.raises(ValueError, match=r"rank-1\.safetensors cannot be read \(.*put the files of all processes"):
        read_shards(folder)


def test_shards_of_two_worlds_are_no_run(tmp_path: Path) -> None:
    """Rows 0 to 2 of a world of three, the rest of one of two: they fit, but are not of one run."""
    with pytest.raises(ValueError, match="holds 2 shards of"):
        read_shards(mixed(tmp_path, ROWS, (3, 2)))


@pytest.mark.parametrize("second", [(2, 3), (4, 1)])
def test_rows_that_overlap_or_leave_a_gap_are_no_run(tmp_path: Path, second: tuple[int, int]) -> None:
    """Two worlds of as many processes that cut the rows elsewhere."""
    with pytest.raises(ValueError, match="holds 2 shards of 2: put the files of all processes into the folder"):
        read_shards(mixed(tmp_path, (3, 2), second))


@pytest.mark.parametrize(("last", "newest"), [([3], 3), ([3, 5], 5)])
def test_the_newest_step_of_which_every_process_has_a_checkpoint(folder: Path, last: list[int], newest: int) -> None:
    save(folder, {0: [3, 5], 1: last, 2: [3, 5]})
    answers = everywhere(3, folder, lambda files: files.newest())
    assert [answer.step for answer in answers] == [newest] * 3
    for rank, answer in enumerate(answers):
        np.testing.assert_array_equal(answer.arrays["embedding"], arrays(newest, rank)["embedding"])
        assert answer.texts == {"config": CONFIG, "processes": "3", "rank": str(rank)}


def test_a_damaged_checkpoint_of_one_process_takes_all_back(folder: Path) -> None:
    save(folder, {0: [3, 5], 1: [3, 5]})
    _flip(max((folder / "checkpoint" / "rank-1").iterdir()))
    with pytest.warns(Damage, match="rank-1.*is damaged"):
        answers = everywhere(2, folder, lambda files: files.newest())
    assert [answer.step for answer in answers] == [3, 3]


@pytest.mark.parametrize("steps", [{0: [3], 1: []}, {0: [3], 1: [5]}, {0: [], 1: []}])
def test_without_a_common_step_there_is_none(folder: Path, steps: dict[int, list[int]]) -> None:
    save(folder, steps)
    assert everywhere(2, folder, lambda files: files.newest()) == [None, None]


@pytest.mark.parametrize(
    ("world", "config", "message"),
    [
        (3, CONFIG, "checkpoint holds a run of 2 processes and 3 were started: start 2, give another --out, or"),
        (1, CONFIG, "checkpoint holds a run of 2 processes and 1 were started: start 2, give another --out, or"),
        (2, "{}", "rank-0 holds checkpoints of another run: give its settings, another --out, or --overwrite"),
    ],
)
def test_checkpoints_of_another_run_are_refused_by_all(folder: Path, world: int, config: str, message: str) -> None:
    save(folder, {0: [3], 1: [3]})
    for answer in everywhere(world, folder, lambda files: files.newest(), config):
        assert isinstance(answer, ValueError), answer
        assert message in str(answer)
        assert answer.__notes__ == [ALIKE]
    assert usable_steps(folder / "checkpoint" / "rank-0") == [3]


def test_a_full_disk_of_one_process_is_an_error_of_all_and_keeps_the_older_checkpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere(2, folder, lambda files: files.save(3, arrays(3, files.ring.rank)))
    real = module.write_checkpoint

    def full(path: Path, checkpoint: Checkpoint) -> Path:
        if path.name == "rank-1":
            raise OSError(28, "No space left on device")
        return real(path, checkpoint)

    monkeypatch.setattr(module, "write_checkpoint", full)
    for answer in everywhere(2, folder, lambda files: files.save(5, arrays(5, files.ring.rank))):
        assert isinstance(answer, OSError)
        assert str(answer) == "process 1: [Errno 28] No space left on device"
    answers = everywhere(2, folder, lambda files: files.newest())
    assert [answer.step for answer in answers] == [3, 3]


def test_clearing_takes_away_one_s_own_and_process_0_those_of_a_larger_world(folder: Path) -> None:
    save(folder, {0: [3], 1: [3], 2: [3], 3: [3]})
    for rank in range(4):
        shard_of(folder, rank).write_bytes(b"old")
    others = {"notes.txt": b"mine", "embeddings-rank-x.safetensors": b"mine", "embeddings.safetensors": b"mine"}
    for name, data in others.items():
        (folder / name).write_bytes(data)
    (folder / "checkpoint" / "rank-2" / "mine").write_text("mine")
    files_of(folder, mock.Mock(spec=Ring, rank=1, world=2)).clear()
    assert sorted(path.name for path in folder.glob("emb*-[0-9].*")) == [shard_of(folder, r).name for r in (0, 2, 3)]
    assert [usable_steps(folder / "checkpoint" / f"rank-{rank}") for rank in range(4)] == [[3], [], [3], [3]]
    files_of(folder, mock.Mock(spec=Ring, rank=0, world=2)).clear()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == others
    assert [path.name for path in (folder / "checkpoint").iterdir()] == ["rank-2"]  # somebody else's file is in it
    assert (folder / "checkpoint" / "rank-2" / "mine").read_text() == "mine"


def test_clearing_removes_a_link_and_not_what_it_points_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("mine")
    shard_of(folder, 0).symlink_to(tmp_path / "theirs")
    (tmp_path / "elsewhere").mkdir()
    save(tmp_path / "elsewhere", {0: [3]})
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "rank-0").symlink_to(tmp_path / "elsewhere" / "checkpoint" / "rank-0")
    files_of(folder, Ring.of()).clear()
    assert not shard_of(folder, 0).is_symlink()
    assert (tmp_path / "theirs").read_text() == "mine"
    assert usable_steps(tmp_path / "elsewhere" / "checkpoint" / "rank-0") == [3]


def test_clearing_an_absent_folder_does_nothing(tmp_path: Path) -> None:
    files_of(tmp_path / "absent", Ring.of()).clear()
    assert not (tmp_path / "absent").exists()
