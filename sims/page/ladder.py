"""A preset that is a ladder: how much of every rung its prediction explains, and the energies behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..compare.energy_series import positive
from ..compare.ladder.agreement import HOLDS, PARTED
from ..compare.ladder.course import Graphs, RungCourse, read_courses
from ..compare.presets.definitions import PRESETS
from ..draw.sources import Unsuitable, source_of
from .blocks import Block, Choice, Part, Plot, Section, Table
from .charts import THEORY, axis, figure, look
from .conditions import conditions_part

RUNG = 34  # CSS pixels
SHOWN_MODES = 5  # of an energy figure, those of most energy
POINTS = 40  # measured points a mode
LEAST = 1e-6  # of the share unexplained that is drawn
DECADES = 5  # of energy below the largest


def is_ladder(config: Mapping[str, Any]) -> bool:
    """Whether the folder with that config is one's."""
    preset = PRESETS.get(str(config.get("preset", "")))
    return preset is not None and preset.ladder


def ladder_part(folder: Path) -> Part:
    """Verdicts, R^2, energies and shares over time of every rung on every graph. A folder that keeps no predictions is
    shown as other presets are. Raises ValueError for a damaged one."""
    try:
        scores, graphs, _ = read_courses(folder)
    except Unsuitable as error:
        found = conditions_part(folder)
        lacking = Section("Not here", [], [f"{str(error).rpartition(': ')[0]}: the same command with --resume."])
        return Part(found.title, [lacking, *found.sections], found.facts)
    source = source_of(folder, scores["seeds"])
    described = list(scores["ladder"].values())
    sections = [
        Section("Agreement", [_agreement_plot(graphs), _table(graphs, described)], _agreement_notes(), source),
        Section("Energies over time", [_menu("Rung", graphs, _energies)], _energy_notes(), source),
        Section("Share in the first eigenspace", [_menu("Graph", graphs, None)], _share_notes(), source),
    ]
    left_out = [
        f"No prediction of {title} on {graph}: {why}."
        for graph, of_graph in scores.get("ladder_left_out", {}).items()
        for title, why in of_graph.items()
    ]
    if left_out:
        sections.append(Section("Left out", [], left_out, source))
    facts = [("preset", str(scores["preset"])), ("graphs", str(len(graphs))), ("seeds", str(len(scores["seeds"])))]
    return Part(str(scores["title"]), sections, facts)


def _agreement_notes() -> list[str]:
    return [
        "Share of the centred mode energies' variance over all recorded times that each rung's own net, followed from "
        "its own initial weights, leaves unexplained: full marks with nothing fitted, open ones with one factor on "
        f"time; one mark a seed. A prediction holds where R² is at least {HOLDS} for every seed."
    ]


def _energy_notes() -> list[str]:
    return [
        f"The {SHOWN_MODES} eigenspaces of most energy, numbered by their eigenvalue. Points: runs, geometric mean "
        "over seeds; lines: predictions, the same. For a model without flow time, at the fitted clock."
    ]


def _share_notes() -> list[str]:
    return [
        "Of the centred energy, in the first non-trivial eigenspace of the graph's Laplacian: points, median of the "
        "runs; lines, of the predictions. A peak that is not kept is geometry that the net leaves again."
    ]


def _agreement_plot(graphs: Graphs) -> Plot:
    titles = list(dict.fromkeys(rung.title for _, rungs in graphs for rung in rungs))
    traces: list[Any] = []
    for number, (graph, rungs) in enumerate(graphs):
        style = look(number)
        beside = 0.7 * ((number + 0.5) / len(graphs) - 0.5)
        for name, fitted in (("over_time", False), ("with_clock", True)):
            points = [
                (max(1 - value, LEAST), titles.index(rung.title) + beside, seed)
                for rung in rungs
                for seed, one in zip(rung.seeds, rung.agreements, strict=True)
                if np.isfinite(value := getattr(one, name))
            ]
            title = f"{graph}, clock fitted" if fitted else graph
            traces.append(
                go.Scatter(
                    x=[point[0] for point in points],
                    y=[point[1] for point in points],
                    customdata=[point[2] for point in points],
                    mode="markers",
                    name=title,
                    marker={
                        "color": style["colour"],
                        "symbol": f"{style['symbol']}{'-open' if fitted else ''}",
                        "size": 8,
                    },
                    hovertemplate=f"{title}, seed %{{customdata}}: 1 - R² = %{{x:.3g}}<extra></extra>",
                )
            )
    rungs_axis = axis("", tickvals=list(range(len(titles))), ticktext=titles, zeroline=False)
    drawn = figure(traces, xaxis=axis("share left unexplained, 1 - R²", log=True), yaxis=rungs_axis)
    limit = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": 1 - HOLDS, "x1": 1 - HOLDS}
    drawn.update_layout(shapes=[{**limit, "line": {"color": THEORY, "dash": "dot", "width": 1}}])
    height = max(360, RUNG * len(titles) + 24 * len(graphs) + 120)
    return Plot("ladder", "Share of the mode energies that each rung's prediction leaves unexplained", drawn, height)


def _table(graphs: Graphs, described: Sequence[Sequence[Mapping[str, Any]]]) -> Table:
    columns = ["graph", "rung", "predicted by", "R², smallest", "R², largest", "clock", "R² with it, smallest",
               f"{100 * PARTED:.0f} % apart at t, median", "seeds apart", "eigenvalues off by"]  # fmt: skip
    rows: list[list[Any]] = []
    for (graph, rungs), entries in zip(graphs, described, strict=True):
        for rung, entry in zip(rungs, entries, strict=True):
            over = [one.over_time for one in rung.agreements]
            parted = [one.parted_at for one in rung.agreements if one.parted_at is not None]
            without = ", ".join(entry["left_out"])
            rows.append(
                [
                    graph,
                    rung.title,
                    f"the flow without {without}" if without else "its own flow",
                    min(over) if rung.has_clock else None,
                    max(over) if rung.has_clock else None,
                    float(np.mean([one.clock for one in rung.agreements])),
                    min(one.with_clock for one in rung.agreements),
                    float(np.median(parted)) if parted and rung.has_clock else None,
                    len(parted) if rung.has_clock else None,
                    entry["spectrum_error"],
                ]
            )
    return Table("ladder", columns, rows)


def _menu(label: str, graphs: Graphs, of_rung: Any) -> Block:
    """A figure a rung and graph, or a graph; without a menu where there is one."""
    if of_rung is None:
        options = [(graph, _shares(graph, rungs)) for graph, rungs in graphs if rungs]
    else:
        options = [(f"{rung.title} on {graph}", of_rung(graph, rung)) for graph, rungs in graphs for rung in rungs]
    return options[0][1] if len(options) == 1 else Choice(label, options)


def _energies(graph: str, rung: RungCourse) -> Plot:
    measured, expected = (np.exp(np.log(positive(one)).mean(axis=0)) for one in (rung.energy, rung.predicted))
    chosen = np.argsort(-measured.max(axis=0), kind="stable")[:SHOWN_MODES]
    points = np.unique(np.round(np.linspace(0, len(rung.times) - 1, POINTS)).astype(int))
    traces: list[Any] = []
    for number, mode in enumerate(sorted(int(one) for one in chosen)):
        style, name = look(number), f"eigenspace {mode}"
        line = {"color": style["colour"], "width": 1.6}
        traces.append(
            go.Scatter(x=rung.times, y=expected[:, mode], mode="lines", name=f"{name}, predicted", line=line,
                       legendgroup=name, showlegend=False)
        )  # fmt: skip
        marker = {"color": style["colour"], "symbol": style["symbol"], "size": 6}
        traces.append(
            go.Scatter(x=rung.times[points], y=measured[points, mode], mode="markers", name=name, marker=marker,
                       legendgroup=name)
        )  # fmt: skip
    top = np.log10(max(measured.max(), expected.max()))
    time = "flow time" if rung.has_clock else "step"
    drawn = figure(
        traces, xaxis=axis(time, log=True), yaxis=axis("mode energy", log=True, range=[top - DECADES, top + 0.3])
    )
    return Plot(f"energies-{rung.title}-{graph}", f"Mode energies of {rung.title} on {graph}, with prediction", drawn)


def _shares(graph: str, rungs: Sequence[RungCourse]) -> Plot:
    traces: list[Any] = []
    for number, rung in enumerate(one for one in rungs if one.has_clock):
        style = look(number)
        line = {"color": style["colour"], "width": 1.6, "dash": style["dash"]}
        points = np.unique(np.round(np.linspace(0, len(rung.times) - 1, POINTS)).astype(int))
        predicted, measured = (np.median(one, axis=0) for one in (rung.predicted_share, rung.share))
        traces.append(
            go.Scatter(x=rung.times, y=predicted, mode="lines", name=f"{rung.title}, predicted", line=line,
                       legendgroup=rung.title, showlegend=False)
        )  # fmt: skip
        marker = {"color": style["colour"], "symbol": style["symbol"], "size": 6}
        traces.append(
            go.Scatter(x=rung.times[points], y=measured[points], mode="markers", name=rung.title, marker=marker,
                       legendgroup=rung.title)
        )  # fmt: skip
    drawn = figure(traces, xaxis=axis("flow time", log=True), yaxis=axis("share", range=[0, 1.05]))
    return Plot(f"share-{graph}", f"Share of the energy in the first eigenspace over time on {graph}", drawn)
