"""The site builds without a warning, every link in it leads somewhere, and it loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

import fiedler.kernels as kernels
import fiedler.theory as theory
from doc_pages import ROOT
from site_links import problems, read_page

pytestmark = pytest.mark.docs

CODE = re.compile(r"<(pre|code|script)\b.*?</\1>", re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one that `make docs` has just built, where it says so; else built here."""
    if os.environ.get("SITE"):
        return Path(os.environ["SITE"])
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: it would hide the warnings from --strict, too.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {"NO_MKDOCS_2_WARNING": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **quiet})
    assert done.returncode == 0, done.stderr[-4000:]
    assert "WARNING -" not in done.stderr
    return folder


def test_links(site: Path) -> None:
    assert list(problems(site)) == []


def test_every_public_name_has_an_entry(site: Path) -> None:
    anchors = set().union(*(read_page(path).anchors for path in (site / "reference").glob("*.html")))
    for package in (theory, kernels):
        named = {anchor.rsplit(".", 1)[-1] for anchor in anchors if anchor.startswith(f"{package.__name__}.")}
        assert set(package.__all__) <= named


def test_docstrings_are_shown_as_they_are(site: Path) -> None:
    """Their formulas are plain text: what Markdown would read as emphasis or links keeps its characters."""
    files = (site / "reference").glob("*.html")
    pages = {path.stem: unescape(CODE.sub("", path.read_text())) for path in files}
    assert "from K(0) = s^2 I, s = " in pages["flow"]
    assert "d^2 V[B, B](0) = -B^2 / (4 s^3)" in pages["width"]
    for name, text in pages.items():
        assert "\\" not in text, name
        assert ">>>" not in text, name


def test_examples_are_shown_as_python_sessions(site: Path) -> None:
    page = (site / "reference" / "graphs.html").read_text()
    assert '<span class="gp">&gt;&gt;&gt; </span>' in page
    assert '<span class="go">78</span>' in page


def test_formulas_are_mathml(site: Path) -> None:
    formulas = 0
    for path in (site / "theory").glob("*.html"):
        text = path.read_text()
        formulas += text.count("<math")
        assert "arithmatex" not in text
        assert not re.search(r"\\[a-zA-Z]+\b|\$", re.sub("<[^>]+>", " ", CODE.sub("", text))), path.name
    assert formulas > 200


LINKS = {
    "page": ('<a href="missing.html">x</a>', "missing.html is not in the site"),
    "anchor": ('<a href="#nowhere">x</a>', "has no place 'nowhere'"),
    "image": ('<img src="no.png" alt="x">', "no.png is not in the site"),
    "silent image": ('<img src="data:,">', "has no text"),
    "font from elsewhere": ('<link rel="stylesheet" href="https://fonts.example.org/a.css">', "from elsewhere"),
    "script from elsewhere": ('<script src="//cdn.example.org/a.js"></script>', "from elsewhere"),
    "root": ('<a href="/index.html">x</a>', "begins at the root"),
    "address": ('<a href="https://">x</a>', "is no address"),
    "two places": ('<p id="a"></p><p id="a"></p>', "two elements"),
}


@pytest.mark.parametrize("case", LINKS)
def test_a_broken_link_is_found(case: str, tmp_path: Path) -> None:
    text, message = LINKS[case]
    (tmp_path / "index.html").write_text(f"<html><body>{text}</body></html>")
    found = list(problems(tmp_path.resolve()))
    assert len(found) == 1
    assert message in found[0]


def test_good_links_pass(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "index.html").write_text('<a href="folder/a%20b.html#there">x</a><a href="https://arxiv.org/x">y</a>')
    (tmp_path / "folder" / "a b.html").write_text('<p id="there"></p><a href="../index.html">z</a>')
    assert list(problems(tmp_path.resolve())) == []
