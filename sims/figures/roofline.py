"""The kernels' roofline: arithmetic done a second against arithmetic intensity, below the machine's own products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from ..disk.jsonio import from_json
from ..draw.profile import OURS
from ..draw.sources import Source, Unsuitable
from .drawn import Drawn, only_one
from .style import Column, look

PROFILE = "what `fiedler profile --out DIR` writes"
FILE = "profile.json"
NEEDED = ("tflops", "gbps", "matmul_tflops", "ms_median", "ms_spread", "peers")
SIDESTEP = 1.025  # factor along the intensity between the ways of one shape, whose bytes are counted alike
CEILING = "#555555"
SUBS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # of each decade, the ticks
MARGIN = 1.6  # of the intensity axis beyond the first and the last point


def read_profile(path: Path) -> tuple[list[dict[str, Any]], Source]:
    """The rows of profile.json, given itself or its folder. Raises Unsuitable for anything else."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise Unsuitable(f"{file} does not exist")
    try:
        content = from_json(file.read_text(encoding="utf-8"))
        rows = list(content["rows"])
        suitable = bool(rows) and all(name in row for row in rows for name in NEEDED)
    except (OSError, ValueError, TypeError, KeyError):
        suitable = False
    if not suitable:
        raise Unsuitable(f"{file} is not {PROFILE}")
    return rows, Source.make(path, content.get("environment", {}), None)


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Ours and every peer that ran, a mark a shape. Raises Unsuitable for rows of several devices."""
    rows, source = read_profile(only_one(folders, PROFILE))
    if len({(row["device"], row["dtype"], row["op"]) for row in rows}) > 1:
        raise Unsuitable(f"{folders[0]} has rows of several operations, types or devices: give one profile")
    names = [OURS, *dict.fromkeys(name for row in rows for name, peer in row["peers"].items() if "ms_median" in peer)]
    unit, scale = ("TFLOP", 1.0) if max(row["matmul_tflops"] for row in rows) >= 1 else ("GFLOP", 1e3)
    figure, ax = plt.subplots(figsize=(column.width, 3.0))
    reach: list[float] = []
    for number, name in enumerate(names):
        found = [row if name == OURS else row["peers"].get(name, {}) for row in rows]
        points = np.array([_point(entry, scale) for entry in found if "ms_median" in entry])
        style = look(number)
        x = points[:, 0] * SIDESTEP ** (number - (len(names) - 1) / 2)
        reach += x.tolist()
        face, order = (style.color, 4) if name == OURS else ("white", 3)
        ax.errorbar(x, points[:, 1], yerr=points[:, 2:].T, fmt=style.marker, color=style.color, mfc=face, ms=4,
                    elinewidth=0.7, label=name, zorder=order)  # fmt: skip
    low, high = min(reach) / MARGIN, max(reach) * MARGIN
    for k, row in enumerate(rows):
        intensity = _point(row, scale)[0]
        reached = scale * row["matmul_tflops"]
        ax.plot([intensity / MARGIN**0.5, intensity * MARGIN**0.5], [reached, reached], color=CEILING, ls="-", lw=1.0,
                marker="", label="matrix products alone, measured" if k == 0 else None)  # fmt: skip
    ceiling = scale * max(row["matmul_tflops"] for row in rows)
    ax.axhline(ceiling, color=CEILING, lw=0.8, ls="--", label="the fastest of these")
    ax.set(xscale="log", yscale="log", xlim=(low, high), xlabel="arithmetic intensity, FLOP per byte")
    ax.set_ylabel(f"{unit}/s")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=SUBS))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_locator(NullLocator())
    lowest = min(
        _point(entry, scale)[1] for row in rows for entry in (row, *row["peers"].values()) if "ms_median" in entry
    )
    ax.set_ylim(lowest / 3, ceiling * 2)
    figure.legend(loc="outside lower center", ncols=3 if column.wide else 2)
    row = rows[0]
    caption = (
        f"{row['op']} cross-entropy, {row['dtype']}, on {row['device']}"
        + (f", {row['threads']} thread(s)" if row.get("threads") else "")
        + ", shapes N x D x V "
        + ", ".join(f"{one['N']} x {one['D']} x {one['V']}" for one in rows)
        + ". Rate: the work of the three matrix products over the median time, bars over the rounds' range. Intensity: "
        "that work over the least traffic an implementation could do, the same for all; marks of one shape "
        "stand beside "
        "each other. Grey: the same matrix products alone, timed in turns with the others on the same machine. Memory "
        "bandwidth was not measured, so no slanted roof is drawn."
    )
    return Drawn(figure, f"{row['op']} cross-entropy on {row['device']}, {row['dtype']}", caption, (source,))


def _point(entry: Mapping[str, Any], scale: float) -> tuple[float, float, float, float]:
    """Intensity in FLOP per byte, ``scale`` times TFLOP/s, and how far that reaches below and above over the rounds."""
    middle, (least, most) = entry["ms_median"], entry["ms_spread"]
    rate = scale * entry["tflops"]
    return 1e3 * entry["tflops"] / entry["gbps"], rate, rate - rate * middle / most, rate * middle / least - rate
