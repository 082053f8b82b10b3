"""What figures of many models share: the same models in every row, names that fit."""

from __future__ import annotations

import pytest

from comparisons import small_comparison
from fiedler.sims.compare.show.panels import LONGEST_LABEL, row_label, shared_models, short_name
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse


def test_the_models_are_named_in_order() -> None:
    both = [small_comparison("cycle:8"), small_comparison("florentine")]
    assert shared_models(both) == ["Node2Vec", "Transformer"]
    with pytest.raises(ValueError, match=r"cycle:8 has node2vec, transformer instead of node2vec$"):
        shared_models([small_comparison("cycle:8", ("node2vec",)), small_comparison("cycle:8")])
    with pytest.raises(ValueError, match="at least one comparison"):
        shared_models([])


def test_names_are_cut_to_size() -> None:
    assert short_name("grid:4x4") == "grid:4x4"
    assert short_name("x" * LONGEST_LABEL) == "x" * LONGEST_LABEL
    assert short_name("x" * 40) == "x" * (LONGEST_LABEL - 1) + "…"


def test_what_is_unusual_about_a_task_has_a_line_of_its_own() -> None:
    assert row_label(Task(parse("grid:4x4"))) == "grid:4x4"
    forward = Task(parse("path-star:4x5"), edges="forward", weights="line")
    assert row_label(forward) == "path-star:4x5,\nforward edges,\nweighted by line"
