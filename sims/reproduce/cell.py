"""Cells as points of the sweep engine: runs of its commands, or calls of a function of ``reproduce.measures``.

The name of a cell's folder says everything it depends on, defaults and the measuring function's text included, so that
a finished cell is never run again, and a changed one always is.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

from ..disk.jsonio import to_json
from ..runs.folder import STARTED, RunDir
from ..runs.stopping import heeding
from ..sweep.commands import Command, Folder, How, Options
from ..sweep.point import KEY_DIGITS, Point
from ..tasks.search import Search
from .claim import Cell

MEASURE = "measure"
GRACE_SECONDS = 5.0  # for a training within a measure to write its checkpoint

Measure = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class At:
    """Where a measure runs: its ``seed``, a ``folder`` of its own, and how runs inside are made."""

    seed: int
    folder: Path
    how: How


@dataclass(frozen=True)
class Call:
    """A function of ``reproduce.measures`` by name, all of its arguments, and its text, which decides its results."""

    measure: str
    arguments: Mapping[str, Any]
    text: str


class CellPoint(Point):
    """A point whose key holds its whole settings."""

    @staticmethod
    def of(cell: Cell) -> CellPoint:
        """Raises ValueError for options that no command or measure has."""
        if MEASURE in cell.options:
            point = CellPoint(tuple(sorted(cell.options.items())))
            point.settings()
            return point
        return CellPoint(Point.make(cell.options).options)

    @cached_property
    def key(self) -> str:
        whole = [dict(self.options), dataclasses.asdict(self.settings())]
        return hashlib.sha256(to_json(whole).encode()).hexdigest()[:KEY_DIGITS]

    @property
    def command(self) -> Command:
        return MEASURED if self.measured else super().command

    @property
    def measured(self) -> bool:
        """Whether it is a call of a measure."""
        return any(name == MEASURE for name, _ in self.options)

    @property
    def own(self) -> dict[str, Any]:
        return dict(self.options) if self.measured else super().own

    def settings(self) -> Any:
        return MEASURED.settings(self.own, {}) if self.measured else super().settings()


class Measured:
    """Calls of functions of ``reproduce.measures`` as a command of the sweep engine."""

    name = MEASURE
    options: Mapping[str, type] = {MEASURE: str}
    metric = ""
    scores: tuple[str, ...] | None = None

    def complete(self, options: Options) -> dict[str, Any]:
        return dict(options)

    def owner(self, options: Options) -> str:
        return f"the measure {options[MEASURE]}"

    def setting_types(self, options: Options) -> Mapping[str, type]:
        return {}

    def settings(self, options: Options, changes: Mapping[str, Any]) -> Call:
        function = get_measure(options[MEASURE])
        given = {name: value for name, value in options.items() if name != MEASURE}
        try:
            bound = inspect.signature(function).bind(None, **given)
        except TypeError as error:
            raise ValueError(f"{options[MEASURE]}: {error}") from error
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        return Call(options[MEASURE], arguments, _text(function))

    def columns(self, options: Options) -> dict[str, Any]:
        return dict(options)

    def check(self, options: Options, settings: Any) -> None:
        pass

    def together(self, options: Options) -> bool:
        return False

    def needs_torch(self, options: Options) -> bool:
        return False  # those that train import it themselves

    def train(self, options: Options, settings: Call, seeds: Sequence[int], folder: Folder, how: How) -> None:
        function = get_measure(settings.measure)
        for seed in seeds:
            run = RunDir.create(folder(seed), {MEASURE: settings, "seed": seed}, overwrite=True)
            at, began = At(seed, folder(seed) / "runs", how), time.perf_counter()
            scores = heeding(how.watch.stop, partial(function, at, **settings.arguments), grace=GRACE_SECONDS)
            run.write_scores({"seed": seed, "seconds": time.perf_counter() - began, **scores})
            run.seal()

    def finished(self, folder: RunDir) -> bool:
        return all(folder.is_final(name) for name in STARTED)

    def stale(self, options: Options, settings: Any, scores: Mapping[str, Any], search: Search) -> bool:
        return False

    def seconds(self, options: Options, settings: Any, seeds: Sequence[int]) -> float:
        raise ValueError("a measure's time is not estimated: the claim says it")

    def optimum_seconds(self, options: Options, search: Search) -> float | None:
        return 0.0


MEASURED = Measured()


def _text(function: Measure) -> str:
    """Of a function without its docstring, comments and layout, which change no result."""
    (tree,) = ast.parse(dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    if ast.get_docstring(tree) is not None:
        del tree.body[0]
    return ast.unparse(tree)


def get_measure(name: str) -> Measure:
    """The function "module.function" of ``reproduce.measures``. Raises ValueError where there is none."""
    module, _, function = name.partition(".")
    try:
        return getattr(import_module(f"{__package__}.measures.{module}"), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"no measure is called {name!r} ({error})") from error
