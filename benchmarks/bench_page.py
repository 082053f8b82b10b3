"""Opening the report's page in headless Chromium, until its text and tables are there and until its first figure is
drawn, against plotly's own HTML export of that figure alone (plotly.js inside, not compressed)."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

import pages
from fiedler.sims.page import parts_of, write_page
from fiedler.sims.page.positions import motions
from fiedler.sims.page.views import TaskView, read_comparison, read_run
from interleave import interleave, row, write_results

ROUNDS = 7
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def _export(view: TaskView, path: Path) -> None:
    """The last step of the first run's embedding, as a user of plotly would write it."""
    last = motions(view, view.models[0])[0].measured[-1]
    adjacency = view.graph.adjacency.tocoo()
    ends = np.stack([adjacency.row, adjacency.col])[:, adjacency.row < adjacency.col]
    lines = [np.stack([*last[ends][:, :, axis], np.full(ends.shape[1], np.nan)], axis=1).ravel() for axis in (0, 1)]
    figure = go.Figure([go.Scatter(x=lines[0], y=lines[1], mode="lines"), go.Scatter(x=last[:, 0], y=last[:, 1])])
    figure.data[1].mode = "markers"
    figure.write_html(path, include_plotlyjs=True)


def _opener(browser: Any, path: Path, drawn: str, marks: dict[str, list[float]] | None = None) -> Callable[[], None]:
    """``marks``: what the page itself notes, milliseconds from its beginning, is added there."""

    def open_page() -> None:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_selector(drawn, state="attached")
        if marks is not None:
            for name, at in page.evaluate("performance.getEntriesByType('mark').map(m => [m.name, m.startTime])"):
                marks.setdefault(name, []).append(at)
        page.close()

    return open_page


def test_opening_the_page(benchmark: Any) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    rows, here = [], Path(tempfile.mkdtemp())
    folders = {"comparison, 2 models, 2 seeds": pages.comparison_folder(), "one run": pages.large_folder()}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for number, (name, folder) in enumerate(folders.items()):
            ours, theirs = here / f"page{number}.html", here / f"export{number}.html"
            size = write_page(name, parts_of(folder), ours)
            view = read_comparison(folder) if number == 0 else read_run(folder, lambda stage, fraction: None)
            _export(view, theirs)
            marks: dict[str, list[float]] = {}
            ways = {
                "page": _opener(browser, ours, ".embedding[data-drawn]", marks),
                "plotly export of one figure": _opener(browser, theirs, ".plotly-graph-div .main-svg"),
            }
            timings = interleave(ways, rounds=ROUNDS)
            rows.append(
                row("open page", "page", timings, graph=f"{name}, {view.graph.n} nodes", bytes=size,
                    export_bytes=theirs.stat().st_size,
                    marks_ms={name: [statistics.median(at), min(at), max(at)] for name, at in marks.items()})
            )  # fmt: skip
        browser.close()
    benchmark.extra_info["rows"] = rows
    benchmark.pedantic(lambda: write_page("page", parts_of(pages.comparison_folder()), here / "again.html"), rounds=1)
    write_results("page", rows)
