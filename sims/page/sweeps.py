"""A sweep: its phase diagram, any score over its settings, and the table of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from ..disk.jsonio import from_json
from ..draw.colours import DIVERGING_ON_PAGE, SEQUENTIAL_ON_PAGE
from ..draw.over_seeds import T_INTERVAL
from ..draw.sources import source_of
from .blocks import Block, Choice, Part, Plot, Section, Table
from .charts import COLOURS, axis, figure, interval, look, wide, words

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 2000  # of runs in the table; results.csv has all
PLOT_WIDTH, PLOT_HEIGHT = 700, 320  # pixels that cells share
NOT_SCORES = {"seed", "seconds", "steps"}
LINES = (
    ("measured_boundary", "measured boundary", "#000000", "solid"),
    ("predicted_boundary", "predicted, infinite width", "#009E73", "dash"),
    ("predicted_boundary_finite_width", "predicted, this width", "#CC79A7", "dashdot"),
)


def sweep_part(folder: Path) -> Part:
    """Raises ValueError where results.csv cannot be read."""
    import pandas as pd

    path = folder / "results.csv"
    try:
        table = pd.read_csv(path, dtype={"point": str})
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} cannot be read as a sweep's table ({error}): run the sweep again") from error
    runs = [folder / str(name) for name in table["folder"].dropna()] if "folder" in table else []
    first = next((run for run in runs if (run / "environment.json").is_file()), folder)
    seeds = sorted({int(seed) for seed in table["seed"]})
    source = {**source_of(first, seeds), "folder": str(folder)}
    done = int((table["status"] == "done").sum())
    facts = [("runs", str(len(table))), ("done", str(done)), ("failed", str(int((table["status"] == "failed").sum())))]
    sections = []
    phase = folder / "phase.json"
    if phase.is_file():
        sections.append(_phase(from_json(phase.read_text(encoding="utf-8")), source))
    scores = _score_section(table, source)
    sections += [scores] if scores is not None else []
    shown = table.head(MOST_ROWS)
    notes = [] if len(shown) == len(table) else [f"The first {MOST_ROWS} of {len(table)} runs; results.csv has all."]
    rows = [[_plain(cell) for cell in row] for row in shown.itertuples(index=False)]
    sections.append(Section("Runs", [Table("results", list(table.columns), rows)], notes, source))
    return Part(f"Sweep {folder.name}", sections, facts)


def _phase(phase: dict[str, Any], source: dict[str, Any]) -> Section:
    cells, x, y = phase["cells"], phase["x"], phase.get("y")
    traces = [_curve(cells, x)] if y is None else [_cells(phase, x, y)]
    traces += [] if y is not None else _predicted_curves(cells, x)
    for name, title, colour, dash in LINES:
        for number, line in enumerate(phase.get(name) or []):
            points = np.array(line, dtype=np.float64)
            if points.ndim != 2 or y is None:
                continue
            traces.append(
                go.Scatter(
                    x=points[:, 0],
                    y=points[:, 1],
                    mode="lines",
                    name=title,
                    legendgroup=name,
                    showlegend=number == 0,
                    line={"color": colour, "dash": dash, "width": 2.5},
                    hovertemplate=f"{title}<extra></extra>",
                )
            )
    scales = {name: wide(np.array([cell[name] for cell in cells], dtype=np.float64)) for name in (x, y) if name}
    drawn = figure(
        traces,
        xaxis=axis(words(x), log=scales[x]),
        yaxis=axis(words(y) if y else words(phase["metric"]), log=scales[y] if y else False),
    )
    alt = f"Phase diagram of {words(phase['metric'])} over {words(x)}" + (f" and {words(y)}" if y else "")
    settings = ", ".join(f"{name} {value}" for name, value in phase["settings"].items())
    notes = [
        f"{' on '.join(filter(None, (phase['model'], phase['graph'])))}; {settings}.",
        *(_sentence(note) for note in phase["notes"]),
    ]
    return Section("Phase diagram", [Plot("phase", alt, drawn, 520)], notes, source)


def _cells(phase: dict[str, Any], x: str, y: str) -> go.Scatter:
    """One square marker a cell: cells need not lie on a grid."""
    cells = phase["cells"]
    values = np.array([np.nan if cell["mean"] is None else cell["mean"] for cell in cells], dtype=np.float64)
    counts = [len({cell[name] for cell in cells}) for name in (x, y)] if phase["layout"] == "grid" else [24, 24]
    boundary = phase.get("boundary")
    reach = float(np.nanmax(np.abs(values - boundary))) if boundary is not None and np.isfinite(values).any() else None
    scale = {} if reach is None or boundary is None else {"cmin": boundary - reach, "cmax": boundary + reach}
    return go.Scatter(
        x=[cell[x] for cell in cells],
        y=[cell[y] for cell in cells],
        name=words(phase["metric"]),
        mode="markers",
        showlegend=False,
        marker={
            "symbol": "square",
            "size": int(np.clip(min(PLOT_WIDTH / counts[0], PLOT_HEIGHT / counts[1]), 8, 56)),
            "line": {"color": "#8a929c", "width": 1},
            "color": values,
            **(DIVERGING_ON_PAGE if boundary is not None else SEQUENTIAL_ON_PAGE),
            "colorbar": {"title": {"text": words(phase["metric"])}, "thickness": 14},
            **scale,
        },
        customdata=[[cell["mean"], cell["std"], cell.get("done"), cell.get("failed")] for cell in cells],
        hovertemplate=f"{words(x)} %{{x:.4g}}, {words(y)} %{{y:.4g}}<br>mean %{{customdata[0]:.5g}}, standard "
        "deviation %{customdata[1]:.3g}<br>%{customdata[2]} seeds, %{customdata[3]} failed<extra></extra>",
    )


def _curve(cells: Sequence[dict[str, Any]], x: str) -> go.Scatter:
    mean = np.array([np.nan if cell["mean"] is None else cell["mean"] for cell in cells], dtype=np.float64)
    low = np.array([np.nan if cell["low"] is None else cell["low"] for cell in cells], dtype=np.float64)
    high = np.array([np.nan if cell["high"] is None else cell["high"] for cell in cells], dtype=np.float64)
    return go.Scatter(
        x=[cell[x] for cell in cells],
        y=mean,
        error_y={"type": "data", "symmetric": False, "array": high - mean, "arrayminus": mean - low},
        mode="lines+markers",
        name="runs",
        line={"color": COLOURS[0]},
        showlegend=False,
        hovertemplate=f"{words(x)} %{{x:.4g}}: %{{y:.5g}}<extra>mean and range over seeds</extra>",
    )


def _predicted_curves(cells: Sequence[dict[str, Any]], x: str) -> list[go.Scatter]:
    curves = []
    for (name, title), (_, _, colour, dash) in zip(
        (("predicted", "predicted, infinite width"), ("predicted_finite_width", "predicted, this width")),
        LINES[1:],
        strict=True,
    ):
        here = [cell for cell in cells if cell.get(name) is not None]
        if here:
            curves.append(
                go.Scatter(
                    x=[cell[x] for cell in here],
                    y=[cell[name] for cell in here],
                    mode="lines",
                    name=title,
                    line={"color": colour, "dash": dash, "width": 2},
                    hovertemplate=f"{title}: %{{y:.5g}}<extra></extra>",
                )
            )
    return curves


def _score_section(table: pd.DataFrame, source: dict[str, Any]) -> Section | None:
    """Every score against the axis of numbers with most values, a line for each combination of the others."""
    done = table[table["status"] == "done"]
    cut = list(table.columns).index("error") if "error" in table else len(table.columns)
    settings = [name for name in table.columns[:cut] if name not in ("point", "seed", "status")]
    varying = [name for name in settings if table[name].nunique(dropna=False) > 1]
    numbers = [name for name in varying if table[name].dtype.kind in "if"]
    scores = [
        name
        for name in table.columns[cut:]
        if table[name].dtype.kind in "if" and name not in NOT_SCORES and done[name].notna().any()
    ]
    if not numbers or not scores or not len(done):
        return None
    x = max(numbers, key=lambda name: len(set(table[name])))
    others = [name for name in varying if name != x]
    options: list[tuple[str, Plot | Table]] = [(words(name), _lines(done, x, others, name)) for name in scores]
    blocks: list[Block] = [Choice("Score", options)]
    return Section("Scores over settings", blocks, [f"Mean over seeds with its {T_INTERVAL}."], source)


def _lines(done: pd.DataFrame, x: str, others: list[str], score: str) -> Plot:
    traces = []
    groups = [((), done)] if not others else list(done.groupby(others, dropna=False))
    for index, (values, rows) in enumerate(groups):
        style = look(index)
        cells = [(at, of_cell[score].to_numpy(dtype=np.float64)) for at, of_cell in rows.groupby(x)]
        points = [(at, *interval(scores[np.isfinite(scores)])) for at, scores in cells if np.isfinite(scores).any()]
        if not points:
            continue
        label = ", ".join(f"{words(name)} {_short(value)}" for name, value in zip(others, values, strict=True)) or score
        traces.append(
            go.Scatter(
                x=[point[0] for point in points],
                y=[float(point[1]) for point in points],
                error_y={"type": "data", "array": [0.0 if p[2] is None else float(p[2]) for p in points]},
                mode="lines+markers",
                name=label,
                line={"color": style["colour"], "dash": style["dash"]},
                marker={"symbol": style["symbol"]},
                hovertemplate=f"{label}<br>{words(x)} %{{x:.4g}}: %{{y:.5g}}<extra></extra>",
            )
        )
    log = wide(done[x].to_numpy(dtype=np.float64))
    drawn = figure(traces, xaxis=axis(words(x), log=log), yaxis=axis(words(score)), showlegend=bool(others))
    return Plot(f"sweep-{score}", f"{words(score)} over {words(x)}", drawn, 440)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(cell: Any) -> Any:
    value = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else str(value)


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."
