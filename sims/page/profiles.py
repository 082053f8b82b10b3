"""Kernel profiles: time over the floor, achieved rates, memory and error of ours and every peer that ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from ..disk.jsonio import from_json
from ..draw.sources import source_of_environment
from .blocks import Choice, Part, Plot, Section, Table
from .charts import THEORY, axis, figure, look

OURS = "fiedler"
MEASURES = (
    ("ratio_to_floor", "time / floor"),
    ("ms_median", "time, ms"),
    ("tflops", "achieved TFLOP/s"),
    ("gbps", "achieved GB/s"),
    ("peak_mib", "peak memory, MiB"),
    ("error", "relative error against float64"),
)
COLUMNS = (
    *("op", "shape", "type", "device", "way", "ms", "ms, least", "ms, most", "/ floor", "/ ours"),
    *("TFLOP/s", "GB/s", "peak MiB", "error"),
)
PATTERNS = ("", "/", "\\", "x", ".", "+")


def profile_part(folder: Path) -> Part:
    """What `fiedler profile --out` left. Raises ValueError where profile.json is not of that form."""
    path = folder / "profile.json"
    content = from_json(path.read_text(encoding="utf-8"))
    rows = content.get("rows") if isinstance(content, dict) else None
    needed = ("op", "N", "D", "V", "dtype", "device", "path", "ms_median", "peers")
    if not rows or any(name not in row for row in rows for name in needed):
        raise ValueError(f"{path} holds no rows of `fiedler profile`: make it again with --out")
    source = {"folder": str(folder), **source_of_environment(content.get("environment") or {})}
    options: list[tuple[str, Plot | Table]] = [(title, _bars(rows, name, title)) for name, title in MEASURES]
    notes = [
        "Loss and gradients. The floor is the time of the plain matrix products of the shape, measured in turns with "
        "everything else; beside fiedler stands the way it chose on this device. Bars: median and range of rounds."
    ]
    absent = dict.fromkeys(
        f"{name} ({peer['absent']})" for row in rows for name, peer in row["peers"].items() if peer.get("absent")
    )
    notes += [f"Not measured: {', '.join(absent)}."] if absent else []
    table = Table("profile", COLUMNS, [line for row in rows for line in _lines(row)])
    sections = [
        Section("Kernels", [Choice("Measure", options)], notes, source),
        Section("Every measurement", [table], (), source),
    ]
    devices = ", ".join(dict.fromkeys(str(row["device"]) for row in rows))
    return Part(f"Kernel profile {folder.name}", sections, [("shapes", str(len(rows))), ("device", devices)])


def _ways(row: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    peers = {name: peer for name, peer in row["peers"].items() if "ms_median" in peer}
    return {OURS: row, **peers}


def _shape(row: Mapping[str, Any]) -> str:
    return f"{row['op']}<br>{row['N']} × {row['D']} × {row['V']}<br>{row['dtype']}"


def _bars(rows: Sequence[Mapping[str, Any]], measure: str, title: str) -> Plot:
    names = list(dict.fromkeys(name for row in rows for name in _ways(row)))
    traces = []
    for index, name in enumerate(names):
        found = [(_shape(row), _ways(row)[name]) for row in rows if name in _ways(row)]
        points = [(shape, *_value(entry, measure)) for shape, entry in found]
        points = [point for point in points if point[1] is not None]
        if not points:
            continue
        label = name if name != OURS else f"{OURS} ({', '.join(dict.fromkeys(str(row['path']) for row in rows))})"
        traces.append(
            go.Bar(
                x=[point[0] for point in points],
                y=[point[1] for point in points],
                name=label,
                marker={
                    "color": look(index)["colour"],
                    "pattern": {"shape": PATTERNS[index % len(PATTERNS)]},
                },
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [point[3] - point[1] for point in points],
                    "arrayminus": [point[1] - point[2] for point in points],
                    "color": THEORY,
                },
                hovertemplate=f"{label}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
            )
        )
    line = {"color": THEORY, "dash": "dot", "width": 1.5}
    floor = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line}
    drawn = figure(
        traces,
        barmode="group",
        xaxis={"type": "category", "automargin": True},
        yaxis=axis(title, log=measure == "error", rangemode="tozero"),
        shapes=[floor] if measure == "ratio_to_floor" else [],
    )
    return Plot(f"profile-{measure.replace('_', '-')}", f"Kernel profile: {title} for each shape", drawn, 460)


def _value(entry: Mapping[str, Any], measure: str) -> tuple[Any, Any, Any]:
    value = entry.get(measure)
    if measure == "ratio_to_floor" and value is not None:
        return value[0], value[1], value[2]
    if measure == "ms_median":
        low, high = entry["ms_spread"]
        return value, low, high
    return value, value, value


def _lines(row: Mapping[str, Any]) -> list[list[Any]]:
    lines = []
    for name, entry in _ways(row).items():
        way = f"{OURS} ({row['path']})" if name == OURS else f"{name} {entry.get('version') or ''}".strip()
        ratio = 1.0 if name == OURS else (entry.get("ratio_to_ours") or [None])[0]
        floor = (entry.get("ratio_to_floor") or [None])[0]
        shape = f"{row['N']} × {row['D']} × {row['V']}"
        lines.append(
            [row["op"], shape, row["dtype"], row["device"], way, entry["ms_median"], *entry["ms_spread"], floor, ratio,
             entry.get("tflops"), entry.get("gbps"), entry.get("peak_mib"), entry.get("error")]
        )  # fmt: skip
    floor_row = [row["op"], f"{row['N']} × {row['D']} × {row['V']}", row["dtype"], row["device"]]
    floor_row += ["matrix products (floor)", row.get("floor_ms"), None, None, 1.0, None, row.get("matmul_tflops")]
    return [*lines, [*floor_row, None, None, None]]
