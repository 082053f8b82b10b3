"""Files of run folders truncated, emptied, removed or with a flipped bit: named, worked around, never believed."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fiedler.sims.cli.commands import main
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from killed_runs import contents

WORD, SEED = "path-star:3x3", 2
OPTIONS = ["--steps", "300", "--width", "6", "--seed", str(SEED)]
SETTINGS = {"steps": 300, "width": 6}


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def empty(data: bytes, rng: random.Random) -> bytes:
    return b""


def flip(data: bytes, rng: random.Random) -> bytes:
    place, bit = rng.randrange(len(data)), rng.randrange(8)
    return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]


def append(data: bytes, rng: random.Random) -> bytes:
    return data + rng.randbytes(20)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes] | None] = {
    "truncated": truncate,
    "emptied": empty,
    "flipped": flip,
    "appended": append,
    "removed": None,
}


def damage(path: Path, how: str, rng: random.Random) -> None:
    change = DAMAGES[how]
    data = path.read_bytes()
    if change is None:
        path.unlink()
    elif data:
        path.write_bytes(change(data, rng))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", WORD, *OPTIONS, "--out", str(folder), "--checkpoint-every", "0"]) == 0
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped half-way, with two checkpoints."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    model, stop = get_model("node2vec"), StopRequest()

    def progress(_: str, fraction: float) -> None:
        stop.signalled = fraction > 0.5

    with pytest.raises(Interrupted, match="--resume"):
        run_seeds(
            Task(parse(WORD)),
            model,
            model.make_settings(**SETTINGS),
            [SEED],
            folder=lambda _: folder,
            restart=Restart(checkpoint_every=0.0),
            watch=Watch(on_progress=progress, stop=stop),
        )
    assert len(list((folder / "checkpoint").iterdir())) == 2
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def check(folder: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Resume ``folder``: either it ends as the undamaged run, or one line says what is wrong and nothing is lost."""
    before = contents(folder)
    capsys.readouterr()
    code = main(["train", WORD, *OPTIONS, "--out", str(folder), "--resume", "--json"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if code == 0:
        assert json.loads(said.out) == json.loads((finished / "scores.json").read_text())
        for name, data in contents(finished).items():
            if "checkpoint" not in name:  # a damaged one of a finished run is left where it is
                assert contents(folder)[name] == data, name
        assert RunDir.open(folder).finished
    else:
        assert code == 2
        assert said.out == ""
        assert re.fullmatch(r"(fiedler: warning: [^\n]+\n)*fiedler: [^\n]+\n", said.err), said.err
        assert contents(folder) == before
    return code, said.err


KINDS = ("config", "environment", "metrics", "modes", "embeddings", "scores", "SHA256SUMS", "checkpoint", "resumed")


@pytest.mark.parametrize("how", list(DAMAGES))
def test_any_file_of_a_finished_run(
    how: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(how)
    for number, name in enumerate(files(finished)):
        folder = tmp_path / str(number)
        shutil.copytree(finished, folder)
        damage(folder / name, how, rng)
        code, said = check(folder, finished, capsys)
        assert code == 0, said  # a finished run is made again from its last checkpoint, whatever was damaged


@pytest.mark.parametrize("how", list(DAMAGES))
def test_any_file_of_a_stopped_run(
    how: str, stopped: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(how)
    for number, name in enumerate(files(stopped)):
        folder = tmp_path / str(number)
        shutil.copytree(stopped, folder)
        damage(folder / name, how, rng)
        code, said = check(folder, finished, capsys)
        assert code == 0, said
        if "step-" in name.name and how != "removed":
            assert name.name in said  # the damaged checkpoint is named
            assert "is damaged" in said


@pytest.mark.long
@pytest.mark.parametrize("kind", ["finished", "stopped"])
def test_two_files_at_once(
    kind: str, request: pytest.FixtureRequest, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source: Path = request.getfixturevalue(kind)
    rng = random.Random(kind)
    codes = set()
    for number in range(40):
        folder = tmp_path / str(number)
        shutil.copytree(source, folder)
        for name in rng.sample(files(source), 2):
            damage(folder / name, rng.choice(list(DAMAGES)), rng)
        codes.add(check(folder, finished, capsys)[0])
    assert 0 in codes


@pytest.mark.long
@pytest.mark.parametrize("kind", ["finished", "stopped"])
def test_many_damages(
    kind: str, request: pytest.FixtureRequest, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source: Path = request.getfixturevalue(kind)
    rng = random.Random(f"many {kind}")
    for number in range(1500):
        folder = tmp_path / str(number)
        shutil.copytree(source, folder)
        for name in rng.sample(files(source), rng.choice([1, 1, 2, 3])):
            damage(folder / name, rng.choice(list(DAMAGES)), rng)
        check(folder, finished, capsys)
        shutil.rmtree(folder)


def test_both_checkpoints_damaged_start_again(
    stopped: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    for path in (folder / "checkpoint").iterdir():
        damage(path, "flipped", random.Random(0))
    code, said = check(folder, finished, capsys)
    assert code == 0
    assert said.count("is damaged") == 2


def test_one_checkpoint_damaged_loses_only_the_steps_since_the_other(
    stopped: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    older, newer = sorted((folder / "checkpoint").iterdir())
    damage(newer, "truncated", random.Random(0))
    assert check(folder, finished, capsys)[0] == 0
    resumed = [json.loads(line) for line in (folder / "resumed.jsonl").read_text().splitlines()]
    assert [line["step"] for line in resumed] == [int(re.findall(r"step-(\d+)", older.name)[0])]


def test_other_settings_are_refused_by_name(stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    before = contents(folder)
    assert main(["train", WORD, *OPTIONS, "--width", "7", "--out", str(folder), "--resume"]) == 2
    assert re.search(r"holds another run: width 6 instead of 7\. Give that", capsys.readouterr().err)
    assert main(["train", "cycle:7", *OPTIONS, "--out", str(folder), "--resume"]) == 2
    assert "graph 'path-star:3x3' instead of 'cycle:7'" in capsys.readouterr().err
    assert contents(folder) == before


def test_a_damaged_embedding_is_not_scored(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    path = folder / "embeddings.safetensors"
    assert main(["score", WORD, str(path), "--json"]) == 0
    good = json.loads(capsys.readouterr().out)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1  # in the numbers themselves: the format cannot notice
    path.write_bytes(bytes(data))
    assert main(["score", WORD, str(path), "--json"]) == 2
    assert "SHA256SUMS" in capsys.readouterr().err
    shutil.copy(path, tmp_path / "elsewhere.safetensors")  # without the list nobody can tell
    assert main(["score", WORD, str(tmp_path / "elsewhere.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gram_error"] != good["gram_error"]
