"""Architectures of transformers at small sizes, and their switches against models that are built without the part."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from fiedler.sims.models.ablation import embedding_weights
from fiedler.sims.models.architectures import build_causal_lm, read_config
from fiedler.sims.models.switches import Switches

SAME = 1e-6  # float32, logits of order 0.1
V, WIDTH, LAYERS, HEADS = 11, 16, 2, 2
IDS = torch.tensor([[10, 3, 1], [10, 4, 0]])
ARCHS = ("gpt2", "gpt-neox", "llama", "mamba")


def build(arch: str = "gpt2", **changes: Any) -> Any:
    torch.manual_seed(0)
    options = {"vocabulary": V, "positions": 8, "width": WIDTH, "layers": LAYERS, "heads": HEADS, "init_std": 0.1}
    return build_causal_lm(arch, **{**options, **changes}).eval()


def logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return found


def test_the_default_is_transformers_own() -> None:
    torch.manual_seed(0)
    own = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=V, n_positions=8, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, initializer_range=0.1,
            bos_token_id=None, eos_token_id=None,
        )
    ).eval()  # fmt: skip
    torch.testing.assert_close(logits(build()), logits(own), rtol=0, atol=SAME)


@pytest.mark.parametrize("arch", [*ARCHS, "mistral", "qwen3", "mamba2", "opt", "olmo2", "falcon"])
def test_sizes(arch: str) -> None:
    model = build(arch)
    assert logits(model).shape == (2, 3, V)
    assert model.get_input_embeddings().weight.shape == (V, WIDTH)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    deeper = build(arch, layers=LAYERS + 1)
    assert sum(p.numel() for p in deeper.parameters()) > sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("arch", ARCHS)
def test_untied_and_frozen(arch: str) -> None:
    untied = build(arch, switches=Switches(tied=False))
    assert len(embedding_weights(untied)) == 2
    for tied in (True, False):
        frozen = build(arch, switches=Switches(tied=tied, frozen=True))
        still = {id(weight) for weight in embedding_weights(frozen)}
        assert {id(p) for p in frozen.parameters() if not p.requires_grad} == still


@pytest.mark.parametrize("arch", ARCHS)
def test_without_layer_norm_the_model_is_that_with_identities(arch: str) -> None:
    """Hooks that undo every norm give the same logits."""
    model = build(arch)
    for module in model.modules():
        if "Norm" in type(module).__name__:
            module.register_forward_hook(lambda _, inputs, output: inputs[0])
    torch.testing.assert_close(logits(build(arch, switches=Switches(layer_norm=False))), logits(model), rtol=0, atol=0)


@pytest.mark.parametrize("arch", ARCHS[:3])
def test_without_attention_a_token_sees_only_itself(arch: str) -> None:
    model = build(arch, switches=Switches(attention=False))
    other = IDS.clone()
    other[:, :2] = torch.tensor([[1, 2], [5, 6]])
    torch.testing.assert_close(logits(model)[:, 2], logits(model, other)[:, 2], rtol=0, atol=SAME)
    whole = build(arch)
    assert not torch.allclose(logits(whole)[:, 2], logits(whole, other)[:, 2], atol=100 * SAME)


@pytest.mark.parametrize("arch", ARCHS[:3])
def test_without_positions_earlier_tokens_may_change_places(arch: str) -> None:
    swapped = IDS[:, [1, 0, 2]]
    # One layer: in a second one the causal mask alone tells which of two earlier tokens came first.
    model, whole = (build(arch, layers=1, switches=Switches(positions=on)) for on in (False, True))
    torch.testing.assert_close(logits(model)[:, 2], logits(model, swapped)[:, 2], rtol=0, atol=SAME)
    assert not torch.allclose(logits(whole)[:, 2], logits(whole, swapped)[:, 2], atol=SAME)


@pytest.mark.parametrize("arch", ARCHS)
def test_without_residuals_a_block_is_its_sublayers(arch: str) -> None:
    """Written out with the modules of the whole model: its first block, then the norm and the head."""
    model = build(arch, layers=1)
    found = logits(build(arch, layers=1, switches=Switches(residual=False)))
    with torch.no_grad():
        expected = _block_without_residuals(model, arch)
    torch.testing.assert_close(found, expected, rtol=0, atol=10 * SAME)
    assert not torch.allclose(found, logits(model), atol=100 * SAME)


def _block_without_residuals(model: Any, arch: str) -> torch.Tensor:
    trunk = model.base_model
    e = model.get_input_embeddings()(IDS)
    place = torch.arange(3)[None]
    causal = torch.full((1, 1, 3, 3), float("-inf")).triu(1)
    if arch == "gpt2":
        block = trunk.h[0]
        x = block.attn(block.ln_1(e + trunk.wpe(place)), attention_mask=causal)[0]
        return model.lm_head(trunk.ln_f(block.mlp(block.ln_2(x))))
    if arch == "mamba":
        block = trunk.layers[0]
        return model.lm_head(trunk.norm_f(block.mixer(block.norm(e))))
    turn = trunk.rotary_emb(e, place)
    if arch == "llama":
        block = trunk.layers[0]
        x = block.self_attn(block.input_layernorm(e), position_embeddings=turn, attention_mask=causal)[0]
        return model.lm_head(trunk.norm(block.mlp(block.post_attention_layernorm(x))))
    block = trunk.layers[0]
    x = block.attention(block.input_layernorm(e), position_embeddings=turn, attention_mask=causal)[0]
    x = x + block.mlp(block.post_attention_layernorm(e))  # GPT-NeoX adds both sublayers to one input
    return model.get_output_embeddings()(trunk.final_layer_norm(x))


@pytest.mark.parametrize(
    ("arch", "switch", "message"),
    [
        ("mamba", {"attention": False}, "no attention found in MambaForCausalLM to switch off; leave attention on"),
        ("mamba", {"positions": False}, "no position table or rotary embedding found in MambaForCausalLM"),
        ("olmo2", {"residual": False}, "no block with a norm before its sublayer found in Olmo2ForCausalLM"),
        ("gemma3_text", {"residual": False}, "no block with a norm before its sublayer found in Gemma3ForCausalLM"),
    ],
)
def test_parts_that_are_not_there(arch: str, switch: dict[str, bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(arch, switches=Switches(**switch))


def test_bad_sizes_and_options() -> None:
    with pytest.raises(ValueError, match="transformers builds no mamba2 of these sizes"):
        build("mamba2", heads=5)
    with pytest.raises(ValueError, match="gpt2 has no setting 'state_size'; leave it out"):
        build(state_size=4)
    with pytest.raises(ValueError, match="mamba has no dropout; set dropout to 0"):
        build("mamba", dropout=0.5)


def test_dropout_and_mamba_sizes() -> None:
    model = build(dropout=0.5).train()
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.5}
    mamba = build("mamba", state_size=3, expand=4)
    assert mamba.backbone.layers[0].mixer.A_log.shape == (4 * WIDTH, 3)


def test_names() -> None:
    assert read_config("GPT-NeoX") == {"model_type": "gpt_neox"}
    assert read_config("pythia") == {"model_type": "gpt_neox"}
    assert read_config("gpt2") == {"model_type": "gpt2"}


@pytest.mark.parametrize("arch", ["gpt2", "gpt_neox", "llama"])
def test_without_perceptrons_their_weights_do_not_matter(arch: str) -> None:
    model = build(arch, switches=Switches(perceptron=False))
    assert not any("mlp" in name for name, _ in model.named_parameters())
    whole = build(arch)
    with torch.no_grad():
        for name, value in whole.named_parameters():
            if "mlp" in name:  # a perceptron that writes nothing
                value.zero_()
    torch.testing.assert_close(logits(model), logits(whole))


def test_biases_are_fixed_at_zero() -> None:
    model = build("gpt2", switches=Switches(biases=False))
    biases = [value for name, value in model.named_parameters() if name.endswith("bias")]
    assert biases
    assert all(not value.requires_grad and not value.any() for value in biases)
    assert any(value.requires_grad for value in model.parameters())
    with pytest.raises(ValueError, match="no bias found in LlamaForCausalLM to switch off; leave biases on"):
        build("llama", switches=Switches(biases=False))


def test_units_by_name() -> None:
    """With identities a perceptron is linear; ReLU and exact GELU are torch's."""
    model = build("gpt2", activation="identity")
    perceptron, x = model.base_model.h[0].mlp, torch.randn(3, WIDTH)
    torch.testing.assert_close(perceptron(2 * x) - perceptron(0 * x), 2 * (perceptron(x) - perceptron(0 * x)))
    for name, function in (("relu", torch.relu), ("gelu", torch.nn.functional.gelu)):
        assert torch.equal(build("gpt2", activation=name).base_model.h[0].mlp.act(x), function(x))
    with pytest.raises(ValueError, match="unknown activation 'rleu'; did you mean 'relu'"):
        build("gpt2", activation="rleu")
