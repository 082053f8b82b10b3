"""Which conditions of a preset are trained, and with which of their settings changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..suggest import check_only

Settings = TypeVar("Settings")


def choose_conditions(
    conditions: Mapping[str, Settings],
    changes: Mapping[str, Any],
    *,
    only: Sequence[str] | None = None,
    leave_out: Callable[[Settings], bool] = lambda settings: False,
) -> dict[str, Settings]:
    """``conditions``, or those named in ``only``, with the ``changes`` of their settings, without those that are to be
    left out. Conditions that become equal are trained once, under the first of their names.

    Raises ValueError for a name that is none, and for a value out of range.
    """
    check_only(only, conditions)
    names: dict[Settings, str] = {}
    for name, settings in conditions.items():
        if not (only and name not in only) and not leave_out(settings):
            changed: Settings = dataclasses.replace(settings, **changes)  # type: ignore[type-var]
            names.setdefault(changed, name)
    return {name: settings for settings, name in names.items()}
