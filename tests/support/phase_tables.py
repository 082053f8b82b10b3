"""Tables of finished sweeps whose scores are a formula, for tests of phase diagrams."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from fiedler.sims.models.registry import get_model

OPTIONS = {"self_edges": False, "label_smoothing": 0.0, "window": 1, "p": 1.0, "q": 1.0, "symmetrize": False}
Formula = Callable[..., float]


def swept(
    axes: Mapping[str, Sequence[Any]],
    score: Formula,
    *,
    seeds: Sequence[int] = (0, 1),
    metric: str = "geometric_margin",
    graph: str = "cycle:7",
    model: str = "node2vec",
    **settings: Any,
) -> pd.DataFrame:
    """One row a point of the grid over ``axes`` and seed, with ``metric`` = ``score(seed=..., **point)``."""
    kind, rows = get_model(model), []
    for point in itertools.product(*axes.values()):
        given = dict(zip(axes, point, strict=True))
        options = {name: given.pop(name) for name in OPTIONS if name in given}
        made = dataclasses.asdict(kind.make_settings(**{"steps": 20, "width": 10, **settings, **given}))
        for seed in seeds:
            value = score(seed=seed, **given, **options)
            names = {"point": "key", "graph": graph, "model": model, **OPTIONS, **options, **made, "seed": seed}
            rows.append(names | {"status": "done", "error": None, "seconds": 0.1, metric: value, "folder": "f"})
    return pd.DataFrame(rows)


def fail(table: pd.DataFrame, which: pd.Series, metric: str = "geometric_margin", status: str = "failed") -> None:
    """Rows without a score, in place."""
    table.loc[which, "status"] = status
    table.loc[which, metric] = float("nan")
