"""The file of a sweep: a base, axes, and which of their points to run, in TOML.

[base]                       # options of `fiedler train`, and any setting of the model
command = "train"            # or "paths", "recall", "headroom", with their options and settings
graph = "path-star:4x5"
model = "node2vec"
steps = 2000

[axes]                       # a list of values, or a range
weight_decay = { from = 0.001, to = 1.0, points = 7, scale = "log" }
init_std = [0.01, 0.1, 1.0]

[sweep]
kind = "grid"                # every combination (default); "random" draws `points` of them; "each" varies one axis at a
                             # time, the others as in [base], where an axis may have a value too
seeds = 5                    # 0, 1, ..., 4; or a list

[phase]                      # the figure; by default of the first two axes of numbers
x = "weight_decay"
y = "init_std"
metric = "geometric_margin"
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..models.options import MOST_SEED
from ..suggest import choose, nearest
from .commands import WHOLE
from .point import Point

TABLES = {
    "base": None,
    "axes": None,
    "sweep": ("kind", "points", "seed", "seeds"),
    "phase": ("x", "y", "metric"),
}
KINDS = ("grid", "random", "each")
SCALES = ("linear", "log")
MOST_RUNS = 100_000  # of a file: each has a folder, and a row of a table that is held in memory
MOST_VALUES = 10_000  # of a range
SHIPPED = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}


@dataclass(frozen=True)
class SweepPlan:
    """What a file asks for: every ``point`` once for each of ``seeds``; ``axes``: the names that vary; ``phase``: x, y
    and metric of the figure as far as the file says; ``base``: where axes vary one at a time, the point the others keep
    to, which need not be among them."""

    name: str
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    axes: tuple[str, ...]
    phase: Mapping[str, str]
    base: Point | None = None


def read_sweep(path: Path, on_count: Callable[[int], None] | None = None) -> SweepPlan:
    """The plan of the TOML file ``path``, or, where there is none, of the one of that name that ships. ``on_count``:
    told how many runs it asks for, before they are made, which takes a moment where there are many. Raises ValueError,
    naming file, place and remedy, for anything amiss."""
    path = path if path.exists() and not path.is_dir() else SHIPPED.get(str(path), path)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for, a device read without end
            raise OSError(None, "not an ordinary file")
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows write a mark first
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        hint = f"give a sweep file in TOML, or the name of one that ships: {', '.join(SHIPPED)}"
        raise ValueError(f"{path} cannot be read ({reason}): {hint}") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise ValueError(f"{path} is not TOML ({error}): correct it there") from error
    try:
        return plan_sweep(content, path.stem, on_count)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def plan_sweep(content: Mapping[str, Any], name: str, on_count: Callable[[int], None] | None = None) -> SweepPlan:
    """The plan of a sweep given as the dictionary its file stands for. Raises ValueError as ``read_sweep``."""
    for table, keys in content.items():
        _known(table, TABLES, "table")
        if not isinstance(keys, Mapping):
            raise ValueError(f"{table} must be a table, [{table}]")
        allowed = TABLES[table]
        for key in keys:
            if allowed is not None:
                _known(key, allowed, f"key of [{table}]")
    base, axes = dict(content.get("base", {})), dict(content.get("axes", {}))
    if "seed" in base or "seed" in axes:
        raise ValueError("seed is no option of a point: give seeds in [sweep], a number of them or a list")
    sweep = content.get("sweep", {})
    kind = sweep.get("kind", "grid")
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r} of [sweep]: {choose(kind, KINDS)}")
    if kind != "each" and (both := sorted(base.keys() & axes.keys())):
        raise ValueError(f"{both[0]} is in [base] and in [axes]: keep one")
    draws, seeds = sweep.get("points"), _seeds(sweep.get("seeds", 1))
    if kind == "random":
        rows = _random(axes, draws, sweep.get("seed", 0), len(seeds))
    elif draws is None:
        rows = _each(axes, len(seeds)) if kind == "each" else _grid(axes, len(seeds))
    else:
        raise ValueError('points in [sweep] are for kind = "random": other kinds have those of their axes')
    if on_count is not None:
        on_count(len(rows) * len(seeds))
    points = tuple(dict.fromkeys(Point.make({**base, **row}) for row in rows))
    phase = _phase(content.get("phase", {}), axes)
    if kind == "each" and (drawn := sorted({"x", "y"} & phase.keys())):
        raise ValueError(f'{drawn[0]} of [phase] is for a plane: kind = "each" draws a panel an axis')
    one = Point.make(base) if kind == "each" else None
    return SweepPlan(name, points, seeds, tuple(axes), phase, one)


def _grid(axes: Mapping[str, Any], seeds: int) -> list[dict[str, Any]]:
    values = {name: _values(name, axis) for name, axis in axes.items()}
    count = math.prod(map(len, values.values()))
    _check_runs(count, seeds)
    return [dict(zip(values, row, strict=True)) for row in itertools.product(*values.values())]


def _each(axes: Mapping[str, Any], seeds: int) -> list[dict[str, Any]]:
    if not axes:
        raise ValueError("a sweep of each axis needs [axes]")
    rows = [{name: value} for name, axis in axes.items() for value in _values(name, axis)]
    _check_runs(len(rows), seeds)
    return rows


def _random(axes: Mapping[str, Any], count: Any, seed: Any, seeds: int) -> list[dict[str, Any]]:
    if not _is_count(count):
        raise ValueError(f"a random sweep needs points in [sweep], how many to draw; got {count!r}")
    if not axes:
        raise ValueError("a random sweep needs [axes] to draw from")
    _check_runs(count, seeds)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed of [sweep] must be an integer >= 0; got {seed!r}")
    rng = np.random.default_rng(seed)
    columns = {}
    for name, axis in axes.items():
        if isinstance(axis, Mapping):
            low, high, scale, whole = _range(name, axis, ("from", "to", "scale"))
            at = rng.uniform(size=count)
            drawn = low * (high / low) ** at if scale == "log" else low + (high - low) * at
            columns[name] = [round(x) for x in drawn.tolist()] if whole else drawn.tolist()
        else:
            values = _values(name, axis)
            columns[name] = [values[i] for i in rng.integers(len(values), size=count).tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(name: str, axis: Any) -> list[Any]:
    """The values of one axis of a grid."""
    if isinstance(axis, Mapping):
        low, high, scale, whole = _range(name, axis, ("from", "to", "scale", "points"))
        points: Any = axis.get("points")
        if not _is_count(points) or points > MOST_VALUES:
            raise ValueError(f"axis {name} needs points, how many values to take, 1 to {MOST_VALUES}; got {points!r}")
        ends = (low, high)
        spread = (np.geomspace(*ends, points) if scale == "log" else np.linspace(*ends, points)).tolist()
        # Rounded to 12 digits, so that 0.1 is 0.1 and the same value in another range is the same point.
        return list(dict.fromkeys(round(x) if whole else float(f"{x:.12g}") for x in spread))
    if not isinstance(axis, list) or not axis or any(isinstance(value, (list, Mapping)) for value in axis):
        raise ValueError(f"axis {name} must be a list of values or a range like {{ from = 0.1, to = 1, points = 5 }}")
    return axis


def _range(name: str, axis: Mapping[str, Any], allowed: Sequence[str]) -> tuple[float, float, str, bool]:
    for key in axis:
        _known(key, allowed, f"key of axis {name}")
    ends: list[Any] = [axis.get("from"), axis.get("to")]
    if not all(_is_number(end) for end in ends):
        raise ValueError(f"axis {name} needs numbers from and to; got {ends[0]!r} and {ends[1]!r}")
    scale = axis.get("scale", "linear")
    if scale not in SCALES:
        raise ValueError(f"unknown scale {scale!r} of axis {name}: {choose(scale, SCALES)}")
    if scale == "log" and min(ends) <= 0:
        raise ValueError(f'axis {name} with scale = "log" must be above zero; got {ends[0]!r} to {ends[1]!r}')
    return float(ends[0]), float(ends[1]), scale, name in WHOLE


def _seeds(wanted: Any) -> tuple[int, ...]:
    if _is_count(wanted):
        _check_runs(1, wanted)
    seeds = list(range(wanted)) if _is_count(wanted) else wanted
    whole = isinstance(seeds, list) and all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
    if not whole or not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds of [sweep] must be a number of seeds or a list without repeats; got {wanted!r}")
    if max(seeds) > MOST_SEED:
        raise ValueError(f"seeds of [sweep] are whole numbers up to {MOST_SEED}; got {max(seeds)}")
    return tuple(seeds)


def _check_runs(points: int, seeds: int) -> None:
    if points * seeds > MOST_RUNS:
        product = f" ({points} points x {seeds} seeds)" if points > 1 and seeds > 1 else ""
        raise ValueError(
            f"{points * seeds} runs{product} are more than a sweep takes, {MOST_RUNS}: take fewer values or seeds, "
            '`kind = "random"`, or several files'
        )


def _phase(figure: Mapping[str, Any], axes: Mapping[str, Any]) -> dict[str, str]:
    for key, value in figure.items():
        if not isinstance(value, str):
            raise ValueError(f"{key} of [phase] must be a name in quotes; got {value!r}")
    for key in ("x", "y"):
        if key in figure and figure[key] not in axes:
            near = nearest(figure[key], axes)
            hint = "" if near is None else f": did you mean {near!r}?"
            raise ValueError(
                f"{key} = {figure[key]!r} of [phase] is not one of the axes, {', '.join(axes) or 'none'}{hint}"
            )
    return dict(figure)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _known(name: str, names: Any, what: str) -> None:
    if name not in names:
        near = nearest(name, names)
        hint = f"known are {', '.join(names)}" if near is None else f"did you mean {near!r}?"
        raise ValueError(f"unknown {what} {name!r}: {hint}")
