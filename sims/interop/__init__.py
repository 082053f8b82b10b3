"""Graphs and embeddings in and out of other libraries. Names are imported when asked for, so that none of the optional
libraries is needed for the others."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Public name -> the module here that has it.
_WHERE = {
    "get_embedding": "node_attributes",
    "set_embedding": "node_attributes",
    "Node2VecEmbedding": "estimators",
    "SoftmaxOptimumEmbedding": "estimators",
    "from_data": "geometric",
    "to_data": "geometric",
    "read_word_vectors": "word_vectors",
    "write_word_vectors": "word_vectors",
    "export_logs": "run_logs",
    "follow_logs": "run_logs",
    "export_run": "run_export",
}

__all__ = [
    "Node2VecEmbedding",
    "SoftmaxOptimumEmbedding",
    "export_logs",
    "export_run",
    "follow_logs",
    "from_data",
    "get_embedding",
    "read_word_vectors",
    "set_embedding",
    "to_data",
    "write_word_vectors",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
