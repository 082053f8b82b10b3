"""Models whose own loss is not the one that is computed are refused: in every dtype, and again after a change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from transformers import AutoModelForCausalLM

from fiedler.kernels import causal_lm_loss, patch
from fiedler.kernels.linear import heads

VOCABULARY = 97
# bfloat16 logits are rounded, the fused loss's are not: in units of the loss.
BFLOAT16 = 0.03
DTYPES = (torch.float32, torch.bfloat16)
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
DECODER = {"d_model": 32, "decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "is_decoder": True}
BAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_chunk_size": 8, "attn_layer_indices": [1]}
# Decoders of encoder-decoder models whose loss is of labels as they come, not of the next ones.
UNSHIFTED = (
    "Bart", "BigBirdPegasus", "Blenderbot", "BlenderbotSmall", "Marian", "MBart", "Mvp", "Pegasus", "PLBart", "TrOCR",
)  # fmt: skip


def made(name: str, **more: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(getattr(hf, f"{name}Config")(**{**SIZES, **more})).eval()


def ids() -> torch.Tensor:
    return torch.randint(3, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))


def refused(model: Any, match: str) -> None:
    for _ in range(2):  # at every call, not at the first alone
        with pytest.raises(ValueError, match=match):
            causal_lm_loss(model, ids())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNSHIFTED)
def test_losses_of_labels_that_are_not_shifted(name: str, dtype: torch.dtype) -> None:
    sizes = {
        "d_model": 32,
        "decoder_layers": 1,
        "decoder_attention_heads": 4,
        "decoder_ffn_dim": 48,
        "is_decoder": True,
    }
    refused(made(name, **sizes).to(dtype), "labels it does not shift")


def bamba(**more: Any) -> Any:
    sizes = {
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_d_state": 8,
        "mamba_chunk_size": 8,
        "attn_layer_indices": [1],
    }
    return made("Bamba", **{**sizes, **more})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("coefficient", [0.1, 1e-4])
def test_a_further_term_of_the_loss(coefficient: float, dtype: torch.dtype) -> None:
    model = bamba(z_loss_coefficient=coefficient).to(dtype)
    refused(model, "further term")
    with pytest.raises((TypeError, ValueError), match=r"further term|patched"):
        patch(model)


FALCON = {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_state": 8, "mamba_chunk_size": 8, "head_dim": 8}
SCALED = {
    "FalconH1": FALCON | {"lm_head_multiplier": 0.75},
    "RecurrentGemma": {"lru_width": 32, "num_hidden_layers": 3, "attention_window_size": 16, "logits_soft_cap": 30.0},
    "Gemma2": {"head_dim": 8, "final_logit_softcapping": 500.0},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SCALED)
def test_scales_and_caps_are_known_by_their_names(name: str, dtype: torch.dtype) -> None:
    model, tokens = made(name, **SCALED[name]).to(dtype), ids()
    ours, theirs = causal_lm_loss(model, tokens), model(input_ids=tokens, labels=tokens).loss
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5 if dtype == torch.float32 else BFLOAT16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SCALED)
def test_scales_and_caps_of_other_names_are_found(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a cap of 500 over random weights' logits, which it does not change by a rounding."""
    model = made(name, **SCALED[name]).to(dtype)
    for names in ("SCALE_NAMES", "CAP_NAMES"):
        monkeypatch.setattr(heads, names, ())
    refused(model, "not its hidden states times its output embedding")
    with pytest.raises(ValueError, match="not its hidden states times its output embedding"):
        patch(model)


def test_what_changes_after_the_first_call() -> None:
    model, tokens = made("Llama"), ids()
    first = causal_lm_loss(model, tokens)
    model.loss_function = lambda logits, labels, vocab_size, **_: logits.square().mean()
    refused(model, "not the mean next-token cross-entropy")
    del model._loss_function
    assert causal_lm_loss(model, tokens) == first
    hook = model.lm_head.register_forward_hook(lambda module, inputs, output: output + 1e-3)
    refused(model, "differ")
    hook.remove()
    head = model.lm_head
    model.lm_head = torch.nn.Linear(32, VOCABULARY, bias=False)
    model.lm_head.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],))
    refused(model, "differ")
    model.lm_head = head
    assert causal_lm_loss(model, tokens) == first


def test_the_trial_runs_once_and_leaves_the_model_as_it_was() -> None:
    model, tokens, calls = made("Llama").train(), ids(), []
    model.register_forward_pre_hook(lambda module, inputs: calls.append(module.training))
    for _ in range(3):
        causal_lm_loss(model, tokens)
    assert calls == [False]
    assert model.training
    assert not model.lm_head._forward_hooks


def test_int32_tokens_and_labels() -> None:
    model, tokens = made("Llama"), ids()
    expected = causal_lm_loss(model, tokens)
    assert causal_lm_loss(model, tokens.int()) == expected
    assert causal_lm_loss(model, tokens, tokens.int()) == expected


def test_a_model_that_fails_on_tokens_and_labels_alone() -> None:
    model = made("Llama")
    model.model.register_forward_pre_hook(lambda module, inputs: 1 / 0)
    with pytest.raises(ValueError, match=r"cannot be tried .* \(ZeroDivisionError"):
        causal_lm_loss(model, ids())
