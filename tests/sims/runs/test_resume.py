"""Runs taken up again: where they go on, what they keep, what they refuse."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fiedler.sims.disk.files import Damage
from fiedler.sims.models.protocol import Diverged
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs import loop
from fiedler.sims.runs.checkpoints import usable_steps
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.engine import Run, describe_run, run_seeds
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.run_files import RunFiles
from fiedler.sims.runs.scored import run_and_score
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.runs.take_up import take_up
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from killed_runs import assert_same_run

TASK = Task(parse("path-star:3x3"))
SMALL: dict[str, dict[str, Any]] = {
    "node2vec": {"steps": 500, "width": 5},
    "node2vec-untied": {"steps": 500, "width": 60},
    "transformer": {"steps": 40, "width": 8, "dropout": 0.3},
}


def stop_at(fraction: float) -> tuple[StopRequest, Any]:
    stop = StopRequest()

    def progress(_: str, done: float) -> None:
        stop.signalled = stop.signalled or done >= fraction

    return stop, progress


def run(name: str, out: Path, seeds: list[int], fraction: float | None = None, **restart: Any) -> list[Run]:
    """All of a run, or up to a fraction of its records."""
    model = get_model(name)
    settings = model.make_settings(**SMALL[name])
    stop, progress = stop_at(2.0 if fraction is None else fraction)
    return run_seeds(
        TASK,
        model,
        settings,
        seeds,
        folder=lambda seed: out / f"seed{seed}",
        restart=Restart(**restart),
        watch=Watch(progress, stop),
    )


@pytest.mark.parametrize("name", list(SMALL))
@pytest.mark.parametrize("fraction", [0.001, 0.3, 0.8])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path, name: str, fraction: float) -> None:
    whole = run(name, tmp_path / "whole", [0, 3])
    with pytest.raises(Interrupted, match=r"interrupted at step \d+, which is saved in .*seed\d: go on with --resume"):
        run(name, tmp_path / "stopped", [0, 3], fraction)
    resumed = run(name, tmp_path / "stopped", [0, 3], resume=True)
    for one, other in zip(whole, resumed, strict=True):
        assert np.array_equal(one.final.embedding, other.final.embedding)
        assert np.array_equal(one.final.logits, other.final.logits)
        assert np.array_equal(one.modes.energy, other.modes.energy)
        assert np.array_equal(one.modes.loss, other.modes.loss)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    again = run(name, tmp_path / "stopped", [0, 3], resume=True)  # finished: only read
    assert np.array_equal(again[1].final.logits, whole[1].final.logits)


def test_dropout_would_differ_without_its_random_state(tmp_path: Path) -> None:
    """The oracle of the test above: forgetting the random state changes the run."""
    model = get_model("transformer")
    settings = model.make_settings(**SMALL["transformer"])
    training = model.start(TASK, settings, [0])
    training.advance(5)
    (kept,) = training.state()
    ends = []
    for changed in (False, True):
        other = model.start(TASK, settings, [0])
        torch.manual_seed(5)
        noise = torch.get_rng_state().numpy() if changed else kept["random"]
        other.restore(5, [{**kept, "random": noise}])
        other.advance(5)
        ends.append(other.finals()[0].embedding)
    training.advance(5)
    assert np.array_equal(ends[0], training.finals()[0].embedding)
    assert not np.array_equal(ends[1], ends[0])


def test_training_leaves_the_caller_s_random_state(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run("transformer", tmp_path, [0])
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_of_one_group_may_have_stopped_at_different_steps(tmp_path: Path) -> None:
    """Killed between two seeds' checkpoints: all go on from the newest step that all have."""
    run("node2vec", tmp_path / "whole", [0, 1])
    with pytest.raises(Interrupted):
        run("node2vec", tmp_path / "s", [0, 1], 0.5, checkpoint_every=0.0)
    newest = sorted((tmp_path / "s/seed1/checkpoint").iterdir())[-1]
    newest.unlink()
    older = usable_steps(tmp_path / "s/seed1/checkpoint")[0]
    run("node2vec", tmp_path / "s", [0, 1], resume=True)
    for seed in "01":
        lines = (tmp_path / f"s/seed{seed}/resumed.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [older]
    assert_same_run(tmp_path / "s", tmp_path / "whole")


def test_more_seeds_than_before(tmp_path: Path) -> None:
    """A finished seed is read, a new one trained; trained together or alone they are the same."""
    run("node2vec", tmp_path / "s", [0])
    before = (tmp_path / "s/seed0/embeddings.safetensors").stat().st_mtime_ns
    both = run("node2vec", tmp_path / "s", [0, 1], resume=True)
    assert (tmp_path / "s/seed0/embeddings.safetensors").stat().st_mtime_ns == before
    fresh = run("node2vec", tmp_path / "fresh", [0, 1])
    for one, other in zip(both, fresh, strict=True):
        assert np.array_equal(one.final.logits, other.final.logits)
    assert_same_run(tmp_path / "s", tmp_path / "fresh")


def test_resuming_where_nothing_is_starts(tmp_path: Path) -> None:
    run("node2vec", tmp_path / "new", [0], resume=True)
    run("node2vec", tmp_path / "whole", [0])
    assert_same_run(tmp_path / "new", tmp_path / "whole")
    assert not (tmp_path / "new/seed0/resumed.jsonl").exists()


def test_resuming_needs_no_overwrite_and_takes_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "s/seed0"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match=r"holds 'thesis.tex' but no config\.json of a run"):
        run("node2vec", tmp_path / "s", [0], resume=True)
    assert os.listdir(folder) == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"width": 6}}, "width 5 instead of 6"),
        ({"settings": {"learning_rate": 0.02}}, r"learning_rate 0\.01 instead of 0\.02"),
        ({"task": Task(parse("cycle:7"))}, "graph 'path-star:3x3' instead of 'cycle:7', n 7 instead|graph 'path-star"),
        ({"task": Task(parse("path-star:3x3"), self_edges=True)}, "self_edges False instead of True"),
    ],
)
def test_another_run_is_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    run("node2vec", tmp_path, [0])
    model = get_model("node2vec")
    settings = model.make_settings(**{**SMALL["node2vec"], **change.get("settings", {})})
    with pytest.raises(ValueError, match=f"holds another run: .*({message})"):
        run_seeds(
            change.get("task", TASK),
            model,
            settings,
            [0],
            folder=lambda seed: tmp_path / f"seed{seed}",
            restart=Restart(resume=True),
        )
    assert RunDir.open(tmp_path / "seed0").finished


def test_a_graph_file_that_changed_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "g.edgelist"
    file.write_text("a b\nb c\nc a\n")
    model = get_model("node2vec")
    settings = model.make_settings(**SMALL["node2vec"])
    run_seeds(Task(parse(str(file))), model, settings, [0], folder=lambda _: tmp_path / "run")
    file.write_text("a b\nb c\nc a\na a\n")
    with pytest.raises(ValueError, match=r"holds another run: .*graph_sha256"):
        run_seeds(
            Task(parse(str(file))),
            model,
            settings,
            [0],
            folder=lambda _: tmp_path / "run",
            restart=Restart(resume=True),
        )


def test_other_versions_are_said(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run("node2vec", tmp_path, [0], 0.5)
    path = tmp_path / "seed0/environment.json"
    content = json.loads(path.read_text())
    content["versions"]["numpy"] = "1.0.0"
    path.write_text(json.dumps(content))
    (tmp_path / "seed0/SHA256SUMS").unlink()
    with pytest.warns(Damage, match="begun with other versions of numpy"):
        run("node2vec", tmp_path, [0], resume=True)


# When checkpoints are written.


def checkpoints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tick: float, **options: Any) -> list[int]:
    """The steps of a run's checkpoints where every look at the clock finds it ``tick`` seconds later."""
    now, steps = [0.0], []

    def clock() -> float:
        now[0] += tick
        return now[0]

    real = RunFiles.save
    monkeypatch.setattr(loop.time, "monotonic", clock)
    monkeypatch.setattr(
        RunFiles, "save", lambda self, step, *arrays: (steps.append(step), real(self, step, *arrays))[1]
    )
    run("node2vec", tmp_path, [0], **options)
    return steps


def test_checkpoints_come_as_often_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    always = checkpoints(monkeypatch, tmp_path / "always", 1e-3, checkpoint_every=0.0)
    assert always[-1] == 500
    assert len(always) > 60  # after every chunk
    assert checkpoints(monkeypatch, tmp_path / "never", 1e-3, checkpoint_every=1e9) == [500]
    assert checkpoints(monkeypatch, tmp_path / "short", 1e-3) == [500]  # done within half a minute
    some = checkpoints(monkeypatch, tmp_path / "some", 1.0)
    # Half a minute, then at least fifty times the tick that writing took.
    assert 2 < len(some) < 10


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_bad_intervals(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(ValueError, match="checkpoint_every must be a number of seconds >= 0; got"):
        run("node2vec", tmp_path, [0], checkpoint_every=seconds)
    assert not os.listdir(tmp_path)


# Ends that are no end.


def test_divergence_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    model = get_model("node2vec")
    settings = model.make_settings(steps=5000, learning_rate=0.6, width=5, init_std=0.3)
    with pytest.raises(Diverged, match="lower the learning rate") as found:
        run_seeds(
            Task(parse("karate")),
            model,
            settings,
            [4],
            folder=lambda _: tmp_path,
            restart=Restart(checkpoint_every=0.0),
        )
    last = usable_steps(tmp_path / "checkpoint")[0]
    assert f"(seed 4; the last good checkpoint is of step {last}, in {tmp_path})" in str(found.value)
    assert last <= found.value.step < 5000
    embedding = RunDir.open(tmp_path)
    assert all(line["loss_per_node"] is not None for line in embedding.read_metrics())


def test_scores_are_written_with_the_run_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model("node2vec")
    settings = model.make_settings(**SMALL["node2vec"])
    options: dict[str, Any] = {"folder": lambda seed: tmp_path / f"seed{seed}", "restart": Restart(resume=True)}
    first = run_and_score(TASK, model, settings, [0, 1], **options)
    assert first == [RunDir.open(tmp_path / f"seed{seed}").read_scores() for seed in (0, 1)]
    monkeypatch.setattr("fiedler.sims.runs.scored.run_seeds", lambda *_, **__: pytest.fail("trained again"))
    assert run_and_score(TASK, model, settings, [1, 0], **options) == first[::-1]


def test_without_a_folder_a_stop_says_that_nothing_is_kept() -> None:
    model = get_model("node2vec")
    stop = StopRequest()
    stop.signalled = True
    with pytest.raises(Interrupted, match="interrupted at step 0; nothing was kept"):
        run_seeds(TASK, model, model.make_settings(**SMALL["node2vec"]), [0], watch=Watch(stop=stop))


def test_taking_up_an_absent_folder(tmp_path: Path) -> None:
    model = get_model("node2vec")
    config = describe_run(TASK, model, model.make_settings(**SMALL["node2vec"]), 0)
    assert not take_up(RunDir(tmp_path / "absent"), config)
    assert not take_up(RunDir(tmp_path), config)
    assert not (tmp_path / "absent").exists()


def test_a_run_of_a_version_that_did_not_say_how_it_read_its_file_goes_on(tmp_path: Path) -> None:
    """The graph is compared by its checksum; "read" is words about the file."""
    wanted = {"graph": "g.txt", "n": 2, "read": {"format": "edge list"}, "seed": 0, "tasks": [{"read": {"nodes": 2}}]}
    earlier = {"graph": "g.txt", "n": 2, "seed": 0, "tasks": [{}]}
    folder = RunDir.create(tmp_path / "run", earlier)
    folder.begin(earlier)
    assert take_up(folder, wanted)
    with pytest.raises(ValueError, match="n 2 instead of 3"):
        take_up(folder, {**wanted, "n": 3})


@pytest.mark.parametrize("name", ["node2vec", "transformer"])
def test_checkpoints_that_are_none_are_passed_over_for_older_ones(tmp_path: Path, name: str) -> None:
    """Empty, garbage, of a step beyond the end, of another width: each under a name with its checksum."""
    run(name, tmp_path / "whole", [0])
    with pytest.raises(Interrupted):
        run(name, tmp_path / "s", [0], 0.5, checkpoint_every=0.0)
    folder = tmp_path / "s/seed0/checkpoint"
    good = max(folder.iterdir())
    narrow = get_model(name).make_settings(**{**SMALL[name], "width": SMALL[name]["width"] * 2})
    run_seeds(TASK, get_model(name), narrow, [0], folder=lambda _: tmp_path / "narrow")
    other = max((tmp_path / "narrow/checkpoint").iterdir()).read_bytes()
    forged = {10**6: b"", 10**6 + 1: b"garbage", 10**6 + 2: good.read_bytes(), narrow.steps: other}
    for step, content in forged.items():
        (folder / f"step-{step:09d}.{sha256(content).hexdigest()[:32]}.safetensors").write_bytes(content)
    with pytest.warns(Damage) as warned:
        run(name, tmp_path / "s", [0], resume=True)
    said = " ".join(str(one.message) for one in warned)
    for why in ("no checkpoint", "beyond the last", "has another shape"):
        assert why in said
    assert_same_run(tmp_path / "s", tmp_path / "whole")


def test_a_link_in_a_run_s_folder_is_not_written_through(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run("node2vec", tmp_path, [0], 0.5, checkpoint_every=0.0)
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    (tmp_path / "seed0/resumed.jsonl").symlink_to(letter)
    with pytest.raises(ValueError, match=r"resumed\.jsonl is a symbolic link.*remove it"):
        run("node2vec", tmp_path, [0], resume=True)
    assert letter.read_text() == "mine"
    (tmp_path / "seed0/resumed.jsonl").unlink()
    run("node2vec", tmp_path, [0], resume=True)
