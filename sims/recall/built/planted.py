"""The explicit construction as weights of the Transformer that is trained: one GPT-2 block without layer norm.

The stream has three parts: subject vectors (d), relations (R), codes (k). Attention with equal weights adds the
subject's vector to the relation's token, the perceptron of 2 R k neurons with ReLU is the gate and writes the code, and
the output embedding of an attribute is its code. So the network that learns can hold what theory builds.
Source: arXiv 2605.12426, theorem 4.1; the constants are worked out here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from fiedler.theory import FactMemory, Facts

from ..analysis.answers import recall_accuracy
from ..data import RecallVocabulary
from ..model import RecallModel
from ..settings import RecallSettings


def plant_construction(memory: FactMemory, facts: Facts) -> RecallModel:
    """A ``RecallModel`` whose logits of the attributes are the memory's, up to float32, and zero for other tokens.

    Raises ValueError for facts the memory does not hold and sizes transformers refuses.
    """
    memory.check_facts(facts)
    n, r, a = facts.subjects, memory.relations, memory.attributes
    d, k = memory.dimension, memory.code_dimension
    settings = replace(
        RecallSettings(), subjects=n, relations=r, attributes=0 if a == n else a, width=d + r + k,
        neurons=memory.neurons, layer_norm=False,
    )  # fmt: skip
    vocabulary = RecallVocabulary(n, r, a, shared=True, entities=False)
    with torch.random.fork_rng(devices=[]):
        model = RecallModel(settings, vocabulary, longest=2)
    w_in, bias, w_out = memory.weights()
    codes = slice(d + r, d + r + k)
    block = model.lm.transformer.h[0]
    with torch.no_grad():
        for weight in model.lm.parameters():
            weight.zero_()
        model.embedding[:n, :d] = _float(memory.subject_embeddings(facts))
        model.embedding[n : n + r, d : d + r] = torch.eye(r)
        width = settings.width
        value = block.attn.c_attn.weight[:, 2 * width :]  # a Conv1D's weight is (inputs, outputs)
        value[:d, :d] = 2 * torch.eye(d)  # half of each of the two tokens is attended to
        block.attn.c_proj.weight[:, :] = torch.eye(width)
        block.mlp.c_fc.weight[: d + r] = _float(w_in.T)
        block.mlp.c_fc.bias[:] = _float(bias)
        block.mlp.c_proj.weight[:, codes] = _float(w_out.T)
        model.unembedding[n + r :, codes] = _float(memory.codes)
    return model


def planted_accuracy(memory: FactMemory, facts: Facts) -> float:
    """Share of ``facts`` that the planted model answers right, the most likely of all its tokens taken."""
    model = plant_construction(memory, facts)
    return recall_accuracy(model, model.subjects, facts.table)


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
