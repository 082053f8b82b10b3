"""Training on the path tasks: it memorises, its loss is PyTorch's, and a run taken up again ends in the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from fiedler.sims.disk.sums import read_sums, rewrite_sums
from fiedler.sims.models.protocol import Diverged
from fiedler.sims.models.torch_state import one_thread
from fiedler.sims.paths.one_run import run_path
from fiedler.sims.paths.presets import PRESETS, get_preset
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.training import PathTraining, check_model
from fiedler.sims.runs.checkpoints import usable_steps
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.one_run import record_steps
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.theory import parse

GRAPH = parse("path-star:5x3")
TINY = PathSettings(layers=1, width=16, heads=2, pause=1, steps=12, edge_batch=8, path_batch=4, warmup=3, records=4)
RESULTS = ("metrics.jsonl", "modes.npz", "embeddings.safetensors")
# A fused float32 loss against PyTorch's own, in units of the loss.
FLOAT32_ROUNDING = 1e-5


@pytest.mark.parametrize("arch", ["gpt2", "mamba"])
def test_training_memorises_edges_and_seen_paths(arch: str) -> None:
    settings = replace(TINY, arch=arch, width=32, steps=150, edge_batch=20, path_batch=4, learning_rate=1e-2)
    with one_thread():
        training = PathTraining(GRAPH, settings, 0)
        before = training.measure()
        while training.step < settings.steps:
            training.advance()
        record = training.measure()
    assert before["edge_recall"] < 0.5
    assert record["edge_recall"] == record["edge_hits"] == 1.0
    assert record["train_path_accuracy"] == record["train_first_token_accuracy"] == 1.0
    assert record["per_position"][0] == 1.0  # the root, on the unseen paths too
    assert record["step"] == 150


def test_frozen_embeddings_stay_and_the_rest_learns() -> None:
    with one_thread():
        training = PathTraining(GRAPH, replace(TINY, frozen=True), 0)
        start, other = training.embedding(), training.model.transformer.h[0].mlp.c_fc.weight.detach().clone()
        free = PathTraining(GRAPH, TINY, 0)
        for _ in range(5):
            training.advance()
            free.advance()
    assert np.array_equal(training.embedding(), start)
    assert not torch.equal(training.model.transformer.h[0].mlp.c_fc.weight, other)
    assert not np.array_equal(free.embedding(), start)
    assert np.array_equal(PathTraining(GRAPH, TINY, 0).embedding(), start)  # both start alike


def test_the_loss_is_the_cross_entropy_of_the_targets_alone() -> None:
    training = PathTraining(GRAPH, TINY, 1)
    edges, paths = training.data.batches(0, torch.Generator().manual_seed(3))
    for batch in (edges, paths):
        logits = training.model(input_ids=batch.inputs).logits[:, batch.positions]
        theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        assert training._loss(batch).item() == pytest.approx(theirs.item(), rel=FLOAT32_ROUNDING)


def test_a_step_is_as_long_as_the_schedule_says() -> None:
    settings = replace(TINY, weight_decay=0.0, learning_rate=0.1, warmup=10)
    training = PathTraining(GRAPH, settings, 0)
    before = [weight.detach().clone() for weight in training.model.parameters()]
    training.advance()
    # Adam's first step moves every weight by the learning rate, but for its epsilon.
    moved = [(new - old).abs().max().item() for new, old in zip(training.model.parameters(), before, strict=True)]
    assert max(moved) == pytest.approx(settings.rate(0), rel=1e-3)
    assert settings.rate(0) == pytest.approx(0.01)


def test_embeddings_come_in_the_order_of_the_nodes() -> None:
    training = PathTraining(GRAPH, TINY, 2)
    weight = training.model.get_input_embeddings().weight.detach().numpy()
    for node, token in enumerate(training.data.vocabulary.node_tokens):
        assert np.array_equal(training.embedding()[node], weight[token])


def test_random_state_is_left_alone_and_seeds_differ() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = PathTraining(GRAPH, TINY, 0).embedding()
    assert torch.equal(torch.get_rng_state(), before)
    assert not np.array_equal(first, PathTraining(GRAPH, TINY, 1).embedding())


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


class AfterSteps(StopRequest):
    """Asks to stop at the n-th look, of which there is one a step."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def asked(self) -> bool:
        self.looks -= 1
        return self.looks < 0


VARIANTS = [
    TINY,
    replace(TINY, recipe="staged", objective="hardest"),
    replace(TINY, frozen=True, teacherless=True),
    replace(TINY, in_context=True, context_arms=2),
]


@pytest.mark.parametrize("settings", VARIANTS, ids=["mixed", "staged", "frozen", "in-context"])
def test_a_resumed_run_ends_in_the_same_bytes(settings: PathSettings, tmp_path: Path) -> None:
    with one_thread():
        run = run_path(GRAPH, settings, 0, tmp_path / "whole")
        for looks in (2, 7):
            with pytest.raises(Interrupted, match="go on with --resume"):
                run_path(
                    GRAPH,
                    settings,
                    0,
                    tmp_path / "cut",
                    restart=Restart(resume=True),
                    watch=Watch(stop=AfterSteps(looks)),
                )
        again = run_path(GRAPH, settings, 0, tmp_path / "cut", restart=Restart(resume=True))
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert again.records == run.records
    assert [record["step"] for record in run.records] == record_steps(settings) == [0, 3, 6, 9, 12]
    assert np.array_equal(again.embedding, run.embedding)


@pytest.mark.parametrize("every", [0.0, 1e9])
@pytest.mark.parametrize("crash", [1, 5, 9])
def test_a_crashed_run_ends_in_the_same_bytes(
    every: float, crash: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_thread():
        run_path(GRAPH, TINY, 0, tmp_path / "whole")
        advance = PathTraining.advance

        def crashing(self: PathTraining) -> None:
            if self.step == crash:
                raise KeyboardInterrupt
            advance(self)

        monkeypatch.setattr(PathTraining, "advance", crashing)
        with pytest.raises(KeyboardInterrupt):
            run_path(GRAPH, TINY, 0, tmp_path / "cut", restart=Restart(checkpoint_every=every))
        monkeypatch.undo()
        assert bool(usable_steps(tmp_path / "cut" / "checkpoint")) == (every == 0.0)
        run_path(GRAPH, TINY, 0, tmp_path / "cut", restart=Restart(resume=True))
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_finished_run_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_path(GRAPH, TINY, 0, tmp_path / "run")
    monkeypatch.setattr(PathTraining, "advance", lambda self: pytest.fail("trained again"))
    again = run_path(GRAPH, TINY, 0, tmp_path / "run", restart=Restart(resume=True))
    assert (again.records, again.seconds, again.chance) == (run.records, run.seconds, run.chance)
    assert np.array_equal(again.embedding, run.embedding)
    assert RunDir.open(tmp_path / "run").finished


def test_folders_and_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    run_path(GRAPH, TINY, 0, tmp_path / "run")
    with pytest.raises(ValueError, match="not empty"):
        run_path(GRAPH, TINY, 0, tmp_path / "run")
    with pytest.raises(ValueError, match="pause 1 instead of 2"):
        run_path(GRAPH, replace(TINY, pause=2), 0, tmp_path / "run", restart=Restart(resume=True))
    with pytest.raises(ValueError, match="neither a causal LM"):
        run_path(GRAPH, replace(TINY, arch="gtp2"), 0, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="needs a CUDA GPU"):
            PathTraining(GRAPH, TINY, 0, device="cuda")
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        PathTraining(GRAPH, TINY, 0, device="tpu")


def test_divergence_is_said_with_its_step(tmp_path: Path) -> None:
    training = PathTraining(GRAPH, TINY, 0)
    training.advance()
    with torch.no_grad():
        training.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(Diverged, match="diverged at step 1: lower the learning rate"):
        training.advance()
    with pytest.raises(Diverged, match="before step 1"):
        training.measure()


def test_presets_are_settings_that_build() -> None:
    for preset in PRESETS.values():
        graph = parse(preset.graph)
        assert graph.family in ("path-star", "tree-star")
        for settings in preset.conditions.values():
            check_model(settings)
    full = get_preset("full").conditions["in_weights"]
    assert (full.layers, full.width, full.heads, full.pause) == (12, 384, 8, 5)  # the paper's
    assert (get_preset("full").graph, get_preset("full").device) == ("path-star:5000x5", "cuda")
    with pytest.raises(ValueError, match="unknown preset 'fig44'; did you mean 'fig4'"):
        get_preset("fig44")


def test_a_run_of_an_earlier_version_without_later_settings_goes_on(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_path(GRAPH, TINY, 0, tmp_path / "run", watch=Watch(stop=AfterSteps(5)))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    for later in ("path_share", "edge_targets"):
        del config["settings"][later]
    text = json.dumps(config)
    (tmp_path / "run" / "config.json").write_text(text)
    sums = read_sums(tmp_path / "run")
    rewrite_sums(tmp_path / "run", {**sums, "config.json": sha256(text.encode()).hexdigest()})
    run = run_path(GRAPH, TINY, 0, tmp_path / "run", restart=Restart(resume=True))
    assert run.records[-1]["step"] == TINY.steps
    with pytest.raises(ValueError, match=r"path_share None instead of 0\.5"):
        run_path(GRAPH, replace(TINY, path_share=0.5), 0, tmp_path / "run", restart=Restart(resume=True))
