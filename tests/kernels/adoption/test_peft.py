"""Adapters of PEFT on patched models: losses, gradients, merging and files are those of the model itself with them."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("peft", reason="peft is not installed: pip install peft")

import peft
from transformers import Trainer, TrainingArguments

from adopted_models import VOCABULARY, batch, error, gradients, make, step
from fiedler.kernels import causal_lm_loss, patch, unpatch

CLOSE = 2e-5  # as in test_models

SAVED = {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "attention of gpt2": ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
    "attention": ("llama", {"target_modules": ["q_proj", "v_proj"]}),
    "dropout": ("llama", {"target_modules": ["q_proj"], "lora_dropout": 0.5}),
    "DoRA": ("llama", {"target_modules": ["q_proj"], "use_dora": True}),
    "all linear layers": ("llama", {"target_modules": "all-linear"}),
    "new tokens": ("llama", {"target_modules": ["q_proj"], "trainable_token_indices": [3, 4]}),
    "embedding of a tied head": ("qwen2, tied", {"target_modules": ["q_proj", "embed_tokens"]}),
    "saved head": ("llama", SAVED),
    "saved head, tied before": ("qwen2, tied", SAVED),
    "saved head, capped": ("gemma2, capped", SAVED),
    "saved head, biased": ("gptj, biased head", SAVED),
    "saved head, router loss": ("mixtral, router loss", SAVED),
}
OTHERS = {
    "prompts": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "prefixes": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "IA3": lambda: peft.IA3Config(task_type="CAUSAL_LM", target_modules=["q_proj"], feedforward_modules=[]),
    "VeRA": lambda: peft.VeraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]),
    "OFT": lambda: peft.OFTConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]),
    "AdaLoRA, a loss of its own": lambda: peft.AdaLoraConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj"], total_step=10
    ),
}


def lora(**options: Any) -> Any:
    """Adapters that are not zero from the start."""
    return peft.LoraConfig(r=4, task_type="CAUSAL_LM", init_lora_weights=False, **options)


def adapted(model: Any, config: Any) -> Any:
    torch.manual_seed(5)
    return peft.get_peft_model(model, config).train()


def same(own: Any, patched: Any, **inputs: Any) -> None:
    found = []
    for model in (own, patched):
        torch.manual_seed(3)  # dropout
        found.append(step(model, **batch(), **inputs))
    (loss, expected), (ours, made) = found
    assert ours == pytest.approx(loss, rel=CLOSE)
    assert error(made, expected) < CLOSE
    assert patched(**batch()).logits is None
    own_logits = own.eval()(**batch()).logits
    assert torch.equal(patched.eval()(**batch()).logits, own_logits)
    for model in (own, patched):
        model.train()


def both(name: str, config: Any) -> tuple[Any, Any, Any]:
    """The model itself, one patched before its adapters came and one after; of the latter the PEFT model is given."""
    return adapted(make(name), config), adapted(patch(make(name)), config), patch(adapted(make(name), config))


@pytest.mark.parametrize("case", CASES)
def test_lora(case: str) -> None:
    name, options = CASES[case]
    own, before, after = both(name, lora(**options))
    for model in (before, after):
        same(own, model)
        same(own, model, num_items_in_batch=torch.tensor(7))


@pytest.mark.parametrize("case", OTHERS)
def test_other_adapters(case: str) -> None:
    own, before, after = both("llama", OTHERS[case]())
    for model in (before, after):
        (loss, expected), (ours, made) = step(own, **batch()), step(model, **batch())
        assert ours == pytest.approx(loss, rel=CLOSE)
        assert error(made, expected) < CLOSE
        assert model(**batch()).logits is None


def test_adapters_that_transformers_adds() -> None:
    own, model = make("llama"), patch(make("llama"))
    for one in (own, model):
        torch.manual_seed(5)
        one.add_adapter(lora(target_modules=["q_proj", "v_proj"]))
        one.train()
    same(own, model)


def test_the_base_model_may_be_given_and_gradient_checkpointing() -> None:
    own, model = (adapted(make("llama"), lora(**SAVED)) for _ in range(2))
    assert patch(model.get_base_model()) is model.get_base_model()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    same(own, model)


def test_several_adapters_with_heads_of_their_own() -> None:
    models = both("llama", lora(**SAVED))
    for model in models:
        torch.manual_seed(6)
        model.add_adapter("second", lora(**SAVED))
        model.add_adapter("headless", lora(target_modules=["q_proj"]))
        with torch.no_grad():
            model.get_output_embeddings().modules_to_save["second"].weight.mul_(2.0)
    own, *patched = models
    losses = []
    for name in ("second", "default", "headless"):
        for model in models:
            model.set_adapter(name)
        losses.append(step(own, **batch())[0])
        for model in patched:
            same(own, model)
    assert losses[0] != pytest.approx(losses[1], rel=CLOSE)
    for model in patched:
        model.set_adapter("second")
        with model.disable_adapter():
            output = model(**batch())
        assert output.logits is None
        assert output.loss.item() == pytest.approx(make("llama")(**batch()).loss.item(), rel=CLOSE)


@pytest.mark.parametrize("case", ["attention", "saved head", "saved head, tied before"])
def test_merged(case: str) -> None:
    name, options = CASES[case]
    own, *patched = (model.merge_and_unload() for model in both(name, lora(**options)))
    for one in (own, *patched):
        one.requires_grad_(True)
    for model in patched:
        assert list(model.state_dict()) == list(own.state_dict())
        same(own, model)
        unpatch(model)
        assert type(model) is type(own)
        assert type(model.lm_head) is torch.nn.Linear


def test_unpatch_with_adapters() -> None:
    own, *patched = both("llama", lora(**SAVED))
    for model in patched:
        assert unpatch(model) is model
        assert [type(one) for one in model.modules()] == [type(one) for one in own.modules()]
        assert step(model, **batch())[0] == step(own, **batch())[0]
    model = unpatch(adapted(patch(make("llama")), lora(target_modules=["lm_head"])))
    assert type(model.get_output_embeddings().base_layer) is torch.nn.Linear
    assert model(**batch()).logits.shape == (3, 11, VOCABULARY)


@pytest.mark.parametrize("case", ["attention", "saved head"])
def test_files_of_adapters(case: str, tmp_path: Path) -> None:
    name, options = CASES[case]
    own, model, _ = both(name, lora(**options))
    folders = tmp_path / "own", tmp_path / "patched"
    for one, folder in zip((own, model), folders, strict=True):
        one.save_pretrained(folder)
    first, second = ((folder / "adapter_model.safetensors").read_bytes() for folder in folders)
    assert first == second
    first, second = (json.loads((folder / "adapter_config.json").read_text()) for folder in folders)
    assert first == second
    again = peft.PeftModel.from_pretrained(patch(make(name)), folders[0], is_trainable=True).train()
    same(own, again)
    same(own, patch(peft.PeftModel.from_pretrained(make(name), folders[1], is_trainable=True)).train())


def test_copies() -> None:
    own, *patched = both("llama", lora(**SAVED))
    for model in patched:
        same(own, copy.deepcopy(model))
        same(own, pickle.loads(pickle.dumps(model)))


def test_trainer(tmp_path: Path) -> None:
    rows = [{key: value[row] for key, value in batch(8).items()} for row in range(8)]
    logs = []
    for model in both("llama", lora(**SAVED)):
        arguments = TrainingArguments(
            str(tmp_path), per_device_train_batch_size=2, gradient_accumulation_steps=2, max_steps=2, logging_steps=1,
            save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, seed=0,
        )  # fmt: skip
        trainer = Trainer(model, arguments, train_dataset=rows)
        trainer.train()
        logs.append([log["loss"] for log in trainer.state.log_history if "loss" in log])
    assert len(logs[0]) == 2
    for losses in logs[1:]:
        assert losses == pytest.approx(logs[0], rel=1e-4)  # as in test_trainer


@pytest.mark.long
def test_compiled() -> None:
    own, _, model = both("llama", lora(**SAVED))
    loss, expected = step(own, **batch())
    output = torch.compile(model, fullgraph=True, backend="eager")(**batch())
    output.loss.backward()
    assert output.logits is None
    assert output.loss.item() == pytest.approx(loss, rel=CLOSE)
    assert error(gradients(model), expected) < CLOSE


def test_causal_lm_loss_of_a_saved_head() -> None:
    own, model, _ = both("llama", lora(**SAVED))
    for one in (own, model):
        found = causal_lm_loss(one.get_base_model(), **batch())
        assert found.item() == pytest.approx(own(**batch()).loss.item(), rel=CLOSE)


# --- refusals: a loss that would not be the model's ---


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("llama", {"target_modules": ["q_proj", "lm_head"]}, "Linear"),
        ("llama", {"target_modules": ["lm_head"], "use_dora": True}, "Linear"),
        ("qwen2, tied", {"target_modules": ["q_proj"], "trainable_token_indices": [3, 4]}, "TrainableTokensWrapper"),
    ],
)
def test_adapters_on_the_head_are_refused(name: str, options: dict[str, Any], kind: str) -> None:
    message = f"is {kind} of PEFT, not a plain.*leave it out, train the head whole by modules_to_save, or merge"
    own, model = adapted(make(name), lora(**options)), adapted(patch(make(name)), lora(**options))
    with pytest.raises(TypeError, match=message):
        model(**batch())
    with pytest.raises(TypeError, match=message):
        patch(own)
    for one in (own, model):
        one.eval()
    assert torch.equal(model(**batch()).logits, own(**batch()).logits)
    own, model = (one.merge_and_unload().requires_grad_(True).train() for one in (own, model))  # the remedy
    same(own, model)
    same(own, patch(copy.deepcopy(own)))


def test_a_saved_head_tied_since_is_patched_by_a_second_call() -> None:
    options = {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}
    own, model, _ = both("qwen2, tied", lora(**options))
    with pytest.raises(TypeError, match="call patch again"):
        model(**batch())
    same(own, patch(model))
