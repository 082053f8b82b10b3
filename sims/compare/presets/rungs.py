"""The rungs between Node2Vec and a language model, in order: each adds one part to the one before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """A model of the ladder: its ``name``, the ``title`` of tables, and the ``word`` of ``models.registry``."""

    name: str
    title: str
    word: str


# Plain descent on the sum over nodes: a step of 0.01 is 0.01 of flow time.
_DESCENT = "optimiser=sgd,learning_rate=0.01,width=32"
# A GPT-2 block that reads u alone, whose attention over one token is the linear map of two factors.
_BLOCK = f"transformer:{_DESCENT},steps=3000,edge_token=false,other_tokens=0,positions=false,biases=false"

RUNGS = (
    Rung("node2vec", "Node2Vec", "node2vec:width=32,init_std=0.02,learning_rate=0.01,steps=4000"),
    # Without residuals a small start is a saddle of order three, which takes hundreds of units of time to leave.
    Rung("one-layer", "one layer", f"linear:{_DESCENT},residual=false,init_std=0.1,steps=3000"),
    Rung("residual", "residual layer", f"linear:{_DESCENT},steps=3000"),
    *(Rung(f"depth-{d}", f"{d} residual layers", f"linear:{_DESCENT},layers={d},steps=3000") for d in (2, 3, 4)),
    Rung("attention", "attention only", f"{_BLOCK},perceptron=false,layer_norm=false"),
    Rung("norm", "+ layer norm", f"{_BLOCK},perceptron=false"),
    Rung("perceptron", "+ perceptron", _BLOCK),
    Rung("gpt2-descent", "GPT-2, descent", f"transformer:{_DESCENT},steps=3000"),
    Rung("gpt2", "GPT-2, Adam", "transformer:steps=1000"),
    Rung("mamba", "Mamba, Adam", "mamba:width=32,steps=1000"),
)
