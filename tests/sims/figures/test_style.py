"""The style sheets: usable by name, legible, fonts embedded, and told apart by every eye and in greyscale."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest

from fiedler.sims.figures.style import COLUMNS, get_column, look, looks
from figures import DEUTERANOPIA, PROTANOPIA, lab

SEEN_APART = 10.0  # CIE76: a just noticeable difference is 2.3; fine lines need several
TEXTS = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize",
         "legend.title_fontsize", "figure.titlesize", "figure.labelsize")  # fmt: skip
GREYS_ALIKE = 10.0  # L*: closer colours must differ in line and marker instead


@pytest.fixture(params=list(COLUMNS))
def rc(request: pytest.FixtureRequest) -> mpl.RcParams:
    with matplotlib.style.context(f"fiedler.sims.figures.{request.param}", after_reset=True):
        return mpl.rcParams.copy()


def test_the_sheets_are_matplotlibs_own_kind(rc: mpl.RcParams) -> None:
    assert rc["figure.figsize"][0] in [column.width for column in COLUMNS.values()]
    assert (rc["pdf.fonttype"], rc["ps.fonttype"], rc["svg.fonttype"]) == (42, 42, "path")
    sizes = [rc[key] for key in TEXTS]
    assert min(sizes) >= 7.0


def test_the_sheets_differ_in_the_figures_size_alone() -> None:
    sheets = [mpl.rc_params_from_file(str(column.sheet), use_default_template=False) for column in COLUMNS.values()]
    assert {key for key in sheets[0] if sheets[0][key] != sheets[1][key]} == {"figure.figsize"}


@pytest.mark.parametrize("simulate", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all", "deuteranopia", "protanopia"])
def test_colours_are_told_apart(simulate: np.ndarray) -> None:
    for one, other in itertools.combinations(looks(), 2):
        assert np.linalg.norm(lab(one.color, simulate) - lab(other.color, simulate)) > SEEN_APART, (one, other)


def test_greys_that_are_alike_have_other_lines_and_markers() -> None:
    assert len({one.marker for one in looks()}) == len({str(one.linestyle) for one in looks()}) == len(looks()) == 7
    alike = [
        (one, other)
        for one, other in itertools.combinations(looks(), 2)
        if abs(lab(one.color, np.eye(3))[0] - lab(other.color, np.eye(3))[0]) < GREYS_ALIKE
    ]
    assert alike  # so that the cycle needs them
    assert look(len(looks())) == look(0)


def test_the_users_settings_stay_as_they_were() -> None:
    with mpl.rc_context({"font.size": 23.0, "lines.linewidth": 9.0}):
        with get_column("double").style():
            assert mpl.rcParams["font.size"] == 7.5
            assert mpl.rcParams["lines.linewidth"] == 1.1
        assert mpl.rcParams["font.size"] == 23.0


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown width 'dubble': did you mean 'double'"):
        get_column("dubble")
