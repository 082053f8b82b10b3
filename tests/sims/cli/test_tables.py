"""What the terminal shows: every number of the answer, in 80 columns, and long lists cut with dots."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType

from comparisons import small_comparison
from fiedler.sims.cli.tables import (
    BRIEF,
    HEAD,
    MOST_BESIDE,
    TAIL,
    against_optimum,
    comparison_table,
    score_table,
    theory_tables,
)
from fiedler.sims.compare.show.report import comparison_rows
from fiedler.sims.compare.spectral_bias import spectral_bias_rows
from fiedler.sims.compare.verdict import comparison_verdicts
from fiedler.sims.predict.describe import describe_theory
from fiedler.sims.scores.embedding import score_embedding
from fiedler.sims.scores.references import reference_scores
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse, tied_optimum

WIDTH = 80


def render(*tables: RenderableType, width: int = WIDTH) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False)
    for table in tables:
        console.print(table)
    lines = stream.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    return lines


def rows(lines: list[str]) -> list[list[str]]:
    """The cells of every line of a table's body or head."""
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines if line[:1] in "│┃" and line]


def theory(word: str, **options: Any) -> tuple[dict[str, Any], list[list[list[str]]], list[str]]:
    """The answer, the cells of its three tables (four where the mean vector drifts), and all lines."""
    answer = describe_theory(Task(parse(word)), **options)
    tables = theory_tables(answer)
    assert len(tables) == (3 if answer["drift"] is None else 4)
    return answer, [rows(render(table)) for table in tables], render(*tables)


def score_cells(embedding: np.ndarray, word: str = "cycle:15", weight_decay: float = 0.0) -> tuple[dict[str, Any], Any]:
    task = Task(parse(word))
    optimum = tied_optimum(task.target, weight_decay=weight_decay)
    answer = {**task.describe(), "file": "v.npy", **score_embedding(embedding, task, optimum)}
    return answer, render(score_table(answer))


def test_theory_shows_every_number() -> None:
    answer, (spectrum, optimum, times), lines = theory("cycle:15")
    assert lines[0].startswith("cycle:15: 15 nodes, 15 edges, 1 component(s). Spectrum of its")
    assert spectrum[0] == ["eigenvalue", "multiplicity"]
    assert spectrum[1:] == [[f"{x['eigenvalue']:.6g}", str(x["multiplicity"])] for x in answer["spectrum"]]
    facts = {name: value for name, value in optimum if name}
    assert facts["loss per node"] == "1.434917543849"
    assert facts["attained"] == "yes"
    assert facts["rank"] == "2"
    assert facts["eigenvalues, centred Gram matrix"] == "45.5799 (x2)"
    assert facts["KKT violation"] == f"{answer['optimum']['certificate']['max_violation']:.1e}"
    assert facts["duality gap"] == f"{answer['optimum']['certificate']['duality_gap']:.1e}"
    assert times[0] == ["growth rate", "multiplicity", "time to order one"]
    assert times[1:] == [
        [f"{rate['rate']:.6g}", str(rate["multiplicity"]), f"{time:.4g}"]
        for rate, time in zip(answer["growth_rates"], answer["mode_times"], strict=True)
    ]
    assert len(times) == 4


def test_the_titles_name_the_settings() -> None:
    _, (_, optimum, _), lines = theory("cycle:15", tied=False, weight_decay=0.5, init_scale=0.2, laplacian="symmetric")
    text = " ".join(" ".join(lines).split())
    assert "Spectrum of its symmetric Laplacian" in text
    assert "Optimum of untied Node2Vec, weight decay 0.5" in text
    assert "Early phase from K(0) = 0.2^2 I (time = learning rate x steps)" in text
    assert "eigenvalues, logits (singular values)" in " ".join(row[0] for row in optimum)


def test_an_infimum_is_called_one() -> None:
    _, (_, optimum, _), _ = theory("irregular")
    assert ["attained", "no, an infimum"] in optimum


def test_a_rank_that_is_not_proved_is_a_range() -> None:
    _, (_, optimum, drift, _), lines = theory("path-star:5000x5")
    facts = {name: value for name, value in optimum if name}
    assert facts["rank"].startswith("4999 to 5000 is proved (")
    assert "kappa = 3770.2" in " ".join(" ".join(lines).split())
    assert drift[0] == ["time", "loss per node above the infimum", "length of the mean vector"]
    assert [row[0] for row in drift[1:]] == ["100", "1e+04", "1e+06"]


def test_rank_zero_leaves_the_lists_empty() -> None:
    _, (spectrum, optimum, times), _ = theory("hamming:1,5")
    assert len(spectrum) == 3
    assert ["rank", "0"] in optimum
    assert ["eigenvalues, centred Gram matrix", "none"] in optimum
    assert times == [["growth rate", "multiplicity", "time to order one"]]


@pytest.mark.parametrize("n", [2 * (HEAD + TAIL) - 1, 2 * (HEAD + TAIL), 2 * (HEAD + TAIL) + 1, 40])
def test_a_long_spectrum_is_cut_in_the_middle(n: int) -> None:
    answer, (spectrum, _, _), _ = theory(f"cycle:{n}")
    every = [[f"{x['eigenvalue']:.6g}", str(x["multiplicity"])] for x in answer["spectrum"]]
    if len(every) <= HEAD + TAIL + 1:  # dots that stand for one line save nothing
        assert spectrum[1:] == every
    else:
        assert spectrum[1:] == [*every[:HEAD], ["...", "..."], *every[-TAIL:]]
    assert len(every) == n // 2 + 1


def test_many_eigenvalues_of_the_optimum_are_cut() -> None:
    answer, (_, optimum, _), lines = theory("karate", weight_decay=0.01)
    values = answer["optimum"]["eigenvalues"]
    assert len(values) == 9  # all different: the club has hardly any symmetry
    start = next(i for i, row in enumerate(optimum) if row[0].startswith("eigenvalues"))
    end = next(i for i, row in enumerate(optimum) if row[0].startswith("KKT"))
    shown = " ".join(row[1] for row in optimum[start:end])
    assert shown == ", ".join(f"{value:.6g}" for value in values[:8]) + ", ..."
    assert lines


def test_scores_show_every_number() -> None:
    answer, lines = score_cells(np.random.default_rng(0).standard_normal((15, 4)))
    assert lines[0].strip() == "v.npy against cycle:15"
    facts = dict(rows(lines))
    angles = facts.pop("principal angles (rad)")
    assert angles == ", ".join(f"{angle:.4g}" for angle in answer["principal_angles"])
    assert len(answer["principal_angles"]) == 2
    assert facts.pop("optimum") == f"weight decay 0, relative gap {answer['optimum_relative_gap']:.1e}"
    assert facts == {name: f"{answer[name]:.6g}" for name in facts}
    assert list(facts)[:4] == ["fiedler_score", "gram_error", "gram_scale", "effective_rank"]
    assert len(facts) == 8


def test_scores_stand_beside_those_of_the_optimum_and_of_random_vectors() -> None:
    task = Task(parse("cycle:15"))
    optimum, v = tied_optimum(task.target), np.random.default_rng(0).standard_normal((15, 4))
    answer = {
        "file": "v.npy", **task.describe(), **score_embedding(v, task, optimum),
        "references": reference_scores(v, task, optimum),
    }  # fmt: skip
    lines = render(score_table(answer))
    head, *table = rows(lines)
    assert head == ["", "this embedding", "optimum", "random"]
    shown = {row[0]: row[1:] for row in table}
    assert shown["fiedler_score"][1:] == ["1", f"{answer['references']['random']['fiedler_score']:.6g}"]
    assert shown["gram_error"][1] == "0"  # not its rounding
    assert any(line.startswith("principal angles (rad): ") for line in lines)


def test_scores_against_a_zero_optimum() -> None:
    answer, lines = score_cells(np.random.default_rng(0).standard_normal((5, 4)), "hamming:1,5")
    facts = dict(rows(lines))
    assert len(answer["principal_angles"]) == 0
    assert facts["principal angles (rad)"] == "none: the predicted optimum is zero"
    assert facts["effective_rank"] == f"{answer['effective_rank']:.6g}"


@pytest.mark.parametrize(
    ("word", "models", "decay"),
    [
        ("cycle:8", ("node2vec",), None),
        ("florentine", ("node2vec", "transformer"), None),
        ("hamming:1,5", ("node2vec", "transformer"), None),
        ("cycle:8", ("node2vec", "node2vec-untied", "transformer"), None),
        ("cycle:8", ("node2vec", "transformer"), 0.3),
    ],
)
def test_a_comparison_is_its_rows_turned(word: str, models: tuple[str, ...], decay: float | None) -> None:
    comparison = small_comparison(word, models, weight_decay=decay)
    header, wanted = comparison_rows(comparison)
    lines = render(comparison_table(comparison, everything=True))  # 80 columns, checked there
    assert lines[0].strip() == f"{word}: predicted and measured"
    wide = rows(render(comparison_table(comparison, everything=True), width=200))  # where nothing is wrapped
    apart = [row for row in wanted if "predicted at" in row[0]] if len(wanted) > MOST_BESIDE else []
    turned = []
    for chosen in [row for row in wanted if row not in apart], apart:
        columns = zip(header[1:], *(row[1:] for row in chosen), strict=True)
        turned += [["", *(row[0] for row in chosen)], *([*c] for c in columns if any(c[1:]))] if chosen else []
    titles, bias = spectral_bias_rows(comparison.biases, brief=True)
    assert wide == [*turned, titles, *bias]
    # In 80 columns cells may wrap, but nothing is lost: no ellipsis, and every word is there.
    text = " ".join(lines)
    assert "…" not in text
    assert all(part in text for row in wanted for cell in row for part in cell.split())


def test_a_comparison_begins_with_words_and_the_most_useful_rows() -> None:
    comparison = small_comparison("florentine", ("node2vec", "transformer"))
    lines = render(comparison_table(comparison))
    text = " ".join(" ".join(lines).split())
    for verdict in comparison_verdicts(comparison):
        assert verdict in text
    shown = [row[0].partition(" (")[0] for row in rows(render(comparison_table(comparison), width=200))]
    assert shown[1:] == list(BRIEF)
    assert "Spectral bias" not in text.partition("--all")[0]
    assert len(lines) < len(render(comparison_table(comparison, everything=True)))


def test_an_optimum_without_a_bound_is_said() -> None:
    """JSON keeps an infinite gap as null."""
    scores = {"gram_error": 0.5, "fiedler_score": 0.7, "optimum_relative_gap": None, "optimum_uncertainty": None,
              "optimum_stopped_by": "time limit", "fiedler_score_range": [0.0, 0.7]}  # fmt: skip
    said = against_optimum(scores)
    assert "gram_error to no known digit, fiedler_score between 0 and 0.7" in said
    assert "stopped by time limit" in said
