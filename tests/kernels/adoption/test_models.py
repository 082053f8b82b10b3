"""Loss and gradients of patched models against the models' own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from adopted_models import MODELS, VOCABULARY, batch, error, gradients, make, step
from fiedler.kernels import causal_lm_loss, linear_cross_entropy, patch

# Losses and gradients of two float32 programs that add in different orders, in units of the largest entry.
CLOSE = 2e-5


def pair(name: str) -> tuple[Any, Any]:
    """The model itself and a patched copy."""
    own = make(name)
    return own, patch(copy.deepcopy(own))


def same(own: Any, patched: Any, **inputs: Any) -> None:
    loss, expected = step(own, **inputs)
    found, made = step(patched, **inputs)
    assert found == pytest.approx(loss, rel=CLOSE)
    assert error(made, expected) < CLOSE


@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradients_are_the_models_own(name: str) -> None:
    own, patched = pair(name)
    inputs = batch()
    theirs, ours = own(**inputs), patched(**inputs)
    assert type(ours) is type(theirs)
    assert set(theirs) - set(ours) == {"logits"}
    assert ours.logits is None
    same(own, patched, **inputs)  # with ignored labels and padding
    same(own, patched, **inputs, num_items_in_batch=torch.tensor(7))
    same(own, patched, **inputs, num_items_in_batch=7)
    same(own, patched, **inputs, shift_labels=inputs["labels"].roll(-1, 1))
    same(
        own, patched, **{**inputs, "labels": inputs["labels"].masked_fill(inputs["labels"] == -100, 5)}, ignore_index=5
    )


def test_other_arguments_of_the_forward() -> None:
    own, patched = pair("llama")
    inputs = batch()
    packed = {"position_ids": torch.tensor([0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3]).expand(3, -1)}
    same(own, patched, **inputs, **packed)
    embedded = own.get_input_embeddings()(inputs["input_ids"]).detach()
    same(own, patched, labels=inputs["labels"], inputs_embeds=embedded)
    cached = [model(input_ids=inputs["input_ids"][:, :4], use_cache=True).past_key_values for model in (own, patched)]
    ends = {"input_ids": inputs["input_ids"][:, 4:], "labels": inputs["labels"][:, 4:]}
    losses = [model(**ends, past_key_values=cache).loss for model, cache in zip((own, patched), cached, strict=True)]
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=CLOSE)
    output = patched(**inputs, output_hidden_states=True, use_cache=True)
    assert len(output.hidden_states) == 3
    assert output.past_key_values is not None
    ids, labels = inputs["input_ids"], inputs["labels"]
    by_place = patched(ids, None, None, None, None, labels).loss  # labels are its sixth argument
    assert by_place.item() == pytest.approx(own(input_ids=ids, labels=labels).loss.item(), rel=CLOSE)


def test_nothing_counts() -> None:
    patched = patch(make("llama"))
    inputs = batch() | {"labels": torch.full((3, 11), -100)}
    assert patched(**inputs).loss.isnan()
    loss, made = step(patched, **inputs, num_items_in_batch=7)
    assert loss == 0
    assert max(gradient.abs().max().item() for gradient in made.values()) == 0


def test_the_router_loss_is_the_models() -> None:
    own, patched = pair("mixtral, router loss")
    assert patched(**batch()).aux_loss.item() == pytest.approx(own(**batch()).aux_loss.item(), rel=CLOSE)
    without = {"output_router_logits": False}
    same(own, patched, **batch(), **without)
    assert patched(**batch()).loss.item() > patched(**batch(), **without).loss.item() + 0.01


def test_smoothing_and_z_loss_are_terms_of_training() -> None:
    model = patch(make("llama"), label_smoothing=0.1, z_loss=0.01, path="recompute", chunk_rows=3)
    inputs = batch()
    hidden = model.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
    target = inputs["labels"][:, 1:]
    expected = linear_cross_entropy(hidden[:, :-1], model.lm_head.weight, target, label_smoothing=0.1, z_loss=0.01)
    assert model(**inputs).loss.item() == pytest.approx(expected.item(), rel=CLOSE)
    plain = make("llama").eval()(**inputs).loss.item()
    assert model.eval()(**inputs).loss.item() == plain
    assert patch(model, logits="never", z_loss=1.0)(**inputs).loss.item() == pytest.approx(plain, rel=CLOSE)


def test_accumulated_gradients() -> None:
    own, patched = pair("qwen2, tied")
    expected = {}
    for model in (own, patched):
        for seed in (1, 2):
            model(**batch(seed=seed), num_items_in_batch=30).loss.backward()
        expected[model] = gradients(model)
    assert error(expected[patched], expected[own]) < CLOSE


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing(reentrant: bool) -> None:
    own, patched = pair("llama")
    patched.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    patched.enable_input_require_grads()
    same(own, patched, **batch())


def test_the_whole_model_checkpointed() -> None:
    own, patched = pair("llama")
    inputs = batch()
    loss, expected = step(own, **inputs)
    checkpoint = torch.utils.checkpoint.checkpoint
    found = checkpoint(lambda: patched(**inputs).loss, use_reentrant=False)
    found.backward()
    assert found.item() == pytest.approx(loss, rel=CLOSE)
    assert error(gradients(patched), expected) < CLOSE


def test_bfloat16_and_autocast() -> None:
    own, patched = pair("llama")
    with torch.autocast("cpu", torch.bfloat16):
        loss, found = own(**batch()).loss.item(), patched(**batch()).loss.item()
    assert found == pytest.approx(loss, rel=4e-3)  # its logits are rounded to bfloat16
    half = patch(copy.deepcopy(own).bfloat16())
    assert half(**batch()).loss.item() == pytest.approx(loss, rel=1e-2)


def test_causal_lm_loss_of_a_patched_model() -> None:
    own, patched = pair("gemma2, capped")
    inputs = batch()
    assert causal_lm_loss(patched, **inputs).item() == pytest.approx(own(**inputs).loss.item(), rel=CLOSE)


def test_compiled() -> None:
    own, patched = pair("llama")
    compiled = torch.compile(patched, fullgraph=True, backend="eager")
    loss, expected = step(own, **batch(), num_items_in_batch=torch.tensor(7))
    output = compiled(**batch(), num_items_in_batch=torch.tensor(7))
    output.loss.backward()
    assert output.logits is None
    assert output.loss.item() == pytest.approx(loss, rel=CLOSE)
    assert error(gradients(patched), expected) < CLOSE
    assert patched.lm_head.pending is None
    assert compiled.eval()(**batch()).logits.shape == (3, 11, VOCABULARY)
    with pytest.raises(TypeError, match="patch it before it is wrapped"):
        patch(torch.compile(own))
