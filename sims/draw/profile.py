"""What `fiedler profile` shows: rows of ``kernels.profile`` as a table, as JSON and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS = "fiedler"
SIDESTEP = 0.04  # between the markers of one shape, in shapes


def profile_table(row: Mapping[str, Any]) -> Table:
    """One shape: ours, the peers that ran and, below them, why others did not; under each median its range. It fits 80
    columns."""
    title = f"{row['op']}: N {row['N']}, D {row['D']}, V {row['V']}, {row['dtype']} on {row['device']}"
    threads = "" if row["threads"] is None else f", {row['threads']} thread{'s' if row['threads'] > 1 else ''}"
    table = Table(
        title=f"{title}{threads}",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 0),
        show_edge=False,
    )
    for name in ("", "ms", "/ floor", "/ ours", "TFLOP/s", "GB/s", "peak MiB", "error"):
        table.add_column(name, justify="left" if not name else "right", overflow="fold")
    table.add_row(f"{OURS} ({row['path']})", *_cells(row, None))
    for name, peer in row["peers"].items():
        if "ms_median" in peer:
            table.add_row(name, *_cells(peer, peer["ratio_to_ours"]))
    table.add_row(
        "matrix products (floor)", f"{row['floor_ms']:.4g}", "1", "", f"{row['matmul_tflops']:.3g}", "", "", ""
    )
    return table


def absences(row: Mapping[str, Any]) -> list[str]:
    """One line for every peer that did not run."""
    return [f"{name}: {peer['absent']}" for name, peer in row["peers"].items() if peer.get("absent")]


def plot_profile(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time over the floor and peak memory of ours and every peer, one position a shape, in the order given."""
    import matplotlib.pyplot as plt  # a table does without
    from matplotlib.ticker import LogLocator, NullFormatter

    from .style import COLOURS, MARKERS, STYLE

    names = [OURS, *dict.fromkeys(name for row in rows for name, peer in row["peers"].items() if "ms_median" in peer)]
    labels = [f"N {row['N']}\nD {row['D']}\nV {row['V']}" for row in rows]
    places = range(len(rows))
    with plt.rc_context(STYLE):
        figure, (time, memory) = plt.subplots(1, 2, figsize=(11.0, 4.2), layout="constrained")
        for k, name in enumerate(names):
            found = [row if name == OURS else row["peers"].get(name, {}) for row in rows]
            here = [i for i, entry in zip(places, found, strict=True) if "ms_median" in entry]
            style = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "ms": 5, "lw": 1.2}
            ratios = [found[i]["ratio_to_floor"] for i in here]
            low = [middle - least for middle, least, _ in ratios]
            high = [most - middle for middle, _, most in ratios]
            # Side by side, or the error bars of one shape would lie on each other.
            beside = [i + SIDESTEP * (k - (len(names) - 1) / 2) for i in here]
            time.errorbar(beside, [r[0] for r in ratios], yerr=[low, high], label=name, capsize=2, **style)
            memory.plot(here, [found[i]["peak_mib"] for i in here], label=name, **style)
        time.axhline(1.0, color="#444444", lw=1.0, ls="--")
        time.set(ylabel="time / floor (median, range)", yscale="log", title=f"{rows[0]['op']}, {rows[0]['dtype']}")
        memory.set(ylabel="peak memory, MiB", yscale="log", title=str(rows[0]["device"]))
        for ax in (time, memory):
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
            ax.set_xticks(list(places), labels)
            ax.margins(x=0.08)
        time.legend(frameon=False, loc="best")
    return figure


def benchmark_json(rows: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> dict[str, Any]:
    """The form of benchmarks/results: environment and rows."""
    return {"environment": dict(environment), "rows": [dict(row) for row in rows]}


def write_profile(folder: Path, rows: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[Path]:
    """profile.json, profile.png and profile.svg in ``folder``, made if it is missing."""
    from ..disk.files import write_text
    from ..disk.jsonio import to_json
    from .style import save_figure

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profile.json"
    write_text(path, to_json(benchmark_json(rows, environment), indent=2) + "\n")
    return [path, *save_figure(plot_profile(rows), folder, "profile")]


def _cells(entry: Mapping[str, Any], to_ours: Sequence[float] | None) -> list[str]:
    low, high = entry["ms_spread"]
    error = "-" if entry["error"] is None else f"{entry['error']:.1e}"
    return [
        f"{_short(entry['ms_median'])}\n{_short(low)}-{_short(high)}",
        _ratio(entry["ratio_to_floor"]),
        "1" if to_ours is None else _ratio(to_ours),
        f"{entry['tflops']:.3g}",
        f"{entry['gbps']:.3g}",
        f"{entry['peak_mib']:.4g}",
        error,
    ]


def _ratio(triple: Sequence[float]) -> str:
    return f"{_short(triple[0])}\n{_short(triple[1])}-{_short(triple[2])}"


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
