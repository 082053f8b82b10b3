"""Tests of the report's page in headless Chromium: what a reader does with it, by mouse, keyboard and finger."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pages
from fiedler.sims.page import parts_of, write_page
from fiedler.sims.page.blocks import Part, Section, Table
from phase_tables import swept

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Software rendering, so that 3D is drawn on machines without a graphics card; a container's root has no sandbox.
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
SHOTS = os.environ.get("FIEDLER_SHOTS")  # a folder: screenshots are kept there
ENERGIES = "Download the data of mode-energies-node2vec as CSV"
HINTS = ("GPU stall", "GL Driver", "Canvas2D:")  # of the browser to who wrote the drawing library
MOVED = 1e-6


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "comparison.html"
    write_page("comparison", parts_of(pages.comparison_folder()), path)
    return path


class Opened:
    """A page that is open, and what it complained about."""

    def __init__(self, browser: Any, path: Path, viewport: dict[str, int] = DESKTOP, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, accept_downloads=True)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self._complain(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]")

    def _complain(self, kind: str, text: str) -> None:
        if kind == "error" or (kind == "warning" and not any(hint in text for hint in HINTS)):
            self.complaints.append(text)

    def see(self, selector: str) -> Any:
        """Scroll there and wait until what is drawn on sight is drawn."""
        found = self.page.locator(selector).first
        found.scroll_into_view_if_needed()
        found.wait_for()
        return found

    def see_everything(self) -> None:
        height = self.page.evaluate("document.body.scrollHeight")
        for y in range(0, height, 500):
            self.page.evaluate(f"scrollTo(0, {y})")
            self.page.wait_for_timeout(60)
        self.page.wait_for_function(
            "document.querySelectorAll('figure > .plot[data-drawn]').length >= document.querySelectorAll("
            "'main > div figure > .plot, details[open] figure > .plot').length - 2"
        )

    def shot(self, name: str) -> None:
        if SHOTS:
            self.page.evaluate("scrollTo(0, 0)")
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)

    def download(self, label: str) -> bytes:
        button = self.page.get_by_label(label, exact=True).first
        button.scroll_into_view_if_needed()
        with self.page.expect_download() as waiting:
            button.click()
        return Path(waiting.value.path()).read_bytes()

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.fixture
def opened(browser: Any, comparison: Path) -> Iterator[Opened]:
    page = Opened(browser, comparison)
    yield page
    page.close()


def nodes(page: Any, side: int) -> list[list[float]]:
    """What the embedding's plot of that side draws now."""
    return page.evaluate(
        "side => { const t = document.querySelectorAll('.embedding .plot')[side].data[1];"
        " return [Array.from(t.x), Array.from(t.y), Array.from(t.z || [])]; }",
        side,
    )


def point_at(page: Any, mark: Any) -> None:
    """Move the pointer onto a mark, from beside it."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y - 40)
    page.mouse.move(x, y, steps=5)


def test_everything_is_drawn_without_a_complaint(opened: Opened) -> None:
    opened.see_everything()
    assert opened.page.locator("main section").count() == 12
    assert opened.page.locator("figure .main-svg").count() > 8
    opened.shot("comparison")


def test_the_slider_moves_both_sides(opened: Opened) -> None:
    opened.see(".embedding[data-drawn]")
    slider = opened.page.get_by_label("Step of the training")
    last = [nodes(opened.page, side) for side in (0, 1)]
    slider.fill("5")
    readout = opened.page.locator(".embedding output")
    assert readout.inner_text().startswith("step ")
    early = [nodes(opened.page, side) for side in (0, 1)]
    for before, after in zip(last, early, strict=True):
        assert max(abs(a - b) for a, b in zip(before[0], after[0], strict=True)) > MOVED
    first_text = readout.inner_text()
    slider.press("ArrowRight")  # by keyboard
    assert opened.page.locator(".embedding").get_attribute("data-frame") == "6"
    assert readout.inner_text() != first_text
    assert slider.get_attribute("aria-valuetext") == readout.inner_text()


def test_play_goes_to_the_end(opened: Opened) -> None:
    opened.see(".embedding[data-drawn]")
    slider = opened.page.get_by_label("Step of the training")
    end = int(slider.get_attribute("max"))
    slider.fill(str(end - 3))
    opened.page.get_by_role("button", name="Play").click()
    opened.page.wait_for_function(f"document.querySelector('.embedding').dataset.frame === '{end}'")
    opened.page.get_by_role("button", name="Play").wait_for()  # it stopped by itself


def test_theory_and_experiment_lie_alike(opened: Opened) -> None:
    """Node2Vec at its last step: every node of the run near its place in theory."""
    opened.see(".embedding[data-drawn]")
    theory, run = nodes(opened.page, 0), nodes(opened.page, 1)
    size = max(map(abs, theory[0] + theory[1]))
    for axis in (0, 1):
        assert max(abs(a - b) for a, b in zip(theory[axis], run[axis], strict=True)) < 0.5 * size


def test_hover_names_the_node(opened: Opened) -> None:
    opened.see(".embedding[data-drawn]")
    point_at(opened.page, opened.page.locator(".embedding .plot").nth(1).locator("path.point").nth(3))
    opened.page.wait_for_selector(".embedding .hoverlayer .hovertext")
    said = opened.page.locator(".embedding .hoverlayer .hovertext").all_text_contents()
    assert len(said) == 2  # on the other side as well
    assert len(set(said)) == 1
    assert said[0].startswith("node ")


def test_other_runs_and_three_dimensions(opened: Opened) -> None:
    opened.see(".embedding[data-drawn]")
    before = nodes(opened.page, 1)
    opened.page.get_by_label("Run", exact=True).select_option("Transformer, seed 1")
    assert nodes(opened.page, 1) != before
    opened.page.get_by_role("button", name="3D").click()
    assert len(nodes(opened.page, 1)[2]) == len(before[0])
    opened.page.wait_for_selector(".embedding .gl-container canvas")
    opened.shot("three-dimensions")
    opened.page.get_by_role("button", name="3D").click()
    assert nodes(opened.page, 1)[2] == []


def test_downloads_are_what_they_say(opened: Opened) -> None:
    opened.see(".embedding[data-drawn]")
    svg = opened.download("Download embedding-run as SVG")
    assert b"<svg" in svg[:500]
    png = opened.download("Download embedding-run as PNG")
    assert png.startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(opened.download("Download the data of embedding-run as CSV").decode())))
    sides = {row["side"] for row in rows}
    assert sides == {"theory", "run"}
    drawn = nodes(opened.page, 1)
    last = [row for row in rows if row["side"] == "run" and row["step"] == str(pages.STEPS["node2vec"])]
    assert [float(row["x"]) for row in last] == pytest.approx(drawn[0], rel=1e-3, abs=1e-6)
    opened.see("text=Loss")
    loss = list(csv.DictReader(io.StringIO(opened.download("Download the data of loss as CSV").decode())))
    assert {"Node2Vec, seed 0", "Node2Vec, theory", "Transformer, seed 1"} <= {row["series"] for row in loss}
    energies = list(csv.DictReader(io.StringIO(opened.download(ENERGIES).decode())))
    kinds = {row["series"].partition(", ")[2] for row in energies}
    assert kinds == {"theory", "runs", "log10(run / theory)"}
    scores = opened.download("Download the table scores-by-seed as CSV").decode()
    assert len(list(csv.reader(io.StringIO(scores)))) == 1 + 2 * len(pages.SEEDS)


def test_a_downloaded_table_computes_nothing(browser: Any, tmp_path: Path) -> None:
    names = ["=HYPERLINK(1)", "+1+2", "@SUM(1)", "-x", "-3", "plain, with a comma", 'a "quoted" one']
    part = Part("words", [Section("Words", [Table("words", ("name", "number"), [[name, -2.5] for name in names])])])
    write_page("words", [part], tmp_path / "words.html")
    page = Opened(browser, tmp_path / "words.html")
    rows = list(csv.reader(io.StringIO(page.download("Download the table words as CSV").decode())))
    page.close()
    assert [row[0] for row in rows[1:]] == ["'=HYPERLINK(1)", "'+1+2", "'@SUM(1)", "'-x", *names[4:]]
    assert {row[1] for row in rows[1:]} == {"-2.5"}  # a number stays one


def test_the_nodes_fill_their_box_at_every_step(opened: Opened) -> None:
    """Both sides have the same box, and the larger side of what is drawn in it takes most of it."""
    for step in (0, 10**6):
        opened.page.evaluate(
            "at => { const s = document.querySelector('input[type=range]'); s.value = Math.min(at, s.max);"
            " s.dispatchEvent(new Event('input')); }",
            step,
        )
        opened.page.wait_for_timeout(300)
        boxes = [
            opened.page.evaluate(
                "side => { const l = document.querySelectorAll('.embedding .plot')[side].layout;"
                " return [l.xaxis.range, l.yaxis.range]; }",
                side,
            )
            for side in (0, 1)
        ]
        assert boxes[0] == boxes[1]
        spans = [max(xs) - min(xs) for side in (0, 1) for xs in nodes(opened.page, side)[:2]]
        assert 0.3 < max(spans) / (boxes[0][0][1] - boxes[0][0][0]) < 1


def test_the_keyboard_reaches_everything(opened: Opened) -> None:
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "Skip to the figures"
    reached = set()
    for _ in range(60):
        opened.page.keyboard.press("Tab")
        reached.add(opened.page.evaluate("document.activeElement.textContent || document.activeElement.type"))
    assert {"Play", "range", "3D", "Edges", "SVG", "CSV"} <= reached


def test_the_theme_follows_the_reader_and_the_button(browser: Any, comparison: Path) -> None:
    page = Opened(browser, comparison, scheme="dark")
    page.see_everything()

    def back() -> str:
        return page.page.evaluate("getComputedStyle(document.body).backgroundColor")

    def ink() -> str:
        return page.page.evaluate("document.querySelector('figure .plot[data-drawn]').layout.font.color")

    dark, pale = back(), ink()
    page.shot("dark")
    page.page.evaluate("scrollTo(0, 0)")
    page.page.get_by_role("button", name="Change to the light page").click()
    assert back() != dark
    assert ink() != pale
    page.close()


def test_nothing_is_wider_than_a_phone(browser: Any, comparison: Path) -> None:
    page = Opened(browser, comparison, viewport=PHONE)
    page.see_everything()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = page.page.evaluate(
        "[...document.querySelectorAll('section .plot, section button, section select, section p')]"
        f".filter(e => e.getBoundingClientRect().right > {PHONE['width']} + 1).length"
    )
    assert wide == 0
    page.shot("phone")
    page.close()


def test_two_thousand_nodes_are_drawn(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    assert write_page("large", parts_of(pages.large_folder()), path) < 6_000_000
    page = Opened(browser, path)
    page.see(".embedding[data-drawn]")
    assert len(nodes(page.page, 1)[0]) == 2000  # the run's side: there is no prediction
    page.page.get_by_label("Step of the training").fill("3")
    assert page.page.locator(".embedding").get_attribute("data-frame") == "3"
    page.shot("large")
    page.close()


def test_a_sweep_is_drawn_without_a_complaint(browser: Any, tmp_path: Path) -> None:
    axes = {"weight_decay": [0.01, 0.1, 1.0], "init_std": [0.1, 1.0]}
    table = swept(axes, lambda seed, weight_decay, init_std: 0.3 - weight_decay + 0.01 * seed)
    folder = pages.sweep_folder(tmp_path / "sweep", table, "weight_decay", "init_std")
    write_page("sweep", parts_of(folder), tmp_path / "sweep.html")
    page = Opened(browser, tmp_path / "sweep.html")
    page.see_everything()
    point_at(page.page, page.page.locator(".plot path.point").first)
    page.page.wait_for_selector(".hoverlayer .hovertext")
    assert "weight decay 0.01" in page.page.locator(".hoverlayer .hovertext").first.text_content()
    page.shot("sweep")
    page.close()
