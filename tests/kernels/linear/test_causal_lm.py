"""The fused loss of Hugging Face models against the models' own loss and gradients."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    BertConfig,
    BertLMHeadModel,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTJConfig,
    GPTJForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
)

from fiedler.kernels.linear.causal_lm import causal_lm_loss
from fiedler.kernels.linear.heads import output_head

VOCABULARY, WIDTH = 97, 32
# Loss and gradients of two float32 programs that add in different orders, relative to the largest entry.
CLOSE = 2e-5

DECODER = {
    "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def make(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    gpt2 = {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 64}
    builders = {
        "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**gpt2)),
        "gptj": lambda: GPTJForCausalLM(GPTJConfig(**gpt2, rotary_dim=4)),  # a head with a bias
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**DECODER)),
        "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**DECODER)),
        "mamba": lambda: MambaForCausalLM(
            MambaConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=2, state_size=8)
        ),
        "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**DECODER, head_dim=8, final_logit_softcapping=0.3)),
        "cohere": lambda: CohereForCausalLM(CohereConfig(**DECODER, logit_scale=0.25)),
        "granite": lambda: GraniteForCausalLM(GraniteConfig(**DECODER, logits_scaling=3.0)),
    }
    model = builders[name]()
    with torch.no_grad():
        for parameter in model.parameters():  # biases too, away from their zeros
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, VOCABULARY, (3, 11), generator=generator)
    labels = ids.clone()
    labels[0, :4] = -100
    labels[2, -3:] = -100
    mask = torch.ones_like(ids)
    mask[2, -3:] = 0
    return ids, labels, mask


def gradients(model: torch.nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["gpt2", "gptj", "llama", "gpt_neox", "mamba", "gemma2", "cohere", "granite"])
def test_loss_and_gradients_are_the_models_own(name: str) -> None:
    model = make(name)
    ids, labels, mask = batch()
    theirs = model(input_ids=ids, labels=labels, attention_mask=mask).loss
    ours = causal_lm_loss(model, ids, labels, mask)
    assert ours.item() == pytest.approx(theirs.item(), rel=CLOSE)
    expected, found = gradients(model, theirs), gradients(model, ours)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        scale = value.abs().max().clamp_min(1e-4)
        assert ((found[key] - value).abs().max() / scale).item() < CLOSE, key


def test_head_is_read_from_the_config() -> None:
    assert output_head(make("gemma2")).logit_softcap == 0.3
    assert output_head(make("cohere")).scale == 0.25
    assert output_head(make("granite")).scale == pytest.approx(1 / 3)
    assert output_head(make("gptj")).bias is not None


def test_labels_default_to_inputs_without_padding() -> None:
    model = make("llama")
    ids, _, mask = batch()
    theirs = model(input_ids=ids, labels=ids.masked_fill(mask == 0, -100), attention_mask=mask).loss
    assert causal_lm_loss(model, ids, attention_mask=mask).item() == pytest.approx(theirs.item(), rel=CLOSE)


def test_number_of_items_and_statistics() -> None:
    model = make("gpt2")
    ids, labels, mask = batch()
    theirs = model(input_ids=ids, labels=labels, attention_mask=mask, num_items_in_batch=7).loss
    out = causal_lm_loss(model, ids, labels, mask, num_items_in_batch=7, return_lse=True, return_accuracy=True)
    assert out.loss.item() == pytest.approx(theirs.item(), rel=CLOSE)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    torch.testing.assert_close(out.lse, logits.logsumexp(-1), rtol=1e-5, atol=1e-5)
    kept = labels[:, 1:] != -100
    hits = (logits.argmax(-1) == labels[:, 1:])[kept].float().mean()
    assert out.accuracy.item() == pytest.approx(hits.item())


def test_frozen_trunk_trains_the_head() -> None:
    model = make("llama")
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)
    model.lm_head.weight.requires_grad_(True)
    ids, labels, mask = batch()
    theirs = gradients(model, model(input_ids=ids, labels=labels, attention_mask=mask).loss)
    ours = gradients(model, causal_lm_loss(model, ids, labels, mask))
    assert ours.keys() == theirs.keys() == {"lm_head.weight"}
    torch.testing.assert_close(ours["lm_head.weight"], theirs["lm_head.weight"], rtol=1e-4, atol=1e-7)


def test_unknown_transformations_are_refused() -> None:
    model = make("llama")
    model.lm_head.register_forward_hook(lambda module, inputs, output: 2 * output)
    with pytest.raises(ValueError, match="not its hidden states times its output embedding"):
        causal_lm_loss(model, *batch())
    torch.manual_seed(0)
    masked = BertLMHeadModel(
        BertConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                   intermediate_size=32, is_decoder=True)
    )  # fmt: skip
    with pytest.raises((ValueError, TypeError)):
        causal_lm_loss(masked, *batch())


def test_heads_that_do_more_than_multiply_are_refused() -> None:
    class Adapter(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + 1.0

    model = make("llama")
    model.lm_head = Adapter(WIDTH, VOCABULARY, bias=False)
    with pytest.raises(TypeError, match="Adapter"):
        causal_lm_loss(model, *batch())
    with pytest.raises(TypeError, match="no Hugging Face causal LM"):
        causal_lm_loss(torch.nn.Linear(3, 4), *batch())


def test_training_mode_is_left_as_it_was() -> None:
    model = make("gpt2").train()
    model.transformer.h[0].eval()
    before = {name: module.training for name, module in model.named_modules()}
    causal_lm_loss(model, *batch())
    assert {name: module.training for name, module in model.named_modules()} == before


def test_arguments_are_checked() -> None:
    model = make("gpt2")
    ids, labels, _ = batch()
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        causal_lm_loss(model, ids, labels[:, 1:])
    with pytest.raises(ValueError, match="num_items_in_batch"):
        causal_lm_loss(model, ids, labels, num_items_in_batch=3, reduction="mean")
    with pytest.raises(ValueError, match="logit_softcap"):
        causal_lm_loss(make("gemma2"), ids, labels, logit_softcap=30.0)


def test_tokens_are_checked() -> None:
    model = make("gpt2")
    ids, _, _ = batch()
    with pytest.raises(ValueError, match=f"no token of the model's {VOCABULARY}"):
        causal_lm_loss(model, ids + VOCABULARY)
    with pytest.raises(TypeError, match=r"input_ids must be int64 token numbers, got torch\.float32"):
        causal_lm_loss(model, ids.float())
    with pytest.raises(ValueError, match="attention_mask must be"):
        causal_lm_loss(model, ids, attention_mask=torch.ones(1, 1))
    with pytest.raises(ValueError, match="num_items_in_batch"):
        causal_lm_loss(model, ids, num_items_in_batch=0)
