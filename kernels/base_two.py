"""Constants of exponentials in base two, which the vector units of a CPU take in half the time of those in base e."""

from __future__ import annotations

import math

import torch

LOG2_E = math.log2(math.e)
LN_2 = math.log(2.0)
# The largest row sum, as a power of two, of exponentials whose offset is not the row's maximum: products with
# embeddings of any sensible size still fit, and its reciprocal times a small upstream gradient is no subnormal.
LARGEST_SUM_LOG2 = {torch.float32: 60.0, torch.float64: 600.0}
