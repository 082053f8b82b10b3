"""The conditions of a preset with what the command line changes in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .path_settings import PathSettings
from .suggest import check_only


def choose_conditions(
    conditions: Mapping[str, PathSettings],
    given: Mapping[str, Any],
    *,
    only: Sequence[str] | None = None,
    frozen: bool = False,
) -> dict[str, PathSettings]:
    """``conditions``, or those named in ``only``, with every setting of ``given`` that is not None; ``frozen`` keeps
    the in-weights ones, their embeddings as drawn. Conditions that become equal are one, under the last of their names.

    Raises ValueError for a name that is none, a value out of range, and where nothing is left.
    """
    check_only(only, conditions)
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {"frozen": True} if frozen else {}
    names: dict[PathSettings, str] = {}
    for name, settings in conditions.items():
        if (only and name not in only) or (frozen and settings.in_context):
            continue
        names[replace(settings, **changes)] = name
    if not names:
        raise ValueError("no condition is left: frozen embeddings are a control of in-weights runs; leave --frozen out")
    return {name: settings for settings, name in names.items()}
