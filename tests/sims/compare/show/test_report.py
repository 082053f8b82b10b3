"""report.md and the rows of the table: the comparison's own numbers, in markdown any reader accepts."""

from __future__ import annotations

import math
import re
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from comparisons import small_comparison
from fiedler.sims.compare.comparison import Comparison, scores_of_runs
from fiedler.sims.compare.show.report import COLUMNS, comparison_markdown, comparison_rows
from fiedler.sims.predict.rivals import rival_predictions
from fiedler.theory import effective_rank, gram_distance

ENVIRONMENT: dict[str, Any] = {
    "command": "fiedler compare x",
    "git_commit": "abc123",
    "time": "2026-01-02",
    "processor": "CPU",
    "python": "3.12",
    "versions": {"numpy": "2.1", "torch": "2.11", "triton": None},
}


def cells(line: str) -> list[str]:
    assert line.startswith("|")
    assert line.endswith("|")
    return [cell.strip() for cell in line[1:-1].split("|")]


def measured(comparison: Comparison, model: int, key: str) -> list[float]:
    """The values of one column of one model over seeds, from where the comparison keeps them."""
    one = comparison.models[model]
    if key == "loss_per_node":
        return [float(run.modes.loss[-1]) for run in one.runs]
    if key == "trajectory_rms_log10":
        return [fit.rms_log10 for fit in one.fits]
    return [scores[key] for scores in one.scores]


@pytest.mark.parametrize("word", ["cycle:8", "florentine"])
def test_rows_hold_mean_and_deviation_over_seeds(word: str) -> None:
    comparison = small_comparison(word)
    header, rows = comparison_rows(comparison)
    floor = f"loss/node (floor {comparison.task.entropy_floor:.6f})"
    assert header == ["", "seeds", floor, *(title for title, _, _ in COLUMNS[1:])]
    lines = comparison.task.graph.adjacency.toarray()
    assert comparison.task.entropy_floor == pytest.approx(np.log(lines.sum(axis=1)).mean())  # a neighbour's entropy
    assert [row[0] for row in rows] == ["limit", "predicted at t = 1.5", "Node2Vec", "Transformer"]
    assert {len(row) for row in rows} == {len(header)}
    for model, row in enumerate(rows[2:]):
        assert row[1] == "2"
        for (_, key, fmt), cell in zip(COLUMNS, row[2:], strict=True):
            if key == "gram_error_at_time" and model == 1:
                assert cell == "-"  # a Transformer has no flow time of its own
                continue
            values = measured(comparison, model, key)
            shown, spread = cell.split(" ± ")
            assert shown == format(mean(values), fmt)
            assert spread == format(stdev(values), ".1g")  # n - 1 in the denominator


def test_the_limit_is_the_first_row() -> None:
    comparison = small_comparison("cycle:8")
    optimum = comparison.optimum
    rank = effective_rank(optimum.embedding())
    expected = ["limit", "", f"{optimum.loss_per_node:.6f}", "0.0000", "", "1.0000", f"{rank:.2f}", "", ""]
    assert comparison_rows(comparison)[1][0] == expected
    assert math.isclose(rank, 2)  # two equal eigenvalues


def test_the_flow_at_the_time_of_the_runs_has_a_row_before_them() -> None:
    comparison = small_comparison("florentine")
    row, scores = comparison_rows(comparison)[1][1], comparison.models[0].scores
    assert row[0] == "predicted at t = 1.5"  # 150 steps of 0.01
    for (title, _, fmt), cell in zip(COLUMNS, row[2:], strict=True):
        wanted = {
            "loss/node": "predicted_loss_per_node",
            "gram_error to limit": "predicted_gram_error",
            "fiedler_score": "predicted_fiedler_score",
            "effective rank": "predicted_effective_rank",
        }.get(title)
        assert cell.split(" ± ")[0] == ("" if wanted is None else format(mean(s[wanted] for s in scores), fmt))


def test_models_with_a_clock_are_told_apart_by_their_flows() -> None:
    _, rows = comparison_rows(small_comparison("cycle:8", ("node2vec", "node2vec-untied")))
    assert [row[0] for row in rows[1::2]] == [
        "Node2Vec, predicted at t = 1.5",
        "Node2Vec, untied, predicted at t = 1.5",
    ]


def test_one_seed_has_no_deviation() -> None:
    _, rows = comparison_rows(small_comparison("cycle:8", ("node2vec",), seeds=1))
    assert "±" not in "".join(rows[2])
    assert rows[2][1] == "1"


def test_a_zero_optimum_has_nothing_to_align_with() -> None:
    _, (limit, _, *models) = comparison_rows(small_comparison("hamming:1,5"))
    assert limit[3:7] == ["-", "", "-", "0.00"]
    for row in models:
        assert row[3] == row[5] == "-"  # no NaN is shown
        assert "nan" not in " ".join(row)
        assert re.fullmatch(r"\d\.\d{2} ± \S+", row[6])  # the measured rank is still a number


def test_weight_decay_has_a_prediction_of_its_own() -> None:
    comparison = small_comparison("cycle:8", weight_decay=0.3)
    node2vec, transformer = comparison.models
    assert transformer.optimum is comparison.optimum  # AdamW's decay is not the theory's
    _, rows = comparison_rows(comparison)
    assert [row[0] for row in rows] == ["limit", "limit, decay 0.3", "predicted at t = 1.5", "Node2Vec", "Transformer"]
    assert rows[0][2] == f"{comparison.optimum.loss_per_node:.6f}"
    assert rows[1][2] == f"{node2vec.optimum.loss_per_node:.6f}"
    assert float(rows[1][2]) > float(rows[0][2])


# report.md.


@pytest.mark.parametrize("word", ["cycle:8", "hamming:1,5"])
def test_the_markdown_table_is_the_rows(word: str) -> None:
    comparison = small_comparison(word)
    header, rows = comparison_rows(comparison)
    lines = comparison_markdown(comparison, ENVIRONMENT, "figures/compare.png").splitlines()
    at = [i for i, line in enumerate(lines[: lines.index("## Prediction")]) if line.startswith("|")]
    assert at == list(range(at[0], at[0] + 2 + len(rows)))  # one table, in one piece,
    assert lines[at[0] - 1] == lines[at[-1] + 1] == ""  # set off by empty lines
    table = [cells(lines[i]) for i in at]
    assert table[0] == header
    assert table[1] == ["---", *["--:"] * (len(header) - 1)]
    assert table[2:] == rows


def test_other_predictions_have_a_table() -> None:
    comparison = small_comparison("florentine")
    lines = comparison_markdown(comparison, ENVIRONMENT, "figures/compare.png").splitlines()
    lines = lines[lines.index("## Other predictions") : lines.index("## Spectral bias")]
    table = [cells(line) for line in lines if line.startswith("|")]
    assert table[0] == ["prediction", "rank", "certified optimum", "Node2Vec", "Transformer"]
    rank = comparison.optimum.rank
    own = [_mean_of(scores_of_runs(one)) for one in comparison.models]
    assert table[2][:3] == ["this package (certified optimum)", str(rank), "0.0000"]
    assert [cell.split(" ± ")[0] for cell in table[2][3:]] == own
    titles = ["Laplacian eigenvectors", "positive PMI", "QWEM", "support SVD"]
    assert [row[0] for row in table[3:]] == titles
    best = comparison.optimum.embedding()
    for row, rival in zip(table[3:], rival_predictions(comparison.task, rank), strict=True):
        assert row[1:3] == [str(rival.embedding.shape[1]), f"{gram_distance(best, rival.embedding):.4f}"]
        for cell, one in zip(row[3:], comparison.models, strict=True):
            each = [gram_distance(run.final.embedding, rival.embedding) for run in one.runs]
            assert cell.split(" ± ")[0] == f"{mean(each):.4f}"


def _mean_of(scores: list[dict[str, Any]]) -> str:
    return f"{mean([entry['gram_error'] for entry in scores]):.4f}"


def test_the_report_says_what_was_done() -> None:
    comparison = small_comparison("cycle:8")
    text = comparison_markdown(comparison, ENVIRONMENT, "figures/compare.png")
    assert text.startswith("# cycle:8: prediction beside real runs\n\n8 nodes, 8 edges, 1 component(s).\n")
    assert text.endswith("\n")
    assert re.findall(r"^!\[.+\]\((.+)\)$", text, re.M) == ["figures/compare.png"]
    optimum, (node2vec, transformer) = comparison.optimum, comparison.models
    values = ", ".join(f"{value:.5g}" for value in optimum.eigenvalues)
    assert f"Optimum: rank 2, centred Gram eigenvalues {values}; attained; KKT violation" in text
    assert f"duality gap {optimum.certificate.duality_gap:.1e}, relative {optimum.relative_gap:.1e}: gram_error" in text
    assert "- **Node2Vec** (seeds 0, 1): steps 150, learning_rate 0.01, width 100, init_std 1.0," in text
    assert "nothing fitted: flow time is learning rate × steps." in text
    fit = transformer.mean_fit
    assert node2vec.mean_fit.fitted == ()
    assert f"fitted: {fit.time_scale:.3g} of flow time a step, energies divided by {fit.amplitude:.3g}." in text
    assert "- command: `fiedler compare x`" in text
    assert "- commit: abc123, 2026-01-02" in text
    assert "- CPU; Python 3.12; numpy 2.1, torch 2.11\n" in text  # what is not installed is left out


def test_an_infimum_and_no_eigenvalues_are_named() -> None:
    split = comparison_markdown(small_comparison("irregular"), ENVIRONMENT, "f.png")
    assert "2 component(s)" in split
    assert "; an infimum, not attained; KKT" in split
    zero = comparison_markdown(small_comparison("hamming:1,5"), ENVIRONMENT, "f.png")
    assert "Optimum: rank 0, centred Gram eigenvalues none (rank 0); attained;" in zero


@pytest.mark.parametrize(("word", "rank"), [("cycle:8", 2), ("path-star:14x3", 13)])
def test_many_eigenvalues_are_cut_and_said_to_be(word: str, rank: int) -> None:
    comparison = small_comparison(word, ("node2vec",))
    values = comparison.optimum.eigenvalues
    assert len(values) == rank
    found = re.search(r"Gram eigenvalues ([^;]+);", comparison_markdown(comparison, ENVIRONMENT, "f.png"))
    assert found is not None
    shown = ", ".join(f"{value:.5g}" for value in values[:10])
    assert found[1] == shown + (", ..." if rank > 10 else "")


def test_an_environment_without_versions_still_makes_a_report() -> None:
    text = comparison_markdown(small_comparison("cycle:8"), {"command": "c", "python": "3.12"}, "f.png")
    assert "- command: `c`" in text
