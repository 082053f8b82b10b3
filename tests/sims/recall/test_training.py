"""Factual recall in training: questions, loss, memorisation, chain of thought, and runs taken up again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fiedler.sims.models.protocol import Diverged
from fiedler.sims.models.torch_state import one_thread
from fiedler.sims.recall import training as recall_training
from fiedler.sims.recall.built.planted import plant_construction, planted_accuracy
from fiedler.sims.recall.data import IGNORED, make_recall_data
from fiedler.sims.recall.one_run import run_recall
from fiedler.sims.recall.presets import PRESETS
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.recall.training import RecallTraining, check_recall
from fiedler.sims.runs.checkpoints import usable_steps
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.theory import construct_memory, random_facts

TINY = RecallSettings(
    subjects=6, relations=2, width=16, neurons=24, steps=12, records=4, warmup=3, weight_decay=0.1, batch=5
)
TWO_HOPS = replace(TINY, hops=2, held_out=0.25)
RESULTS = ("metrics.jsonl", "modes.npz", "embeddings.safetensors")
# A fused float32 loss against PyTorch's own, and float32 weights against float64, in units of loss and logits.
FLOAT32_ROUNDING = 1e-5


def test_questions_are_all_facts_and_their_answers() -> None:
    data = make_recall_data(TINY, 3)
    tokens, targets = data.encode(data.train)
    assert tokens.shape == (12, 2)
    assert (targets[:, 0] == IGNORED).all()
    asked = {(int(s), int(r) - 6, int(a) - 8) for (s, r), a in zip(tokens, targets[:, 1], strict=True)}
    assert asked == {(s, r, int(data.facts.table[r, s])) for s in range(6) for r in range(2)}
    assert data.vocabulary.size == 6 + 2 + 6


@pytest.mark.parametrize("written", [False, True])
def test_several_hops_follow_the_facts(written: bool) -> None:
    data = make_recall_data(replace(TWO_HOPS, chain_of_thought=written), 1)
    tokens, targets = data.encode(data.train)
    assert data.vocabulary.size == 6 + 2  # entities answer for themselves
    assert len(data.train[0]) == 12
    assert len(data.train[1]) == 18
    assert len(data.held_out) == 6
    shown = {(int(s), *map(int, w)) for s, w in zip(data.train[1].subjects, data.train[1].words, strict=True)}
    hidden = {(int(s), *map(int, w)) for s, w in zip(data.held_out.subjects, data.held_out.words, strict=True)}
    assert not shown & hidden
    assert len(shown | hidden) == 24
    table = data.facts.table
    for row, wanted in zip(tokens[12:].tolist(), targets[12:].tolist(), strict=True):
        s, first, second = row[0], row[1] - 6, row[2] - 6
        between = int(table[first, s])
        answer = int(table[second, between])
        assert wanted == ([IGNORED, IGNORED, between, answer] if written else [IGNORED, IGNORED, answer])
        assert not written or row[3] == between


def test_facts_held_out_are_shown_alone_only() -> None:
    data = make_recall_data(replace(TINY, hops=2, held_out_facts=0.5), 1)
    assert len(data.train[0]) == 12
    used = [
        {(int(s), int(w)) for s, w in zip(at, one.words[:, hop], strict=True)}
        for one in (data.train[1], data.unseen_facts)
        for hop, at in enumerate((one.subjects, one.path[:, 0]))
    ]
    shown, unseen = used[0] | used[1], used[2] | used[3]
    assert not shown & unseen
    assert len(shown | unseen) <= 12
    assert (
        data.facts.table[data.unseen_facts.words[:, 1], data.unseen_facts.path[:, 0]] == data.unseen_facts.path[:, 1]
    ).all()
    with pytest.raises(ValueError, match="leaves no question of 2 hops"):
        make_recall_data(replace(TINY, hops=2, held_out_facts=0.05), 1)


@pytest.mark.parametrize("written", [False, True])
def test_entities_alone_answer_for_themselves_or_for_others(written: bool) -> None:
    settings = replace(TWO_HOPS, chain_of_thought=written)
    plain = make_recall_data(settings, 1)
    tokens, targets = plain.encode(plain.shown)
    for kind in ("identity", "permuted"):
        data = make_recall_data(replace(settings, zero_hop=kind), 1)
        more, asked = data.encode(data.shown)
        assert torch.equal(more[: len(tokens)], tokens)
        assert torch.equal(asked[: len(tokens)], targets)
        assert more[len(tokens) :, 0].tolist() == list(range(6))
        answers = asked[len(tokens) :, 0].tolist()
        assert (answers == list(range(6))) is (kind == "identity")
        assert sorted(answers) == list(range(6))
        assert (asked[len(tokens) :, 1:] == IGNORED).all()
    training = RecallTraining(replace(settings, zero_hop="identity"), 1)
    assert 0 <= training.measure()["zero_hop_accuracy"] <= 1


def test_disjoint_attributes_have_tokens_of_their_own() -> None:
    data = make_recall_data(replace(TINY, shared=False, attributes=3), 0)
    _, targets = data.encode(data.train)
    first, second = targets[:6, 1], targets[6:, 1]
    assert data.vocabulary.size == 6 + 2 + 2 * 3
    assert set(first.tolist()) == {8, 9, 10}
    assert set(second.tolist()) == {11, 12, 13}


def test_the_loss_is_the_cross_entropy_of_what_is_asked() -> None:
    training = RecallTraining(replace(TWO_HOPS, chain_of_thought=True, batch=0), 0)
    tokens, targets = training.data.encode(training.data.train)
    with torch.no_grad():
        logits = training.model.lm(input_ids=tokens).logits
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    assert training.measure()["loss"] == pytest.approx(float(expected), abs=FLOAT32_ROUNDING)


def test_questions_of_other_lengths_change_no_answer() -> None:
    """Shorter questions are filled up on the right, which no token before sees."""
    training = RecallTraining(TWO_HOPS, 0)
    tokens, _ = training.data.encode(training.data.train)
    with torch.no_grad():
        padded = training.model.hidden(tokens)[:12, 1]
        alone = training.model.hidden(training.data.prompt(training.data.train[0]))[:, 1]
    torch.testing.assert_close(padded, alone, atol=FLOAT32_ROUNDING, rtol=0)


@pytest.mark.parametrize("settings", [TINY, replace(TINY, hops=2, chain_of_thought=True)], ids=["one hop", "written"])
def test_training_memorises(settings: RecallSettings) -> None:
    settings = replace(settings, steps=400, width=32, neurons=64, batch=0, learning_rate=1e-2)
    with one_thread():
        training = RecallTraining(settings, 0)
        before = training.measure()
        while training.step < settings.steps:
            training.advance()
        record = training.measure()
    assert before["accuracy"] < 0.6
    assert record["accuracy"] == 1.0
    assert record["loss"] < 0.1 < before["loss"]
    assert record["accuracy_by_hops"] == [1.0] * settings.hops


def test_answers_come_from_the_model_not_the_facts() -> None:
    """With the answer's entities in the prompt replaced by the model's own, an untrained model fails."""
    training = RecallTraining(replace(TINY, subjects=40, hops=2, chain_of_thought=True), 0)
    assert training.accuracy(training.data.train[1]) < 0.3


def test_frozen_subjects_stay_and_the_rest_learns() -> None:
    training = RecallTraining(replace(TINY, frozen=True), 0)
    start, others = training.model.subjects.clone(), training.model.embedding.detach()[6:].clone()
    for _ in range(5):
        training.advance()
    assert torch.equal(training.model.subjects, start)
    assert not torch.equal(training.model.embedding.detach()[6:], others)
    free = RecallTraining(TINY, 0)
    free.advance()
    assert not torch.equal(free.model.subjects, start)
    codes = RecallTraining(replace(TINY, frozen_codes=True), 0)
    drawn = codes.model.unembedding.detach().clone()
    codes.advance()
    assert torch.equal(codes.model.unembedding, drawn)
    assert not torch.equal(codes.model.subjects, start)


def test_replaced_embeddings_answer_as_tokens_do() -> None:
    model = RecallTraining(TINY, 0).model
    relations = torch.tensor([0, 1, 1])
    with torch.no_grad():
        given = model.answers(model.subjects[[4, 0, 2]], relations)
        asked = model.logits(torch.stack([torch.tensor([4, 0, 2]), 6 + relations], dim=1))
    torch.testing.assert_close(given, asked, atol=FLOAT32_ROUNDING, rtol=0)
    with model.neurons() as seen:
        model.answers(model.subjects[:3], relations)
    assert len(seen) == 1
    assert seen[0].shape == (3, 24)
    assert (seen[0] >= 0).all()


def test_the_construction_fits_into_the_transformer() -> None:
    facts = random_facts(50, 3, seed=4)
    memory = construct_memory(50, 3, code_dimension=24, coherence=0.7, seed=1)
    model = plant_construction(memory, facts)
    with torch.no_grad():
        logits = model.answers(model.subjects, torch.full((50,), 2))
    expected = memory.logits(memory.subject_embeddings(facts), np.full(50, 2))
    np.testing.assert_allclose(logits[:, 53:].numpy(), expected, atol=FLOAT32_ROUNDING * memory.gate_bias * 10)
    assert planted_accuracy(memory, facts) == 1.0
    assert planted_accuracy(memory, random_facts(50, 3, seed=5)) == 1.0  # only subject vectors differ


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


class StopAt(StopRequest):
    """Asks to stop once a training has begun and been measured."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    @property
    def asked(self) -> bool:
        self.looks += 1
        return self.looks > 6


@pytest.mark.parametrize(
    "settings",
    [TINY, TWO_HOPS, replace(TINY, frozen=True, frozen_codes=True), replace(TWO_HOPS, zero_hop="permuted")],
    ids=["batch", "hops", "frozen", "alone"],
)
def test_a_resumed_run_ends_in_the_same_bytes(settings: RecallSettings, tmp_path: Path) -> None:
    whole = run_recall(settings, 1, False, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run_recall(settings, 1, False, tmp_path / "parts", watch=Watch(stop=StopAt()))
    assert 0 < max(usable_steps(RunDir(tmp_path / "parts").checkpoints)) < settings.steps
    parts = run_recall(settings, 1, False, tmp_path / "parts", restart=Restart(resume=True))
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert parts.records == whole.records
    assert ("held_out_accuracy" in whole.records[0]) == (settings.held_out > 0)
    again = run_recall(settings, 1, False, tmp_path / "whole", restart=Restart(resume=True))
    assert again.records == whole.records
    assert again.seconds == whole.seconds


def test_divergence_is_said_with_its_step(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="lower the learning rate"):
        run_recall(replace(TINY, learning_rate=1e30, steps=40, warmup=0), 0, False, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subjects": 0}, "subjects must be at least 1; got 0"),
        ({"subjects": 1}, "at least two subjects"),
        ({"attributes": 7}, "got 7 for 6 subjects"),
        ({"held_out": 0.5}, "raise hops"),
        ({"zero_hop": "identity"}, "raise hops"),
        ({"hops": 2, "zero_hop": "same"}, "must be identity, permuted or empty"),
        ({"hops": 2, "held_out_facts": 1.0}, "must be a share"),
        ({"hops": 2, "shared": False}, "one set of entities"),
        ({"hops": 2, "frozen": True}, "leave frozen, frozen_codes or hops out"),
        ({"hops": 40}, "fewer subjects or hops"),
        ({"heads": 3}, "multiple of heads 3"),
        ({"weight_decay": float("nan")}, "weight_decay must be >= 0"),
        ({"floor": 2.0}, "floor must be a share"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("arch", ["mamba", "gpt3"])
def test_architectures_without_a_perceptron_are_refused(arch: str) -> None:
    with pytest.raises(ValueError, match=r"perceptron|neither a causal LM"):
        check_recall(replace(TINY, arch=arch))


def test_other_architectures_and_presets_build() -> None:
    check_recall(replace(TINY, arch="llama"))
    check_recall(replace(TINY, arch="gpt-neox"))
    for preset in PRESETS.values():
        for settings in preset.conditions.values():
            check_recall(settings)


def test_filling_up_narrow_products_changes_no_loss_and_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for many in (0, 10**9):
        monkeypatch.setattr(recall_training, "MANY_LOGITS", many)
        training = RecallTraining(RecallSettings(subjects=10, relations=2, width=7, neurons=8, steps=3), 0)
        training.advance()
        found.append((training.measure()["loss"], training.model.unembedding.clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)
