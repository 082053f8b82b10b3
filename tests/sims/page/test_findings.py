"""What a page says in words and tables is what scores.json and the settings hold."""

from __future__ import annotations

import dataclasses
import json

import pytest

import pages
from fiedler.sims.page.build import parts_of
from fiedler.sims.page.findings import bias_section, rivals_section, settings_section, verdict_section
from fiedler.sims.page.scoring import MEANING
from fiedler.sims.page.views import TaskView, read_comparison


@pytest.fixture(scope="module")
def view() -> TaskView:
    return read_comparison(pages.comparison_folder())


@pytest.fixture(scope="module")
def scores() -> dict:
    return json.loads((pages.comparison_folder() / "scores.json").read_text())


def test_the_page_begins_with_the_verdict(view: TaskView) -> None:
    sections = [section.title for section in parts_of(pages.comparison_folder())[0].sections]
    assert sections[0] == "In short"
    assert sections[-1] == "Settings"
    assert {"Spectral bias", "Other predictions", "Scores"} <= set(sections)
    section = verdict_section(view)
    assert section is not None
    for sentence, one in zip(section.notes, view.models, strict=True):
        assert sentence.startswith(f"{one.model.title}: ")
    unscored = dataclasses.replace(view, models=[dataclasses.replace(view.models[0], scores=[])])
    assert verdict_section(unscored) is None


def test_spectral_bias_has_a_row_a_model_and_flow(view: TaskView, scores: dict) -> None:
    section = bias_section(view)
    assert section is not None
    (table,) = section.blocks
    wanted = [(name, flow) for name, known in scores["spectral_bias"].items() for flow in known["flows"]]
    assert len(table.rows) == len(wanted)
    for row, (name, flow) in zip(table.rows, wanted, strict=True):
        known = scores["spectral_bias"][name]["flows"][flow]
        assert row[1] == flow
        mean = known["filtering"]["order"]["mean"]
        assert str(row[2]).startswith("–" if mean is None else f"{mean:.2f}")
        assert str(row[5]).startswith(f"{known['overlap']['mean']:.2f}")
    assert bias_section(dataclasses.replace(view, bias={})) is None


def test_other_predictions_are_those_of_the_scores(view: TaskView, scores: dict) -> None:
    section = rivals_section(view)
    assert section is not None
    (table,) = section.blocks
    for place, one in enumerate(view.models):
        known = scores["rivals"][one.model.name]
        assert [row[0] for row in table.rows[1:]] == [rival["title"] for rival in known]
        for row, rival in zip(table.rows[1:], known, strict=True):
            assert row[3 + place] == pytest.approx(sum(rival["gram_error"]) / len(rival["gram_error"]))
    assert rivals_section(dataclasses.replace(view, rivals={})) is None


def test_every_setting_of_every_model(view: TaskView) -> None:
    (table,) = settings_section(view).blocks
    found = {row[0]: row[1:] for row in table.rows}
    for place, one in enumerate(view.models):
        for name, value in vars(one.settings).items():
            assert found[name][place] == (str(value) if value not in (None, "") else "–")


def test_scores_are_explained() -> None:
    (part,) = parts_of(pages.comparison_folder())
    (section,) = [section for section in part.sections if section.title == "Scores"]
    (table,) = [block for block in section.blocks if getattr(block, "name", "") == "what-scores-mean"]
    assert [row[1] for row in table.rows] == [MEANING[str(row[0]).replace(" ", "_")] for row in table.rows]
    assert len(table.rows) >= 8
