"""Figures are drawn last: whatever fails in one costs neither the others nor what is written beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from fiedler.sims.draw.drawing import Drawing, NotDrawn, save_drawings


def line() -> Figure:
    figure, ax = plt.subplots()
    ax.plot([0, 1])
    return figure


def broken() -> Figure:
    raise KeyError("a key")


def unsaved() -> Figure:
    figure = line()
    figure.savefig = broken
    return figure


@pytest.mark.parametrize("fails", [broken, unsaved])
def test_the_others_are_drawn(fails: Callable[[], Figure], tmp_path: Path) -> None:
    before = plt.get_fignums()
    drawings = [Drawing("first", line), Drawing("second", fails), Drawing("third", line), Drawing("fourth", fails)]
    with pytest.raises(NotDrawn, match=r"^second, fourth could not be drawn") as error:
        save_drawings(drawings, tmp_path)
    assert not isinstance(error.value.__cause__, NotDrawn)
    assert str(tmp_path) in str(error.value)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"first.png", "first.svg", "third.png", "third.svg"}
    assert plt.get_fignums() == before
    assert [path.name for path in save_drawings(drawings[:1], tmp_path)] == ["first.png", "first.svg"]
    assert (tmp_path / drawings[0].link).is_file()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for target in (elsewhere, tmp_path / "nothing"):
        (tmp_path / "figures").symlink_to(target)
        with pytest.raises(ValueError, match=r"figures is a symbolic link, .*: remove it"):
            save_drawings([Drawing("first", line)], tmp_path)
        (tmp_path / "figures").unlink()
    assert not list(elsewhere.iterdir())
    assert not (tmp_path / "nothing").exists()


def test_a_full_disk_is_said_as_it_is(tmp_path: Path) -> None:
    def full() -> Figure:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save_drawings([Drawing("first", full)], tmp_path)
