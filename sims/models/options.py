"""Options of a command that are fields of its settings: each is a line of a table beside the settings."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_STEPS = 10**9  # far beyond what finishes; keeps step counts inside 64-bit integers
MOST_SEED = 2**63 - 1  # what generators take, and a column of whole numbers holds


def check_steps(steps: int) -> None:
    """Raises ValueError for more steps than MAX_STEPS."""
    if steps > MAX_STEPS:
        raise ValueError(f"steps must be at most {MAX_STEPS}; got {steps}")


@dataclass(frozen=True)
class Option:
    """What a command says of the setting whose name is its key in the table. ``name``: the option's own, where it
    differs; ``short``: its letter; ``least`` and ``most``: what the command line takes; ``choices``: what Tab offers;
    ``kind``: the type of an option that is no setting.

    An option without a value leaves the setting as it is. One of a setting that is true or false is a flag, which gives
    it the opposite of its default.
    """

    help: str
    name: str = ""
    short: str = ""
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    kind: type | None = None


def setting_types(settings: type) -> dict[str, type]:
    """The name and type of every field of the dataclass ``settings``; of an optional one that of its values."""
    return {name: next((kind for kind in typing.get_args(hint) if kind is not type(None)), hint)
            for name, hint in typing.get_type_hints(settings).items()}  # fmt: skip


def chosen_settings(settings: type, options: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """setting -> value for the ``options`` among ``values``, by option, that were used."""
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    chosen = {}
    for setting, option in options.items():
        value = values[option.name or setting]
        if isinstance(value, bool):
            value = (not defaults[setting]) if value else None
        if value is not None:
            chosen[setting] = value
    return chosen
