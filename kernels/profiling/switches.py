"""The switches of a linear cross-entropy: every option that can be turned on, as tests and the compiled cases name it.

One list for both: an option that is added here is tested in pairs with all others and compiled alone and with all.
"""

from __future__ import annotations

from typing import Any

# What each switch says to ``Options``; those without an entry come as a tensor.
OPTION_VALUES: dict[str, dict[str, Any]] = {
    "softcap": {"logit_softcap": 2.5},
    "smoothing": {"label_smoothing": 0.125},
    "z_loss": {"z_loss": 0.03},
    "entropy": {"return_entropy": True},
    "accuracy": {"return_accuracy": True},
    "lse": {"return_lse": True},
}
SWITCHES = (
    "bias", "softcap", "smoothing", "z_loss", "class_weight", "token_weight", "ignored", "entropy", "accuracy", "lse",
)  # fmt: skip


def option_values(switches: frozenset[str]) -> dict[str, Any]:
    """The arguments of ``Options`` that the switches stand for."""
    return {name: value for switch in SWITCHES if switch in switches for name, value in _values(switch)}


def _values(switch: str) -> list[tuple[str, Any]]:
    return list(OPTION_VALUES.get(switch, {}).items())
