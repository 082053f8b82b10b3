"""Causal language models of Hugging Face transformers by an architecture's name or a config file, small by default.

Only the architecture is taken: weights are random, nothing is downloaded and no remote code is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..suggest import choose, did_you_mean
from .ablation import apply_switches
from .mamba_scan import use_selective_scan
from .switches import Switches

# Spellings people use beside the names of transformers.
ALIASES = {"gpt-2": "gpt2", "gpt-neox": "gpt_neox", "neox": "gpt_neox", "pythia": "gpt_neox"}
LARGEST_CONFIG = 1 << 20  # bytes; config files have a few kilobytes
# A perceptron is so many times as wide as the model, as in GPT-2, where a config has to be told.
PERCEPTRON_RATIO = 4
# What a config may be asked for, by the names architectures use for it; a name a config lacks is left out.
SIZES = {
    "width": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer"),
    "heads": ("num_attention_heads", "n_head"),
    "positions": ("max_position_embeddings", "n_positions"),
}
MAMBAS = ("mamba", "mamba2")
ACTIVATIONS = ("activation_function", "hidden_act")
# Units of a perceptron by the field's names, and what transformers calls them.
UNITS = {"identity": "linear", "relu": "relu", "gelu": "gelu", "silu": "silu"}
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "attention_dropout", "hidden_dropout", "dropout")


def read_config(word: str) -> dict[str, Any]:
    """The JSON of ``hf:WORD``: {"model_type": ...} for an architecture's name, the whole object for a config file.

    Raises ValueError for a name transformers has no causal LM of (suggesting the nearest), and for a file that is no
    config of one.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as known

    name = ALIASES.get(word.lower(), word.lower()).replace("-", "_")
    name = name if name in known else word.lower()
    if name in known and name in CONFIG_MAPPING:
        return {"model_type": name}
    path = Path(word)
    if not path.is_file():
        hint = did_you_mean(name, known, "hf:{}")
        raise ValueError(
            f"hf:{word} is neither a causal LM of transformers nor a config file; {hint}for example "
            "hf:gpt2, hf:gpt-neox, hf:llama, hf:mamba, hf:path/to/config.json"
        )
    if path.stat().st_size > LARGEST_CONFIG:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, which no model config needs; give a config.json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is no JSON file: {error}") from error
    if not isinstance(found, dict) or found.get("model_type") not in known:
        kind = found.get("model_type") if isinstance(found, dict) else type(found).__name__
        raise ValueError(f"{path} is no config of a causal LM: its model_type is {kind!r}; save one with to_json_file")
    found.pop("auto_map", None)  # code from elsewhere is never run
    return found


def mamba_sizes(arch: str, state_size: int, expand: int) -> dict[str, Any]:
    """The options of ``build_causal_lm`` that only Mamba has, none for other architectures."""
    return {"state_size": state_size, "expand": expand} if arch.lower() in MAMBAS else {}


def build_causal_lm(
    arch: str | dict[str, Any],
    *,
    vocabulary: int,
    positions: int,
    width: int | None = None,
    layers: int | None = None,
    heads: int | None = None,
    init_std: float | None = None,
    dropout: float | None = None,
    activation: str = "",
    switches: Switches | None = None,
    **options: Any,
) -> Any:
    """A ``transformers`` causal LM with random weights from torch's current random state.

    ``arch``: a word for ``read_config`` or what it returned. Sizes that are None are the config's own; given ones must
    be given together for a bare name. ``activation``: of UNITS, "" for the config's own. ``options``: further entries
    of the config (``state_size``, ``expand``, ...). Mamba's blocks run by ``mamba_scan`` on a CPU.
    Raises ValueError for sizes the architecture refuses and switches it does not have.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    chosen = Switches() if switches is None else switches
    entries = dict(read_config(arch) if isinstance(arch, str) else arch)
    kind = entries.pop("model_type")
    plain = AutoConfig.for_model(kind)
    wanted: dict[str, Any] = {"vocab_size": vocabulary, "use_cache": False, "tie_word_embeddings": chosen.tied}
    sizes = {"width": width, "layers": layers, "heads": heads, "positions": positions}
    for size, value in sizes.items():
        if value is not None:
            wanted |= {name: value for name in SIZES[size] if hasattr(plain, name)}
    # What follows from a size is left as a config file has it where the file has that size.
    told = {size: any(entries.get(name) == value for name in SIZES[size]) for size, value in sizes.items()}
    if width is not None and not told["width"] and hasattr(plain, "intermediate_size"):
        inner = options.get("expand", getattr(plain, "expand", PERCEPTRON_RATIO))
        wanted["intermediate_size"] = inner * width
    if heads is not None and not (told["heads"] and told["width"]):
        wanted |= {name: heads for name in ("num_key_value_heads",) if hasattr(plain, name)}
        wanted |= {name: 1 for name in ("n_groups",) if hasattr(plain, name)}
        if width is not None and plain.to_dict().get("head_dim") is not None:
            split = plain.expand * width if hasattr(plain, "expand") else width
            wanted |= {"head_dim": split // heads} | ({"num_heads": heads} if hasattr(plain, "num_heads") else {})
    if init_std is not None:
        wanted["initializer_range"] = init_std
    if dropout is not None:
        wanted |= {name: dropout for name in DROPOUTS if hasattr(plain, name)}
        if dropout > 0 and not any(hasattr(plain, name) for name in DROPOUTS):
            raise ValueError(f"{kind} has no dropout; set dropout to 0")
    if activation:
        wanted |= _units(plain, activation)
    for name, value in options.items():
        if not hasattr(plain, name):
            raise ValueError(f"{kind} has no setting {name!r}; leave it out")
        wanted[name] = value
    # Tokens that mark the ends of texts lie outside so small a vocabulary, and the default attention picks its kernel
    # by its inputs, which transforms over models (vmap) cannot follow.
    wanted |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), None)
    try:
        config = AutoConfig.for_model(kind, **{**entries, **wanted})
        for name in ACTIVATIONS:
            if getattr(config, name, None) == "gelu_new":  # GPT-2's: the same function, in one call instead of eight
                setattr(config, name, "gelu_pytorch_tanh")
        config._attn_implementation = "eager"
        model = AutoModelForCausalLM.from_config(config)
    except MemoryError:
        raise
    except Exception as error:  # each architecture refuses in its own way
        shown = ", ".join(f"{name} {value}" for name, value in sizes.items() if value is not None)
        why = " ".join(str(error).split())[:300]
        raise ValueError(f"transformers builds no {kind} of these sizes ({shown}): {why}") from error
    use_selective_scan(model)
    apply_switches(model, chosen)
    return model


def _units(config: Any, activation: str) -> dict[str, str]:
    if activation not in UNITS:
        raise ValueError(f"unknown activation {activation!r}; {choose(activation, UNITS)}")
    names = [name for name in ACTIVATIONS if hasattr(config, name)]
    if not names:
        raise ValueError(f"{config.model_type} has no activation to choose; leave it out")
    return dict.fromkeys(names, UNITS[activation])
