"""One small valid call of every public function and module of ``fiedler.kernels``; see ``valid_calls``.

NaN in a tensor gives a NaN loss, as in PyTorch: values are not looked at, for that would wait for the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

import fiedler.kernels as kernels
from bad_input_oracle import Call

# Made by the functions; ``sharded_target`` makes ShardedTarget.
RESULTS = frozenset({"LinearCrossEntropyOutput", "Plan", "ShardedTarget"})

N, D, V = 4, 3, 6
G = torch.Generator().manual_seed(0)
INPUT, WEIGHT, BIAS = torch.randn(N, D, generator=G), torch.randn(V, D, generator=G), torch.randn(V, generator=G)
LABELS = torch.randint(V, (N,), generator=G)
CLASS_WEIGHT, TOKEN_WEIGHT = torch.rand(V, generator=G), torch.rand(N, generator=G)
MATRIX = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.5], [1.0, 0.0, 0.5, 0.0]])
TARGET = kernels.csr_target(MATRIX)
# NaN out for NaN in.
TENSORS = frozenset(
    ["input", "weight", "bias", "class_weight", "token_weight", "embedding", "context", "row_weight", "matrix"]
)
OPTIONS: dict[str, Any] = {
    "ignore_index": -100,
    "reduction": "mean",
    "label_smoothing": 0.1,
    "logit_softcap": 5.0,
    "z_loss": 0.01,
}
SHAPE = "shape: one row less; shape: one row more; shape: first row; shape: no rows"
TAKEN = {"logit_softcap": "", "ignore_index": "-1; -10^12"}


class TinyModel(torch.nn.Module):
    """The interface of a Hugging Face causal language model."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(V, D), torch.nn.Linear(D, V)
        self.base_model = Trunk(self.embed)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embed

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        return Output(logits=self.head(self.base_model(input_ids).last_hidden_state))


class Trunk(torch.nn.Module):
    def __init__(self, embed: torch.nn.Embedding) -> None:
        super().__init__()
        self.embed = embed

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> Any:
        return Output(last_hidden_state=self.embed(input_ids))


class Output:
    def __init__(self, **values: torch.Tensor) -> None:
        self.__dict__.update(values)

    def items(self) -> Any:
        return self.__dict__.items()


class LabelledModel(TinyModel):
    """The same with a loss, as ``patch`` takes it."""

    @property
    def loss_function(self) -> Any:
        return next_token_loss

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> Any:  # type: ignore[override]
        logits = self.head(self.base_model(input_ids).last_hidden_state)
        loss = None if labels is None else self.loss_function(logits=logits, labels=labels, vocab_size=V)
        return Output(loss=loss, logits=logits)


def next_token_loss(
    logits: torch.Tensor, labels: torch.Tensor, vocab_size: int, num_items_in_batch: int | None = None
) -> torch.Tensor:
    reduction = "mean" if num_items_in_batch is None else "sum"
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], reduction=reduction)
    return loss / (num_items_in_batch or 1)


MODEL = TinyModel()
IDS = torch.randint(V, (2, 5), generator=G)


def call(name: str, arguments: dict[str, Any], **rules: Any) -> Call:
    rules = {"nan_in": TENSORS, "nan_out": True} | rules
    rules["loose"] = TAKEN | rules.get("loose", {})
    return Call(rules.pop("function", None) or getattr(kernels, name), lambda: dict(arguments), **rules)


LAYER: dict[str, Any] = {
    "input": INPUT,
    "weight": WEIGHT,
    "target": LABELS,
    "bias": BIAS,
    "class_weight": CLASS_WEIGHT,
    "token_weight": TOKEN_WEIGHT,
}
RETURNED = {"return_lse": True, "return_entropy": True, "return_accuracy": True}
PLACED: dict[str, Any] = {"path": "auto", "chunk_rows": 2}
PARALLEL = {"vocab_parallel": False}

SHARDED, TIED = (kernels.sharded_target(sp.csr_array(MATRIX), tied=tied) for tied in (False, True))

CALLS: dict[str, Call] = {
    "sharded_target": call(
        "sharded_target",
        {
            "rows": sp.csr_array(MATRIX),
            "tied": False,
            "columns": N,
            "process_group": None,
            "dtype": torch.float32,
            "device": "cpu",
        },
        kinds={"rows": "sparse", "process_group": "none", "dtype": "dtype", "device": "text device"},
        loose={"rows": SHAPE},  # a process may hold any of them
        nan_in=frozenset(),
    ),
    "sharded_graph_cross_entropy": call(
        "sharded_graph_cross_entropy",
        {
            "embedding": torch.randn(N, D, generator=G),
            "context": torch.randn(N, D, generator=G),
            "target": SHARDED,
            "row_weight": torch.ones(N),
            "reduction": "mean",
            "tile": 2,
        },
    ),
    "tied_sharded_graph_cross_entropy": call(
        "tied_sharded_graph_cross_entropy",
        {
            "embedding": torch.randn(N, D, generator=G),
            "target": TIED,
            "row_weight": torch.ones(N),
            "reduction": "mean",
            "tile": 2,
        },
        loose={"embedding": "shape: one column less; shape: first column; shape: no columns"},
    ),
    "CsrTarget": call(
        "CsrTarget",
        {name: getattr(TARGET, name) for name in TARGET.__dataclass_fields__},
        nan_in=frozenset(TARGET.__dataclass_fields__),
        loose={"transposed_row_pointer": SHAPE},
    ),
    "Options": call("Options", OPTIONS | RETURNED),
    "LinearCrossEntropy": call(
        "LinearCrossEntropy",
        {"in_features": D, "out_features": V, "bias": True, "device": "cpu", "dtype": torch.float32, "z_loss": 0.1},
        kinds={"device": "device text", "dtype": "dtype", "z_loss": "float"},
    ),
    "LinearCrossEntropyLoss": call(
        "LinearCrossEntropyLoss",
        OPTIONS | RETURNED | PLACED | PARALLEL | {"class_weight": CLASS_WEIGHT},
        loose={"class_weight": "*"},
    ),
    "LinearCrossEntropyLoss.forward": call(
        "LinearCrossEntropyLoss",
        {"input": INPUT, "weight": WEIGHT, "target": LABELS, "bias": BIAS, "token_weight": TOKEN_WEIGHT},
        function=kernels.LinearCrossEntropyLoss().forward,
    ),
    "CsrTarget.to": call(
        "CsrTarget", {"device": "cpu"}, function=TARGET.to, kinds={"device": "text device"}, nan_in=frozenset()
    ),
    "causal_lm_loss": call(
        "causal_lm_loss",
        {
            "model": MODEL,
            "input_ids": IDS,
            "labels": IDS,
            "attention_mask": torch.ones(2, 5, dtype=torch.int64),
            "num_items_in_batch": 3,
            "ignore_index": -100,
            "trunk_arguments": {},
            "verify": True,
            "z_loss": 0.1,
        },
        kinds={"z_loss": "float", "trunk_arguments": "dict"},
        loose={"trunk_arguments": "*", "num_items_in_batch": "*"},
    ),
    "patch": call(
        "patch",
        {
            "model": LabelledModel(),
            "logits": "eval",
            "verify": True,
            "label_smoothing": 0.1,
            "z_loss": 0.01,
            "path": "auto",
            "chunk_rows": 2,
            "vocab_parallel": False,
        },
    ),
    "unpatch": call("unpatch", {"model": LabelledModel()}),
    "check_targets": call(
        "check_targets", {"target": LABELS, "options": kernels.Options(), "classes": V}, loose={"target": "*"}
    ),
    "csr_target": call(
        "csr_target",
        {"matrix": MATRIX, "columns": 5, "dtype": torch.float64, "device": "cpu"},
        kinds={"matrix": "array flags sparse tensor", "dtype": "dtype", "device": "text device"},
        loose={"matrix": "*"},
        nan_in=frozenset(),
    ),
    "csr_target of a tensor": call(
        "csr_target",
        {"matrix": torch.tensor(MATRIX)},
        kinds={"matrix": "array flags sparse tensor"},
        loose={"matrix": "*"},
        nan_in=frozenset(),
    ),
    "csr_target of a sparse matrix": call(
        "csr_target",
        {"matrix": sp.csr_array(MATRIX)},
        kinds={"matrix": "array flags sparse tensor"},
        loose={"matrix": "*"},
        nan_in=frozenset(),
    ),
    "graph_cross_entropy": call(
        "graph_cross_entropy",
        {
            "embedding": torch.randn(N, D, generator=G),
            "context": torch.randn(N, D, generator=G),
            "target": TARGET,
            "bias": torch.zeros(N),
            "row_weight": torch.ones(N),
            "reduction": "mean",
            **PLACED,
        },
    ),
    "tied_graph_cross_entropy": call(
        "tied_graph_cross_entropy",
        {
            "embedding": torch.randn(N, D, generator=G),
            "target": TARGET,
            "row_weight": torch.ones(N),
            "reduction": "mean",
            **PLACED,
        },
        loose={"embedding": "shape: one column less; shape: first column; shape: no columns"},
    ),
    "linear_cross_entropy": call(
        "linear_cross_entropy",
        LAYER | OPTIONS | RETURNED | PLACED | PARALLEL,
    ),
    "linear_cross_entropy_plan": call(
        "linear_cross_entropy_plan",
        {"input": INPUT, "weight": WEIGHT, "path": "auto", "chunk_rows": 2, "z_loss": 0.1},
        kinds={"z_loss": "float"},
        loose={"input": "*", "weight": "*"},
    ),
    "vocab_parallel_linear_cross_entropy": call(
        "vocab_parallel_linear_cross_entropy",
        LAYER | OPTIONS | {"chunk_rows": 2, "process_group": None, "layout": None},
        kinds={"process_group": "none", "layout": "none"},
    ),
}
