"""The gate that selects by relation: ReLU neurons that let one block of a subject vector through and shut the others.

Blocks x_w in R^k, one for each word w = (r_1, ..., r_K) of relations (K = 1: one for each relation). For the asked word
r, with B >= |x_w| everywhere,

    h+-_{w,i} = ReLU( +-(x_w)_i - B #{j: r_j != w_j} ),        o = sum_w (h+_w - h-_w) = x_r,

for ReLU(x) - ReLU(-x) = x, and one wrong relation shuts both neurons. Neurons are ordered: all h+, word by word, then
all h-. The gate knows nothing of facts. Source: arXiv 2605.12426, theorem 4.1 (width 2 R k); the form is ours.
"""

from __future__ import annotations

import numpy as np

from ..checks import Array, check_positive, shown
from .facts import Indices, check_memory_size


def check_gate_bias(value: float, least: float) -> float:
    """``value`` if it shuts every neuron of a block whose numbers are at most ``least``; ValueError otherwise."""
    bias = check_positive(value, "gate_bias")
    if bias < least:
        raise ValueError(f"gate_bias must be at least {least:.6g} to shut every neuron; got {shown(value)}")
    return bias


def words_of(relations: int, hops: int) -> Indices:
    """All words in the order of counting, the last letter fastest: (R^K, K)."""
    return np.arange(relations**hops)[:, None] // relations ** np.arange(hops - 1, -1, -1) % relations


def gate_activations(blocks: Array, words: Indices, asked: Indices, bias: float) -> Array:
    """The neurons (n, 2 W k) for ``blocks`` (n, W, k), the blocks' ``words`` (W, K) and the ``asked`` words (n, K)."""
    n, count, k = blocks.shape
    check_memory_size(2.0 * n * count * k, "the gate's neurons for these questions")
    shut = np.zeros((n, count))
    for letter in range(words.shape[1]):
        shut += asked[:, letter, None] != words[None, :, letter]
    closing = bias * shut[:, :, None]
    neurons = np.stack([blocks - closing, -blocks - closing], axis=1)
    return np.maximum(neurons, 0.0, out=neurons).reshape(n, -1)


def gate_output(neurons: Array, k: int) -> Array:
    """o (n, k) from the neurons (n, 2 W k)."""
    positive, negative = np.moveaxis(neurons.reshape(len(neurons), 2, -1, k), 1, 0)
    return np.asarray((positive - negative).sum(axis=1))


def gate_weights(readers: Array, words: Indices, relations: int, bias: float) -> tuple[Array, Array, Array]:
    """The gate as one multilayer perceptron: o = W_out ReLU(W_in [e, onehot(r_1), ..., onehot(r_K)] + bias).

    ``readers`` (d, W k): x = readers' e. Returns W_in (2 W k, d + K R), bias (2 W k,), W_out (k, 2 W k).
    """
    d, width = readers.shape
    count, hops = words.shape
    k = width // count
    check_memory_size(2.0 * width * (d + hops * relations), "the gate's weights")
    letters = (words[:, :, None] == np.arange(relations)).reshape(count, -1).astype(np.float64)
    opening = bias * np.repeat(letters, k, axis=0)
    w_in = np.block([[readers.T, opening], [-readers.T, opening]])
    read = np.tile(np.eye(k), count)
    return w_in, np.full(2 * width, -bias * hops), np.hstack([read, -read])
