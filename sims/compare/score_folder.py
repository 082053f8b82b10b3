"""Scores of finished runs whose scores are missing: nothing is trained, and what is there is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..disk.files import sha256_of
from ..disk.jsonio import from_json, to_json
from ..disk.lock import locked
from ..disk.sums import read_sums, rewrite_sums
from ..models.registry import get_model
from ..runs.control import UNWATCHED, Restart, Watch
from ..runs.folder import RunDir
from ..runs.run_files import RunFiles
from ..runs.scored import describe_search, own_decay, saved_run, score_run
from ..runs.seeking import seek_optimum
from ..runs.shards import has_shards, read_shards
from ..runs.stopping import heeding
from ..scores.embedding import score_embedding
from ..tasks.search import SEARCH, Search
from .at_time import one_at_time
from .folder import read_finished_run, read_settings, read_task
from .run import compare
from .show.output import write_comparison

SCORES = "scores.json"


def score_folder(path: Path, search: Search = SEARCH, watch: Watch = UNWATCHED) -> dict[str, Any]:
    """Score the finished run, comparison or sharded run in ``path`` against the optimum with its own weight decay, as
    far as ``search`` goes, and write its scores.json, which is returned.

    Raises ValueError for any other folder, saying what goes on with it; Interrupted where ``watch`` asks to stop.
    """
    if (path / "sweep.json").is_file():
        raise ValueError(f"{path} is a sweep's folder: `fiedler sweep FILE --out {path}` scores the runs that are left")
    folder = RunDir.open(path)
    config = folder.read_config()
    if isinstance(config.get("models"), dict) and "seeds" in config:
        return _comparison(path, config, search, watch)
    if "preset" in config:
        word = f"{config['graph']} " if "graph" in config else ""
        raise ValueError(
            f"{path} holds the preset {config['preset']}, which is scored as it ends: `fiedler compare {word}--preset "
            f"{config['preset']} --out {path} --resume` goes on with it and makes its scores again"
        )
    if not {"graph", "model", "settings"} <= config.keys():
        raise ValueError(
            f"{path} is no run on a graph: fiedler score takes those of train, compare and the sharded command"
        )
    with locked(path), saved_run(path):
        return _sharded(folder, config, search, watch) if has_shards(path) else _run(folder, config, search, watch)


def _run(folder: RunDir, config: Mapping[str, Any], search: Search, watch: Watch) -> dict[str, Any]:
    if not folder.finished:
        raise ValueError(f"{folder.path} holds a run that is not finished: go on with the same command and --resume")
    task = read_task(config, folder.read_modes())
    model, seed = get_model(config["model"], earlier=True), int(config["seed"])
    settings = read_settings(model, config["settings"])
    files = RunFiles(folder, config)
    training = model.start(task, settings, [seed])
    if settings.steps not in files.steps(settings.steps, training.state()[0]):
        raise ValueError(
            f"{folder.checkpoints} lacks the checkpoint of step {settings.steps}, which holds the logits: run the same "
            "command with --resume"
        )
    training.restore(settings.steps, [files.load(settings.steps).state])
    run = dataclasses.replace(read_finished_run(folder, model, settings, seed), final=training.finals()[0])
    scores = _as_json(score_run(task, run, search, watch, one_at_time(task, search, watch)))
    folder.write_scores(scores)
    folder.seal()
    return scores


def _sharded(folder: RunDir, config: Mapping[str, Any], search: Search, watch: Watch) -> dict[str, Any]:
    """Of its embedding: the logits of all pairs are nowhere made."""
    task, model = read_task(config, {}), get_model(config["model"], earlier=True)
    embedding = np.asarray(read_shards(folder.path)["embedding"], dtype=np.float64)
    decay = own_decay(model, read_settings(model, config["settings"]))
    optimum = seek_optimum(task, decay, search, watch)
    found = heeding(watch.stop, lambda: score_embedding(embedding, task, optimum, weight_decay=decay))
    log = folder.read_metrics()
    scores = _as_json(
        {
            "model": model.name,
            "seed": int(config["seed"]),
            "loss_per_node": log[-1]["loss_per_node"] if log else None,
            **describe_search(task, optimum, search),
            **found,
        }
    )
    sums = read_sums(folder.path)
    folder.write_scores(scores)
    rewrite_sums(folder.path, {**sums, SCORES: sha256_of(folder.path / SCORES)})
    return scores


def _comparison(path: Path, config: Mapping[str, Any], search: Search, watch: Watch) -> dict[str, Any]:
    """Every run that is finished is only read; what is left of training is trained."""
    modes = RunDir.open(path).read_modes() if (path / "modes.npz").is_file() else {}
    task = read_task(config, modes)
    models = [(get_model(word, earlier=True), stored) for word, stored in config["models"].items()]
    chosen = [(model, read_settings(model, stored)) for model, stored in models]
    restart = Restart(resume=True)
    comparison = compare(task, chosen, config["seeds"], out=path, restart=restart, search=search, watch=watch)
    write_comparison(comparison)
    return RunDir.open(path).read_scores()


def _as_json(scores: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = from_json(to_json(scores))
    return found
