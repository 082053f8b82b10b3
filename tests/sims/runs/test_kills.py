"""Runs killed at random instants: resumed, they end in the bytes of a run that was never stopped."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fiedler.sims.compare.run import compare
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.control import Restart
from fiedler.sims.runs.scored import run_and_score
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from killed_runs import assert_same_run, kill_until_done, wait_for

pytestmark = pytest.mark.processes  # of several processes, or killed ones: make processes

Work = Callable[[Path], Callable[[], object]]


def training(word: str, name: str, seeds: list[int], **options: Any) -> Work:
    """Work of a child: train and score into a folder, going on with what is there, a checkpoint at every chance."""
    task, model = Task(parse(word)), get_model(name)
    settings = model.make_settings(**options)
    _ = task.target, task.spaces, model.start(task, settings, seeds[:1])  # imports and graph, once before the forks

    def work(out: Path) -> Callable[[], object]:
        return lambda: run_and_score(
            task,
            model,
            settings,
            seeds,
            folder=lambda seed: out / f"seed{seed}",
            restart=Restart(resume=True, checkpoint_every=0.0),
        )

    return work


def comparing(word: str) -> Work:
    task = Task(parse(word))
    models = [
        (get_model("node2vec"), get_model("node2vec").make_settings(steps=600, width=10)),
        (get_model("transformer"), get_model("transformer").make_settings(steps=20, width=8)),
    ]
    for model, settings in models:
        model.start(task, settings, [0])
    return lambda out: (
        lambda: compare(task, models, [0, 1], out=out, restart=Restart(resume=True, checkpoint_every=0.0))
    )


KINDS: dict[str, Callable[[], Work]] = {
    "node2vec": lambda: training("cycle:15", "node2vec", [0], steps=3000, width=40),
    "three seeds at once": lambda: training("karate", "node2vec", [0, 1, 4], steps=800, width=8),
    "untied, with decay": lambda: training(
        "path-star:4x5", "node2vec-untied", [3], steps=1500, width=8, weight_decay=0.01
    ),
    "transformer with dropout": lambda: training("cycle:9", "transformer", [0, 1], steps=60, width=8, dropout=0.2),
    "comparison": lambda: comparing("path-star:3x3"),
}


def kill(kind: str, folder: Path, kills: int, rounds: int) -> None:
    """``rounds`` runs of ``kind``, each killed so often within its length that only resuming can finish it."""
    torch.set_num_threads(1)
    rng = random.Random(f"{kind}{kills}")
    work = KINDS[kind]()
    began = time.monotonic()
    wait_for(work(folder / "reference"))
    length = time.monotonic() - began
    longest, hit, number = max(0.05, 2 * length / kills), 0, 0
    while number < rounds or hit < rounds * kills / 4:
        # A run that is faster than the reference was (a machine that grew quiet) ends before it is killed: more rounds.
        assert number < rounds + 10, f"only {hit} kills in {number} rounds of {kills} came before the end"
        out = folder / str(number)
        found = kill_until_done(work(out), longest, rng, kills)
        assert_same_run(out, folder / "reference")
        hit, number = hit + found, number + 1
        if found < kills / 4:
            longest /= 2


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_few_kills(kind: str, tmp_path: Path) -> None:
    kill(kind, tmp_path, kills=6, rounds=1)


@pytest.mark.long
@pytest.mark.parametrize("kind", list(KINDS))
def test_many_kills(kind: str, tmp_path: Path) -> None:
    kill(kind, tmp_path, kills=12, rounds=8)  # 480 in all
