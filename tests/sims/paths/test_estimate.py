"""What a run will cost: sizes are those of the model that trains, and large graphs lie on the line of small ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fiedler.sims.paths import estimate
from fiedler.sims.paths.estimate import estimate_paths
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.training import PathTraining
from fiedler.theory import parse

TINY = PathSettings(layers=1, width=8, heads=2, pause=1, steps=10, edge_batch=6, path_batch=4, warmup=3, records=4)
SPECIAL_TOKENS = 9


@pytest.mark.parametrize("word", ["path-star:20x4", "tree-star:20x4"])
@pytest.mark.parametrize("edge_targets", ["sampled", "exact"])
def test_a_large_graph_is_not_tried_and_lies_on_the_line_of_two_small_ones(
    word: str, edge_targets: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    def seconds(training: PathTraining, *_: Any) -> float:
        seen.append(training.data.vocabulary.size)
        return 2.0 + 0.25 * training.data.vocabulary.size

    graph, settings = parse(word), replace(TINY, edge_targets=edge_targets)
    monkeypatch.setattr(estimate, "training_seconds", seconds)
    monkeypatch.setattr(estimate, "TRIED_ARMS", (3, 5))
    (small,) = estimate_paths(graph, {"one": settings}, [0], tmp_path)
    assert small.tried == (graph.name,)
    monkeypatch.setattr(estimate, "LARGE", 1)
    (large,) = estimate_paths(graph, {"one": settings}, [0], tmp_path)
    assert large.tried == (word.replace("20", "3"), word.replace("20", "5"))
    assert seen[0] == graph.n + SPECIAL_TOKENS
    assert max(seen[1:]) < seen[0]
    assert large.seconds == pytest.approx(2.0 + 0.25 * (graph.n + SPECIAL_TOKENS), rel=1e-12)
    assert "(a line through" in large.text
    assert "(a line through" not in small.text
    monkeypatch.setattr(estimate, "training_seconds", lambda training, *_: 1 / training.data.vocabulary.size)
    (busy,) = estimate_paths(graph, {"one": settings}, [0], tmp_path)
    assert busy.seconds is None
    assert "too busy to time steps" in busy.text
    real = PathTraining(graph, settings, 0)
    assert large.parameters == small.parameters == real.parameters
    assert large.vocabulary == small.vocabulary == real.data.vocabulary.size
    assert large.memory_bytes == small.memory_bytes > 16 * real.parameters


def test_a_graph_without_paths_is_refused_at_any_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(estimate, "LARGE", 1)
    for word in ("cycle:15", "karate", "path-star:5x2"):
        with pytest.raises(ValueError, match=r"no root-to-leaf paths to learn|leaves nothing to find"):
            estimate_paths(parse(word), {"one": TINY}, [0], tmp_path)
