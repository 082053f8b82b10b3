"""Files of exact size with embedded fonts, that say where their numbers come from, and never replace other files."""

from __future__ import annotations

import json
import re
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from matplotlib.image import imread

from commands import Capture, answer, refusal, table
from fiedler.sims.figures.registry import KINDS
from fiedler.sims.runs.folder import RunDir
from figure_runs import comparison_folder

POINTS = 72.0  # of PDF, an inch


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("width", "inches"), [("single", 3.375), ("double", 6.875)])
def test_every_format_has_the_columns_width(capsys: Capture, width: str, inches: float) -> None:
    folder = str(comparison_folder())
    formats = ["--format", "pdf", "--format", "svg", *(["--format", "png"] if width == "single" else [])]
    found = answer(capsys, "figure", "spectra", folder, "--out", "one", "--width", width, *formats)
    assert found["size_inches"][0] == inches
    height = found["size_inches"][1]
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", Path("one.pdf").read_bytes())
    assert box is not None
    assert [float(side) for side in box.groups()] == pytest.approx([inches * POINTS, height * POINTS], abs=1e-3)
    assert f'width="{inches * POINTS:g}pt"' in Path("one.svg").read_text(encoding="utf-8")
    if width == "single":  # large, and slow to write
        assert imread("one.png").shape[:2] == (int(height * 600), int(inches * 600))
    written = [path for path in Path().iterdir() if path.suffix != ".json"]
    assert found["files"] == {path.name: sha256(path.read_bytes()).hexdigest() for path in written}


def test_fonts_are_embedded_as_truetype_and_svg_needs_none(capsys: Capture) -> None:
    table(capsys, "figure", "spectra", str(comparison_folder()), "--out", "one", "--format", "pdf", "--format", "svg")
    pdf = Path("one.pdf").read_bytes()
    parts = [pdf, *(inflated(part) for part in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S))]
    text = b"\n".join(parts)
    fonts = re.findall(rb"/BaseFont /([A-Z]{6}\+)?DejaVu", text)
    assert fonts
    assert b"/FontFile2" in text
    assert b"/Type3" not in text
    assert "<text" not in Path("one.svg").read_text(encoding="utf-8")


def inflated(stream: bytes) -> bytes:
    """A compressed part of a PDF; nothing for others."""
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


def test_the_files_and_the_sidecar_say_where_the_numbers_come_from(capsys: Capture) -> None:
    folder = comparison_folder()
    table(capsys, "figure", "modes", str(folder), "--format", "svg", "--format", "pdf", "--title")
    kept = json.loads(Path("figures/modes.json").read_text(encoding="utf-8"))
    environment = RunDir.open(folder).read_environment()
    (source,) = kept["sources"]
    assert (source["path"], source["seeds"]) == (str(folder), [0, 1])
    assert (source["command"], source["versions"]) == (environment["command"], environment["versions"])
    svg = Path("figures/modes.svg").read_text(encoding="utf-8")
    assert "modes: cycle:7: predicted and measured mode energies" in svg
    assert f"{folder}: command" in svg
    assert "seeds 0, 1" in svg
    assert b"/Keywords" in Path("figures/modes.pdf").read_bytes()
    first = Path("figures/modes.pdf").read_bytes()
    table(capsys, "figure", "modes", str(folder), "--format", "svg", "--format", "pdf", "--title")  # its own files
    assert Path("figures/modes.pdf").read_bytes() == first


def test_other_peoples_files_stay(capsys: Capture) -> None:
    folder = str(comparison_folder())
    Path("mine.pdf").write_text("mine")
    Path("mine.json").write_text("{}")
    assert "mine.pdf is there, and not of" in refusal(capsys, "figure", "spectra", folder, "--out", "mine.pdf")
    assert Path("mine.pdf").read_text() == "mine"
    table(capsys, "figure", "spectra", folder, "--out", "mine.pdf", "--overwrite")
    assert Path("mine.pdf").read_bytes().startswith(b"%PDF")
    assert "mine.pdf is not a folder" in refusal(capsys, "figure", "spectra", folder, "--out", "mine.pdf/x")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mods", "D"], "unknown figure 'mods': did you mean 'modes'?"),
        (["D"], "unknown figure"),
        ([], "give the NAME of a figure"),
        (["modes"], "modes needs the folder of `fiedler compare GRAPH`"),
        (["modes", "D", "D"], "made from one folder"),
        (["modes", "nowhere"], "nowhere does not exist. Make the folder with `fiedler compare GRAPH`"),
        (["modes", "."], "has no config.json of a run"),
        (["fig1", "D"], "is not the folder of a `fiedler compare --preset`. Make the folder with"),
        (["fig6", "D"], "is not the folder of a `fiedler paths`. Make the folder with `fiedler paths --preset fig6`"),
        (["phase", "D"], "holds no sweep.json"),
        (["roofline", "D"], "profile.json does not exist"),
        (["scaling", "D"], "is not the folder of a `fiedler recall --preset scaling`"),
        (["headroom", "D"], "Make the folder with `fiedler headroom`"),
        (["modes", "D", "--format", "epf"], "unknown format 'epf': did you mean 'pdf'?"),
        (["modes", "D", "--width", "tripple"], "unknown width 'tripple'"),
        (["modes", "D", "--out", "x.tif"], "x.tif is no figure's name"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_writes_nothing(capsys: Capture, words: list[str], said: str) -> None:
    given = [str(comparison_folder()) if word == "D" else word for word in words]
    assert said in refusal(capsys, "figure", *given)
    assert not list(Path().rglob("*"))


def test_a_damaged_folder_is_refused(capsys: Capture, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(comparison_folder(), copy)
    data = bytearray((copy / "modes.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "modes.npz").write_bytes(data)
    assert "modes.npz" in refusal(capsys, "figure", "modes", str(copy))


def test_the_list_names_every_figure(capsys: Capture) -> None:
    said = table(capsys, "figure", "--list")
    assert all(f" {name} " in said for name in KINDS)
    assert main_json(capsys) == list(KINDS)


def main_json(capsys: Capture) -> list[str]:
    """The names of ``--list --json``."""
    return [one["name"] for one in answer(capsys, "figure", "--list")]  # type: ignore[index]
