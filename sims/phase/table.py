"""The measured side of a phase diagram: one score of a finished sweep over one or two settings.

The table has one row a point and seed: "graph", "model", every setting and option of the target, "seed", "status"
("done", "failed"; others are runs not made yet) and scores. Where "command" is not "train", there need be no graph and
model: its settings are the columns up to "seed". Rows of one cell may differ in the seed alone: nothing is
averaged unasked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models.registry import Model, get_model
from ..scores.statistics import mean, standard_deviation
from ..suggest import choose
from ..tasks.task import TASK_OPTIONS
from .axes import Axis

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

METRIC = "geometric_margin"
TRAIN = "train"
READING = ("delimiter", "header", "comments", "weight")  # how the graph's file is read, where a sweep says it
OPTIONS = ("graph", "symmetrize", *READING, *TASK_OPTIONS)
FILLED = 0.5  # cells present among all combinations, above which points are a grid
SAME = 1e-9  # relative difference of numbers that are the same value, written and read again
SHOWN = 6  # values of a setting in an error


@dataclass(frozen=True, eq=False)
class PhaseGrid:
    """k cells, each a value of one axis (``layout`` "curve") or of two ("grid"; "scatter" where most combinations are
    missing, as in a random sweep).

    ``cells`` (k, number of axes). Over the finished seeds of each cell ``mean``, ``std`` (n - 1 in the denominator; NaN
    for one seed), ``low`` and ``high`` (k,), NaN without any. How many seeds (k,): ``done``, with a finite score;
    ``undefined``, finished without one; ``failed``. ``settings``: what does not vary; a pair of numbers where a range
    was chosen. ``seeds``: all of them. ``command``: whose runs they are; for others than "train" ``model`` is None, and
    ``graph`` empty where they have none.
    """

    graph: str
    model: Model | None
    metric: str
    axes: tuple[Axis, ...]
    cells: Floats
    mean: Floats
    std: Floats
    low: Floats
    high: Floats
    done: Integers
    undefined: Integers
    failed: Integers
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    layout: str
    command: str = TRAIN

    @property
    def name(self) -> str:
        """What was trained."""
        return f"fiedler {self.command}" if self.model is None else self.model.name

    @property
    def setting_types(self) -> Mapping[str, type]:
        """The settings of the model, of which a prediction is made."""
        return {} if self.model is None else self.model.setting_types()

    def matrix(self, values: NDArray[Any]) -> Floats:
        """Values (k,) of the cells as (len(y), len(x)), NaN where there is no cell; (1, len(x)) for a curve."""
        places = [np.searchsorted(axis.values, column) for axis, column in zip(self.axes, self.cells.T, strict=True)]
        out = np.full((len(self.axes[1].values) if len(self.axes) > 1 else 1, len(self.axes[0].values)), np.nan)
        out[places[1] if len(places) > 1 else 0, places[0]] = values
        return out


def phase_grid(
    table: pd.DataFrame,
    x: str,
    y: str | None = None,
    metric: str = METRIC,
    *,
    fixed: Mapping[str, Any] | None = None,
) -> PhaseGrid:
    """Mean and spread over seeds of ``metric`` over the settings ``x`` and ``y``, and how many seeds failed.

    ``fixed``: of other settings that vary the value to take, {"width": 100}, or the range, {"width": (50, 200)}. Raises
    ValueError for a column that is missing, an axis or a score that is not made of numbers, a value that no row has,
    settings that still vary (with their values), and two rows of one cell and seed.
    """
    chosen = dict(fixed or {})
    names = [x] if y is None else [x, y]
    for name in (*names, metric, "seed", "status", *chosen):
        if name not in table.columns:
            hint = choose(name, tuple(map(str, table.columns)), "it has")
            raise ValueError(f"the table has no column {name!r}; {hint}")
    if x == y or set(names) & set(chosen):
        raise ValueError(f"{x} and {y or 'no y'} with {sorted(chosen)} fixed: x, y and what is fixed must differ")
    rows = table
    for name, value in chosen.items():
        rows = _rows_with(rows, name, value)
    command = str(_one_value(rows, ("command",), ())["command"]) if "command" in rows else TRAIN
    model = _model(rows) if command == TRAIN else None
    known = _settings_of(rows) if model is None else [
        name for name in (*OPTIONS, *model.setting_types()) if name in table.columns
    ]  # fmt: skip
    for name in names:
        if name not in known or name == "graph":
            owner = f"fiedler {command}" if model is None else model.name
            offered = [setting for setting in known if setting != "graph"]
            raise ValueError(f"{name!r} is no setting of {owner} to draw over; {choose(name, offered)}")
    ranges = [name for name, value in chosen.items() if isinstance(value, tuple)]
    settings = _one_value(rows, known, [*names, *ranges])
    settings.update({name: chosen[name] for name in ranges})
    score = _numbers(rows, metric, finite=False)
    cells, cell_of_row = np.unique(
        np.column_stack([_numbers(rows, name) for name in names]), axis=0, return_inverse=True
    )
    cell_of_row = cell_of_row.reshape(-1)
    _check_seeds(rows, names, cell_of_row)
    finished = (rows["status"] == "done").to_numpy()
    done = finished & np.isfinite(score)
    groups = [score[done & (cell_of_row == k)] for k in range(len(cells))]
    axes = tuple(Axis.of(name, column) for name, column in zip(names, cells.T, strict=True))
    filled = len(cells) / float(np.prod([len(axis.values) for axis in axes]))
    return PhaseGrid(
        str(settings.pop("graph", "")),
        model,
        metric,
        axes,
        cells,
        np.array([mean(group) for group in groups]),
        np.array([standard_deviation(group) for group in groups], dtype=np.float64),
        np.array([group.min() if len(group) else np.nan for group in groups]),
        np.array([group.max() if len(group) else np.nan for group in groups]),
        _counts(cell_of_row, done, len(cells)),
        _counts(cell_of_row, finished & ~done, len(cells)),
        _counts(cell_of_row, (rows["status"] == "failed").to_numpy(), len(cells)),
        settings,
        tuple(sorted(int(seed) for seed in rows["seed"].unique())),
        "curve" if y is None else "grid" if filled > FILLED else "scatter",
        command,
    )


def _model(rows: pd.DataFrame) -> Model:
    """The one model of runs of `fiedler train`."""
    for name in ("graph", "model"):
        if name not in rows.columns:
            raise ValueError(
                f"the table has no column {name!r}; {choose(name, tuple(map(str, rows.columns)), 'it has')}"
            )
    return get_model(str(_one_value(rows, ("model",), ())["model"]))


def _settings_of(rows: pd.DataFrame) -> list[str]:
    """The settings of another command: what the rows say before their seed."""
    before = list(map(str, rows.columns))[: list(rows.columns).index("seed")]
    return [name for name in before if name not in ("point", "command") and rows[name].notna().any()]


def _counts(cell_of_row: NDArray[np.intp], which: NDArray[np.bool_], cells: int) -> Integers:
    return np.bincount(cell_of_row[which], minlength=cells).astype(np.int64)


def _rows_with(rows: pd.DataFrame, name: str, value: Any) -> pd.DataFrame:
    column = rows[name]
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"a range of {name} is a pair (lowest, highest); got {value}")
        numbers = _numbers(rows, name)
        matching = rows[(numbers >= value[0]) & (numbers <= value[1])]
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and column.dtype.kind in "iuf":
        matching = rows[np.isclose(column.to_numpy(dtype=np.float64), float(value), rtol=SAME, atol=0.0)]
    else:
        matching = rows[column == value]
    if len(matching) == 0:
        raise ValueError(f"no row has {name} = {value}; there are {_values(column)}")
    return matching


def _one_value(rows: pd.DataFrame, names: Sequence[str], free: Sequence[str]) -> dict[str, Any]:
    """The value of each of ``names`` but the ``free``. Raises ValueError where one varies or there are no rows."""
    if len(rows) == 0:
        raise ValueError("the table has no rows; give a finished sweep")
    varying = [name for name in names if name not in free and rows[name].nunique(dropna=False) > 1]
    if varying:
        listed = "; ".join(f"{name} ({_values(rows[name])})" for name in varying)
        example = f"fixed={{{varying[0]!r}: {rows[varying[0]].iloc[0]!r}}}"
        raise ValueError(f"other settings still vary: {listed}: choose a value of each, as {example}")
    fixed = {name: rows[name].iloc[0] for name in names if name not in free}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in fixed.items()}


def _values(column: pd.Series[Any]) -> str:
    values = column.drop_duplicates().sort_values().tolist()
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values[:SHOWN])
    return shown if len(values) <= SHOWN else f"{shown}, ... ({len(values)} values)"


def _numbers(rows: pd.DataFrame, name: str, *, finite: bool = True) -> Floats:
    column = rows[name]
    if column.dtype.kind not in "iuf":
        raise ValueError(f"{name} does not hold numbers but {column.dtype}; choose another column")
    numbers = column.to_numpy(dtype=np.float64)
    if finite and not np.isfinite(numbers).all():
        raise ValueError(f"{name} holds values that are no finite numbers; leave those rows out")
    return numbers


def _check_seeds(rows: pd.DataFrame, names: Sequence[str], cell_of_row: NDArray[np.intp]) -> None:
    twice = rows.assign(_cell=cell_of_row).duplicated(["_cell", "seed"])
    if twice.any():
        row = rows[twice.to_numpy()].iloc[0]
        where = ", ".join(f"{name} = {row[name]:g}" for name in names)
        raise ValueError(f"seed {row['seed']} appears twice at {where}: keep one row a point and seed")
