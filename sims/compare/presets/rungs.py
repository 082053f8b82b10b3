"""Models whose runs are held against the flow of their own linear net: the rungs between Node2Vec and a language model,
depth and width, tied and untied, starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """A model of the ladder: its ``name``, the ``title`` of tables, and the ``word`` of ``models.registry``."""

    name: str
    title: str
    word: str


# Plain descent on the sum over nodes, whose step is its flow time: small enough for the logits of deep nets, which on
# irregular graphs grow without end, and for layer norm, which multiplies the first steps by the inverse of the
# embeddings' size.
_DESCENT = "optimiser=sgd,learning_rate=0.0025,width=32"
_LINEAR = f"linear:{_DESCENT},steps=8000"
_DEEP = f"linear:{_DESCENT},steps=4000"  # the flow of a deep net is stiff, and is near its plateau early
_NORMED = "optimiser=sgd,learning_rate=0.004,width=32,steps=4000"
# A GPT-2 block that reads u alone, whose attention over one token is the linear map of two factors.
_BLOCK = "edge_token=false,other_tokens=0,positions=false,biases=false,activation=gelu"

RUNGS = (
    Rung("node2vec", "Node2Vec", "node2vec:width=32,init_std=0.02,learning_rate=0.01,steps=4000"),
    # Without residuals a small start is a saddle of order three, which takes hundreds of units of time to leave.
    Rung("one-layer", "one layer", f"{_LINEAR},residual=false,init_std=0.1"),
    Rung("residual", "residual layer", _LINEAR),
    *(Rung(f"depth-{d}", f"{d} residual layers", f"{_DEEP},layers={d}") for d in (2, 3, 4)),
    Rung(
        "attention",
        "attention only",
        f"transformer:optimiser=sgd,learning_rate=0.01,width=32,steps=2000,{_BLOCK},perceptron=false,layer_norm=false",
    ),
    Rung("norm", "+ layer norm", f"transformer:{_NORMED},{_BLOCK},perceptron=false"),
    Rung("perceptron", "+ perceptron", f"transformer:{_NORMED},{_BLOCK}"),
    Rung("gpt2-descent", "GPT-2, descent", f"transformer:{_NORMED}"),
    Rung("gpt2", "GPT-2, Adam", "transformer:steps=1000"),
    Rung("mamba", "Mamba, Adam", "mamba:width=32,steps=1000"),
)

# Sixty nets a graph: steps of 0.005 to t = 5, which nets of three layers still take as their flow does.
# A layer without residuals starts at about its own inverse, so that a small net escapes from zero in tens of units.
_STARTS = {8: "init_std=0.3", 32: "init_std=0.15"}
DEPTHS = tuple(
    Rung(
        f"{kind}-{depth}-width-{width}",
        f"{depth} {kind} layer{'s' if depth > 1 else ''}, width {width}",
        f"linear:optimiser=sgd,learning_rate=0.005,steps=1000,width={width},layers={depth}{start}",
    )
    for kind, starts in (("residual", dict.fromkeys((8, 32), "")), ("plain", _STARTS))
    for width in (8, 32)
    for depth in (1, 2, 3)
    for start in (f",residual=false,{starts[width]}" if starts[width] else "",)
)

FOUR_CELLS = (
    Rung("tied", "tied", "node2vec:width=50,init_std=0.02,steps=10000"),
    Rung("untied", "untied", "node2vec-untied:width=50,init_std=0.02,steps=10000"),
)

BRIDGE = (Rung("untied", "untied", "node2vec-untied:width=50,init_std=0.02,steps=3000"),)

# Z = E B E' from B(0) = I and from a Gaussian one, far beyond the peak of the alignment.
RETENTION = (
    Rung("identity", "B(0) = I", "linear:optimiser=sgd,learning_rate=0.005,width=32,init_std=1e-6,embedding_std=0.02,"
         "steps=20000"),
    Rung("gaussian", "Gaussian B(0)", "linear:optimiser=sgd,learning_rate=0.005,width=32,residual=false,init_std=0.15,"
         "embedding_std=0.02,steps=20000"),
)  # fmt: skip

# Z = E W E' by width and by W(0): I, and Gaussian ones from far below the escape to far above it.
STARTS = tuple(
    Rung(
        f"{name}-width-{width}",
        f"W(0) = {title}, width {width}",
        f"linear:optimiser=sgd,learning_rate=0.02,steps=400,embedding_std=0.02,width={width},{start}",
    )
    for name, title, start in (
        ("identity", "I", "init_std=1e-6"),
        *((f"gaussian-{s}", f"N(0, {s}²)", f"residual=false,init_std={s}") for s in ("0.1", "0.3", "1")),
    )
    for width in (4, 8, 32)
)
