"""Path, recall and headroom runs: scores of every condition, learning curves, and the figures the command drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..draw.sources import source_of
from ..runs.folder import RunDir
from .blocks import Block, Choice, Part, Picture, Plot, Section, Table
from .charts import axis, early, figure, look, wide, words
from .scoring import INTERVALS, Group, score_blocks

PICTURE_BYTES = 1_500_000  # of all figures of a folder that a page takes in
STEP = "step"


def conditions_part(folder: Path) -> Part:
    """A folder of `fiedler paths`, `recall`, `headroom` or a preset: everything it says that has no page of its own.
    Raises ValueError for a folder without scores.json."""
    kept = RunDir.open(folder)
    config, scores = kept.read_config(), kept.read_scores()
    seeds = [int(seed) for seed in config.get("seeds", [])]
    source = source_of(folder, seeds)
    sections = []
    groups = _groups(scores) or _groups_of_runs(folder)
    if groups:
        sections.append(Section("Scores", score_blocks(groups, {}), [INTERVALS], source))
    curves = curve_section(sorted((folder / "runs").glob("*")), source)
    sections += [curves] if curves is not None else []
    pictures = _pictures(folder)
    if pictures:
        sections.append(Section("Figures", pictures, ["As the command drew them."], source))
    numbers = _flat(scores)
    if numbers:
        sections.append(Section("All numbers", [Table("numbers", ("name", "value"), numbers)], (), source))
    facts: list[tuple[str, str]] = [(name, str(config[name])) for name in ("graph", "n", "preset") if name in config]
    facts += [("seeds", str(len(seeds)))] if seeds else []
    return Part(str(config.get("graph") or config.get("preset") or folder.name), sections, facts)


def curve_section(runs: Sequence[Path], source: Mapping[str, Any]) -> Section | None:
    """Every number of metrics.jsonl over the steps, a line a run, chosen from a menu; None without any."""
    logs = [(run, _log(run)) for run in runs if (run / "metrics.jsonl").is_file()]
    logs = [(run, log) for run, log in logs if log]
    names = list(
        dict.fromkeys(name for _, log in logs for record in log for name, v in record.items() if _is_number(v))
    )
    names = [name for name in names if name not in (STEP, "time", "seed")]
    if not logs or not names:
        return None
    options = [(words(name), _curves(logs, name)) for name in names]
    note = "What the runs recorded on the way (metrics.jsonl), a line a run; a click on the legend hides a condition."
    return Section("Training", [Choice("Measure", options)], [note], source)


def _curves(logs: Sequence[tuple[Path, list[dict[str, Any]]]], name: str) -> Plot:
    traces: list[Any] = []
    conditions = list(dict.fromkeys(_condition(run) for run, _ in logs))
    shown = set[str]()
    for run, log in logs:
        points = [(record[STEP], record[name]) for record in log if _is_number(record.get(name)) and STEP in record]
        if not points:
            continue
        condition = _condition(run)
        style = look(conditions.index(condition))
        traces.append(
            go.Scatter(
                x=[point[0] for point in points],
                y=[point[1] for point in points],
                mode="lines",
                name=words(condition),
                meta=run.name,
                legendgroup=condition,
                showlegend=condition not in shown,
                line={"color": style["colour"], "dash": style["dash"], "width": 1.5},
                hovertemplate=f"{run.name}<br>step %{{x}}: %{{y:.5g}}<extra></extra>",
            )
        )
        shown.add(condition)
    steps, values = ([number for trace in traces for number in trace[of]] for of in ("x", "y"))
    drawn = figure(traces, xaxis=axis("step", log=early(steps)), yaxis=axis(words(name), log=wide(values)))
    return Plot(f"curve-{name.replace('_', '-')}", f"{words(name)} over the steps of every run", drawn)


def _condition(run: Path) -> str:
    name, _, seed = run.name.rpartition("-seed")
    return name if name and seed.isdigit() else run.name


def _log(run: Path) -> list[dict[str, Any]]:
    return RunDir(run).read_metrics()


def _groups(scores: Mapping[str, Any]) -> list[Group]:
    """Conditions whose scores are there seed by seed ("per_seed")."""
    groups: list[Group] = []
    for name in scores.get("conditions") or []:
        entries = (scores.get(name) or {}).get("per_seed") if isinstance(name, str) else None
        if not entries:
            continue
        keys = [key for key in entries[0] if key not in ("seed", STEP) and all(_is_number(e.get(key)) for e in entries)]
        found = {key: [float(entry[key]) for entry in entries] for key in keys}
        groups.append((words(name), [int(entry["seed"]) for entry in entries], found))
    return groups


def _groups_of_runs(folder: Path) -> list[Group]:
    """Conditions whose scores are only in the folders of their runs."""
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for run in sorted((folder / "runs").glob("*-seed*")):
        seed = run.name.rpartition("-seed")[2]
        if seed.isdigit() and (run / "scores.json").is_file():
            found.setdefault(_condition(run), []).append((int(seed), RunDir(run).read_scores()))
    groups: list[Group] = []
    for name, entries in found.items():
        entries.sort(key=lambda entry: entry[0])
        keys = [key for key in entries[0][1] if key != STEP and all(_is_number(one.get(key)) for _, one in entries)]
        values = {key: [float(one[key]) for _, one in entries] for key in keys}
        groups.append((words(name), [seed for seed, _ in entries], values))
    return [group for group in groups if group[2]]


def _pictures(folder: Path) -> list[Block]:
    pictures: list[Block] = []
    room = PICTURE_BYTES
    for path in sorted((folder / "figures").glob("*.png")):
        data = path.read_bytes()
        if len(data) <= room:
            room -= len(data)
            alt = f"Figure {path.stem} of {folder.name}, as the command drew it"
            pictures.append(Picture(path.stem, alt, data))
    return pictures


def _flat(scores: Mapping[str, Any], prefix: str = "") -> list[list[Any]]:
    """Every single number of a JSON object, named by the way to it."""
    rows: list[list[Any]] = []
    for name, value in scores.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{words(name)} / ")
        elif _is_number(value):
            rows.append([f"{prefix}{words(name)}", value])
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))
