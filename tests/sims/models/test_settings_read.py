"""The table of what models read is what they read: every setting changed, in every model, a few steps trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.cli.commands import main
from fiedler.sims.models import settings_read
from fiedler.sims.models.registry import get_model
from fiedler.sims.models.settings_read import unread_settings
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

TASK = Task(parse("cycle:5"))
MODELS = ("one-layer", "linear", "mlp", "transformer", "mamba")
BASE = {"width": 4, "init_std": 0.2, "steps": 4}
CHANGED = {
    "learning_rate": 0.02, "width": 8, "heads": 2, "layers": 2, "init_std": 0.3, "weight_decay": 0.1, "dropout": 0.3,
    "embedding_std": 0.5, "position_std": 0.5, "optimiser": "sgd", "schedule": "cosine", "other_tokens": 3,
    "activation": "relu", "state_size": 4, "expand": 3,
}  # fmt: skip
# Steps are how often the rest is done; a geometry is the matter of test_guidance.
ELSEWHERE = ("steps", "geometry", "geometry_strength")


def trained(word: str, changes: dict) -> np.ndarray:
    model = get_model(word)
    training = model.start(TASK, model.settings(**{**BASE, **changes}), [0])
    training.advance(3)
    final = training.finals()[0]
    return np.concatenate([final.embedding.ravel(), final.logits.ravel()])


@pytest.mark.parametrize("word", MODELS)
def test_a_setting_that_is_read_changes_the_run_and_one_that_is_not_does_not(word: str) -> None:
    model = get_model(word)
    plain, default = trained(word, {}), model.settings(**BASE)
    read = model.setting_types()
    for name in model.setting_types(earlier=True):
        if name in ELSEWHERE:
            continue
        try:
            found = trained(word, {name: CHANGED.get(name, not getattr(default, name))})
        except ValueError:
            continue  # refused by the model itself
        assert np.array_equal(found, plain) == (name not in read), name


def test_words_of_earlier_folders_are_still_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word = "linear:heads=2,width=4,steps=3"
    with pytest.raises(ValueError, match="no setting 'heads'"):
        get_model(word)
    assert get_model(word, earlier=True).make_settings().heads == 2
    words = ["train", "cycle:5", "--model", word, "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "has no setting 'heads'" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 2  # nothing to go on with
    with pytest.MonkeyPatch.context() as patch:  # a version without the table
        patch.setattr(settings_read, "unread_settings", lambda arch: ())
        assert main(words) == 0
    assert main([*words, "--resume"]) == 0
    assert main(["score", str(tmp_path / "run"), "--json"]) == 0
    assert "heads" in unread_settings("linear")
