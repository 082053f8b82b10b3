"""The map of multi-hop recall: calibration on one layer, prediction for more, rows and agreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fiedler.sims.recall.one_run import RecallRun
from fiedler.sims.recall.presets import HOPS, hop_conditions
from fiedler.sims.recall.run import RecallResult
from fiedler.sims.recall.show.hop_map import describe_hop_map, hop_figure, hop_rows
from fiedler.sims.runs.folder import RunDir

CONDITIONS = hop_conditions(HOPS, hops=3, layers=2)


def planted(accuracies: Mapping[str, list[float]]) -> RecallResult:
    """Runs that ended in the ``accuracies`` of every condition, 0.2 where none are given."""
    runs = {
        name: [
            RecallRun(settings, seed, ({"accuracy": value},), {}, 0.0, 1)
            for seed, value in enumerate(accuracies.get(name, [0.2, 0.2]))
        ]
        for name, settings in CONDITIONS.items()
    }
    return RecallResult(runs, RunDir(Path("unused")))


def test_conditions_are_every_depth_and_chain_of_thought() -> None:
    depths = {(s.hops, s.layers) for s in CONDITIONS.values() if not s.chain_of_thought}
    assert depths == {(k, depth) for k in (1, 2, 3) for depth in (1, 2)}
    assert [(s.hops, s.layers) for s in CONDITIONS.values() if s.chain_of_thought] == [(2, 1), (3, 1)]


def test_one_layer_calibrates_and_deeper_ones_are_predicted() -> None:
    right = {"hops_1_layers_1": [1.0, 0.96], "hops_1_layers_2": [1.0, 1.0], "hops_2_layers_2": [1.0, 1.0],
             "hops_2_chain_of_thought": [1.0, 1.0]}  # fmt: skip
    found = describe_hop_map(planted(right))
    assert found["one_layer_hops"] == 1
    cells = {(c["hops"], c["layers"], c["chain_of_thought"]): c for c in found["cells"]}
    assert cells[1, 1, False]["predicted"] is None  # it calibrates
    assert cells[2, 2, False]["predicted"] is True
    assert cells[3, 2, False]["predicted"] is False
    assert cells[3, 1, True]["predicted"] is True
    # Two layers at one, two and three hops, and chain of thought at two and three, of which the last failed.
    assert (found["agree"], found["predicted"]) == (4, 5)
    header, rows = hop_rows(found)
    assert header == ["layers", "1 hop", "2 hops", "3 hops"]
    assert rows == [["1", "0.980", "0.200", "0.200"], ["2", "1.000", "1.000", "0.200"],
                    ["chain of thought", "–", "1.000", "0.200*"]]  # fmt: skip


def test_a_layer_of_two_hops_predicts_four_for_two() -> None:
    found = describe_hop_map(planted({"hops_1_layers_1": [1.0], "hops_2_layers_1": [0.97]}))
    cells = {(c["hops"], c["layers"], c["chain_of_thought"]): c for c in found["cells"]}
    assert found["one_layer_hops"] == 2
    assert cells[3, 2, False]["predicted"] is True


def test_nothing_is_predicted_without_one_hop_in_one_layer() -> None:
    whole = planted({})
    rest = {name: runs for name, runs in whole.runs.items() if name != "hops_1_layers_1"}
    found = describe_hop_map(RecallResult(rest, whole.folder))
    assert found["predicted"] == found["agree"] == 0
    assert "*" not in str(hop_rows(found))
    assert hop_rows(found, "held_out_accuracy")[1][0] == ["1", "–", "–", "–"]


@pytest.mark.parametrize("best", [0.2, 1.0])
def test_every_map_is_drawn(best: float) -> None:
    figure = hop_figure(describe_hop_map(planted({key: [best] for key in CONDITIONS})))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count(f"{best:.2f}") == len(CONDITIONS)
