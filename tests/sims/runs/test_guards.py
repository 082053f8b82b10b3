"""Guards: disks that are too small, memory that runs out, numbers of bytes in words."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fiedler.sims.models.node2vec import Node2VecSettings, Node2VecTraining
from fiedler.sims.models.registry import Model, get_model
from fiedler.sims.runs.control import Restart
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.guards import check_disk, disk_bytes, free_bytes, memory_hint, says_out_of_memory, size
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

Usage = namedtuple("Usage", "total used free")
TASK = Task(parse("karate"))


def test_the_estimate_covers_what_a_run_writes(tmp_path: Path) -> None:
    model = get_model("transformer")
    settings = model.make_settings(steps=4, width=32)
    states = model.start(TASK, settings, [0]).state()
    run_seeds(TASK, model, settings, [0], folder=lambda _: tmp_path / "run", restart=Restart(checkpoint_every=0.0))
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert written < disk_bytes(states, 1) < 20 * written + (2 << 20)
    assert disk_bytes(states, 3) == 3 * disk_bytes(states, 1)


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = [{"a": np.zeros(1000)}]
    needed = disk_bytes(states, 2)
    for free, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: Usage(0, 0, free))
        if fits:
            check_disk(tmp_path / "new" / "run", states, 2)
        else:
            with pytest.raises(ValueError, match=r"need up to .* in .*run, where .* are free: free some, or give"):
                check_disk(tmp_path / "new" / "run", states, 2)

    def fail(path: Path) -> Any:
        raise OSError("no such thing here")

    monkeypatch.setattr(shutil, "disk_usage", fail)
    assert free_bytes(tmp_path) is None
    check_disk(tmp_path, states, 2)  # a system that does not say stops no run


class Greedy(Node2VecTraining):
    """Asks for more memory than any machine has, in NumPy's way or torch's."""

    def advance(self, count: int) -> None:
        if self.settings.width == 3:
            torch.empty(1 << 50)
        np.empty(1 << 50)


@pytest.mark.parametrize("width", [3, 4])
def test_out_of_memory_says_what_to_lower(tmp_path: Path, width: int) -> None:
    def start(task: Task, settings: Any, seeds: Any) -> Greedy:
        return Greedy(task.target, settings, seeds)

    model = Model("greedy", "Greedy", Node2VecSettings, start, lambda s: 1.0, lambda s: 1.0)
    settings = model.make_settings(width=width, steps=5)
    words = r"lower width \(now \d\) or the number of seeds \(now 2\) or the graph \(now 34 nodes"
    with pytest.raises(MemoryError, match=words):
        run_seeds(TASK, model, settings, [0, 1], folder=lambda seed: tmp_path / str(seed))
    assert (tmp_path / "0" / "config.json").exists()  # what was written stays


def test_which_errors_are_memory() -> None:
    assert says_out_of_memory(MemoryError())
    assert says_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"))
    assert not says_out_of_memory(RuntimeError("shapes do not fit"))
    with pytest.raises(MemoryError) as error, memory_hint("drawing", object(), graph=TASK.graph):
        raise MemoryError
    assert str(error.value) == "out of memory drawing: lower the graph (now 34 nodes, 9.2 kB for each matrix of logits)"
    with pytest.raises(RuntimeError, match=r"^shapes do not fit$"), memory_hint("drawing", object()):
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (123_456, "123 kB"),
        (5e6, "5.0 MB"),
        (2e10, "20.0 GB"),
        (3e13, "30.0 TB"),
    ],
)
def test_bytes_in_words(count: float, words: str) -> None:
    assert size(count) == words
