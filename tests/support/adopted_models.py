"""Small Hugging Face models and a batch for the tests of ``patch``, and a training step of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import (
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
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
)

VOCABULARY, WIDTH = 100, 32
DECODER = {
    "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT = {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 64}
STILL = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
EXPERTS = {"output_router_logits": True, "router_aux_loss_coef": 0.1, "num_experts_per_tok": 2}
QWEN_EXPERTS = {"num_experts": 4, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}

MODELS: dict[str, Any] = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT, **STILL)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**DECODER)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**DECODER)),
    "qwen2, tied": lambda: Qwen2ForCausalLM(Qwen2Config(**DECODER, tie_word_embeddings=True)),
    "gemma2, capped": lambda: Gemma2ForCausalLM(Gemma2Config(**DECODER, head_dim=8, final_logit_softcapping=0.3)),
    "mixtral, router loss": lambda: MixtralForCausalLM(MixtralConfig(**DECODER, **EXPERTS, num_local_experts=4)),
    "qwen2_moe, router loss": lambda: Qwen2MoeForCausalLM(Qwen2MoeConfig(**DECODER, **EXPERTS, **QWEN_EXPERTS)),
    "mamba": lambda: MambaForCausalLM(
        MambaConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=2, state_size=8)
    ),
    "cohere, scaled": lambda: CohereForCausalLM(CohereConfig(**DECODER, logit_scale=0.25)),
    "gptj, biased head": lambda: GPTJForCausalLM(GPTJConfig(**GPT, **STILL, rotary_dim=4)),
}


def make(name: str) -> Any:
    """The model in training, the same weights every time, biases away from their zeros."""
    torch.manual_seed(0)
    model = MODELS[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.train()


def batch(rows: int = 3, seed: int = 1) -> dict[str, Tensor]:
    """Tokens, labels with ignored ones, and a mask with padding on the right."""
    ids = torch.randint(3, VOCABULARY, (rows, 11), generator=torch.Generator().manual_seed(seed))
    labels, mask = ids.clone(), torch.ones_like(ids)
    labels[0, :4] = -100
    labels[-1, -3:] = -100
    mask[-1, -3:] = 0
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    """The gradient of every parameter that has one, whole where it is sharded; they are forgotten by the model."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            gradient: Any = parameter.grad
            found[name.removeprefix("module.")] = (
                gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient.clone()
            )
            parameter.grad = None
    return found


def step(model: torch.nn.Module, **inputs: Any) -> tuple[float, dict[str, Tensor]]:
    """The loss of one pass forward and back, and the gradients."""
    loss = model(**inputs).loss
    loss.backward()
    return loss.item(), gradients(model)


def error(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest difference of any gradient, in units of the largest entry of that gradient."""
    assert found.keys() == expected.keys()
    return max(
        ((found[name] - value).abs().max() / value.abs().max().clamp_min(1e-4)).item()
        for name, value in expected.items()
    )
