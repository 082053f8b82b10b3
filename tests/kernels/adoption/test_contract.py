"""What ``patch`` leaves as it was: evaluation, generation, names, copies; when logits are there; what it refuses."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForCausalLM, LlamaForCausalLM

from adopted_models import MODELS, VOCABULARY, batch, make, step
from fiedler.kernels import patch, unpatch

CLOSE = 2e-5  # as in test_models


def patched(name: str = "llama", **options: Any) -> Any:
    return patch(make(name), **options)


def without_labels() -> dict[str, torch.Tensor]:
    inputs = batch()
    del inputs["labels"]
    return inputs


@pytest.mark.parametrize("name", ["gemma2, capped", "mixtral, router loss", "mamba"])
def test_evaluation_is_the_models_own(name: str) -> None:
    own, ours = make(name).eval()(**batch()), patched(name).eval()(**batch())
    assert torch.equal(ours.logits, own.logits)
    assert ours.loss.item() == own.loss.item()


def test_calls_without_labels_and_tuples_are_the_models_own() -> None:
    own, ours = make("llama"), patched()
    assert torch.equal(ours(**without_labels()).logits, own(**without_labels()).logits)
    found, expected = ours(**batch(), return_dict=False), own(**batch(), return_dict=False)
    assert isinstance(found, tuple)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    mamba = patched("mamba")
    mamba.config.return_dict = False
    assert mamba(**batch())[1].shape == (3, 11, VOCABULARY)


def test_generate() -> None:
    prompt = {"input_ids": batch()["input_ids"][:1, :4], "max_new_tokens": 5, "do_sample": False}
    assert torch.equal(patched().eval().generate(**prompt), make("llama").eval().generate(**prompt))


def test_logits_where_they_are_asked_for() -> None:
    own, inputs = make("gemma2, capped"), batch()
    logits = own(**inputs).logits
    model = patched("gemma2, capped")
    for keep, rows in ((2, slice(-2, None)), (torch.tensor([1, 4]), torch.tensor([1, 4]))):
        output = model(**inputs, logits_to_keep=keep)
        torch.testing.assert_close(output.logits, logits[:, rows])
        assert output.loss.item() == pytest.approx(own(**inputs).loss.item(), rel=CLOSE)
    output = patch(model, logits="always")(**inputs)
    torch.testing.assert_close(output.logits, logits)
    assert output.logits.requires_grad
    patch(model, logits="never").eval()
    assert model(**inputs).logits is None
    assert model(**inputs).loss.item() == pytest.approx(own.eval()(**inputs).loss.item(), rel=CLOSE)
    assert model(**without_labels()).logits.shape == (3, 11, VOCABULARY)


def test_names_signature_and_state_dict_are_unchanged() -> None:
    own, model = make("llama"), patched()
    assert isinstance(model, LlamaForCausalLM)
    assert (type(model).__name__, str(type(model)), repr(model)) == ("LlamaForCausalLM", str(type(own)), repr(own))
    assert inspect.signature(model.forward) == inspect.signature(own.forward)
    assert list(model.state_dict()) == list(own.state_dict())
    assert [name for name, _ in model.named_modules()] == [name for name, _ in own.named_modules()]
    model.load_state_dict(own.state_dict())


def test_saved_and_loaded(tmp_path: Any) -> None:
    model = patched("qwen2, tied")
    model.save_pretrained(tmp_path)
    assert model.config.architectures == ["Qwen2ForCausalLM"]
    again = type(make("qwen2, tied")).from_pretrained(tmp_path)
    assert again.eval()(**batch()).loss.item() == model.eval()(**batch()).loss.item()


def test_copies_are_patched_and_their_own() -> None:
    model = patched(z_loss=0.1)
    for one in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert one.lm_head is not model.lm_head
        assert one(**batch()).logits is None
        assert one(**batch()).loss.item() == model(**batch()).loss.item()
        with torch.no_grad():
            one.lm_head.weight.zero_()
        assert one(**batch()).loss.item() != model(**batch()).loss.item()
        assert unpatch(one)(**batch()).logits is not None
    assert model(**batch()).logits is None


def test_twice_is_once_and_unpatch_restores() -> None:
    own, model = make("llama"), make("llama")
    assert patch(model) is model
    classes = type(model), type(model.lm_head)
    patch(patch(model), z_loss=0.1)
    assert (type(model), type(model.lm_head)) == classes
    assert unpatch(unpatch(model)) is model
    assert (type(model), type(model.lm_head)) == (type(own), torch.nn.Linear)
    assert vars(model).keys() == vars(own).keys()
    assert vars(model.lm_head).keys() == vars(own.lm_head).keys()
    assert step(model, **batch())[0] == step(own, **batch())[0]


def test_a_wrapper_that_calls_forward_itself() -> None:
    """As adapters of PEFT do."""
    assert patched().forward(**batch()).logits is None


def test_hooks_of_the_head_see_its_call() -> None:
    seen: list[Any] = []
    model = patched()
    model.lm_head.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    model.lm_head.register_full_backward_hook(lambda module, before, after: seen.append(after[0].shape))
    step(model, **batch())
    assert seen == [(3, 11, 32), ()]


def test_a_new_head_is_patched_by_a_second_call() -> None:
    model = patched()
    model.resize_token_embeddings(VOCABULARY + 7)
    if not hasattr(model.lm_head, "terms"):
        with pytest.raises(TypeError, match="call patch again"):
            model(**batch())
    loss = patch(model)(**batch())
    assert loss.logits is None
    assert loss.loss.item() == pytest.approx(unpatch(model)(**batch()).loss.item(), rel=CLOSE)


def test_an_error_leaves_nothing_behind() -> None:
    model = patched()
    with pytest.raises(ValueError, match="target"):
        model(**batch() | {"labels": torch.full((3, 11), VOCABULARY)})
    assert model.lm_head.pending is None
    assert model(**without_labels()).logits.shape == (3, 11, VOCABULARY)


def test_training_modes_are_left_as_they_were() -> None:
    model = make("gpt2")
    model.transformer.h[0].eval()
    before = [module.training for module in model.modules()]
    assert [module.training for module in patch(model).modules()] == before


def test_models_without_values_are_patched_untried() -> None:
    with torch.device("meta"):
        model = patch(MODELS["llama"]())
    model.to_empty(device="cpu").load_state_dict(make("llama").state_dict())
    assert model.lm_head.weight.device.type == "cpu"
    assert model.train()(**without_labels()).logits.shape == (3, 11, VOCABULARY)


# --- refusals: one line that names the model, and the model left as it was ---


def refuse(model: Any, kind: type[Exception], message: str, **options: Any) -> None:
    before = type(model)
    with pytest.raises(kind, match=message) as told:
        patch(model, **options)
    assert "\n" not in str(told.value)
    assert type(model) is before


def test_heads_that_do_something_else_are_refused() -> None:
    class Adapter(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + 1.0

    model = make("llama")
    model.lm_head = Adapter(32, VOCABULARY, bias=False)
    refuse(model, TypeError, "LlamaForCausalLM is Adapter, not a plain")
    model = make("llama")
    model.lm_head.register_forward_hook(lambda module, inputs, output: 2 * output)
    refuse(model, ValueError, "logits of LlamaForCausalLM are not")
    model = make("llama")
    model.forward = model.forward  # as accelerators replace it
    refuse(model, ValueError, "patch LlamaForCausalLM first")
    scaled = make("cohere, scaled")
    scaled.lm_head = torch.nn.Linear(32, VOCABULARY)
    refuse(scaled, ValueError, "CohereForCausalLM scales logits that have a bias")


def test_losses_that_are_another_are_refused() -> None:
    model = make("llama")
    model.loss_function = lambda logits, labels, **_: logits.square().mean()
    refuse(model, ValueError, "loss_function of LlamaForCausalLM is not next-token cross-entropy")
    refuse(model, ValueError, "loss_function of LlamaForCausalLM is not next-token cross-entropy", verify=False)
    bart = BartForCausalLM(BartConfig(vocab_size=VOCABULARY, d_model=32, decoder_layers=1, encoder_layers=1,
                                      decoder_attention_heads=2, decoder_ffn_dim=32))  # fmt: skip
    refuse(bart, ValueError, "loss of BartForCausalLM is not the mean next-token cross-entropy")
    model = patched()
    with pytest.raises(ValueError, match="unpatch it first"):
        model.loss_function = lambda **_: None

    class Halved(LlamaForCausalLM):
        def forward(self, input_ids: Any = None, labels: Any = None, **given: Any) -> Any:
            output = super().forward(input_ids=input_ids, labels=labels, **given)
            output.loss = output.loss if self.lm_head.__dict__.get("pending") is None else 2 * output.loss
            return output

    refuse(Halved(make("llama").config), ValueError, "loss of Halved is")

    class Shifted(LlamaForCausalLM):
        def forward(self, input_ids: Any = None, labels: Any = None, **given: Any) -> Any:
            output = super().forward(input_ids=input_ids, **given)
            output.loss = self.loss_function(output.logits, labels.clone(), self.config.vocab_size)
            return output

    refuse(Shifted(make("llama").config), TypeError, "Shifted does not take its loss")


def test_wrapped_models_and_others_are_refused() -> None:
    refuse(torch.nn.Linear(3, 4), TypeError, "Linear is no Hugging Face causal LM")
    refuse(make("llama").model, TypeError, "LlamaModel")
    refuse(torch.nn.DataParallel(make("llama")), TypeError, "not a wrapper of it")
    for function in (patch, unpatch):
        with pytest.raises(TypeError, match="not str; pass the model itself"):
            function("gpt2")  # type: ignore[type-var]
    with pytest.raises(ValueError, match="did you mean 'never'"):
        patched(logits="nevr")
