"""fiedler.predict: the numbers of `fiedler theory`, whatever the graph is given as; tables and figures of them."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import fiedler
from commands import Capture, answer
from fiedler.sims.disk.jsonio import to_json
from fiedler.theory import as_graph, cycle_optimum

SAME = 1e-9  # loss per node of one graph with its nodes in another order: the solver's rounding
HUBS = nx.disjoint_union(nx.star_graph(6), nx.path_graph(5))  # a hub, leaves, a chain, two components
HUBS.add_edge(0, 1, weight=3.0)


def test_it_is_the_answer_of_the_command(capsys: Capture) -> None:
    found = fiedler.predict("karate", until=5.0, weight_decay=0.1, self_edges=True)
    line = ("theory", "karate", "--until", "5", "--weight-decay", "0.1", "--self-edges")
    assert json.loads(to_json(found.answer)) == answer(capsys, *line)


def test_a_closed_form_and_its_certificate() -> None:
    found, exact = fiedler.predict(nx.cycle_graph(9)), cycle_optimum(9)
    assert exact is not None
    assert found.answer["optimum"]["loss_per_node"] == pytest.approx(exact.loss_per_node, abs=SAME)
    assert found.optimum.loss_per_node == pytest.approx(exact.loss_per_node, abs=SAME)
    assert found.optimum.embedding().shape == (9, 2)


def test_every_form_of_a_graph_gives_the_same() -> None:
    matrix = nx.to_scipy_sparse_array(HUBS, dtype=float)
    order = np.random.default_rng(0).permutation(len(HUBS))
    forms = [HUBS, matrix, matrix.toarray(), as_graph(HUBS), sp.csr_matrix(matrix)[order][:, order]]
    losses = [fiedler.predict(form).answer["optimum"]["loss_per_node"] for form in forms]
    assert losses == pytest.approx([losses[0]] * len(forms), abs=SAME)


def test_frames() -> None:
    found = fiedler.predict("cycle:15", until=3.0)
    modes = found.to_frame()
    assert list(modes.columns) == ["rate", "multiplicity", "time"]
    assert modes["time"].tolist() == found.mode_times
    assert (modes["time"].diff().dropna() > 0).all()  # a slower mode comes later
    assert found.to_frame("spectrum")["multiplicity"].sum() == 15
    assert len(found.to_frame("optimum")) == found.answer["optimum"]["rank"]
    assert (found.to_frame("flow")["loss_per_node"].diff().dropna() < 0).all()  # a gradient flow
    with pytest.raises(ValueError, match=r"did you mean 'modes'\? choose from modes, spectrum"):
        found.to_frame("mode")
    with pytest.raises(ValueError, match=r"without its flow: predict\(graph, until=\.\.\.\)"):
        fiedler.predict("cycle:15").to_frame("flow")
    with pytest.raises(ValueError, match="optimum=True"):
        fiedler.predict("cycle:15", optimum=False).to_frame()


def test_it_shows_itself_shortly_and_names_stay_text() -> None:
    graph = nx.cycle_graph(5, create_using=None)
    graph.graph["name"] = "<b>\x1b[31m$x"
    found = fiedler.predict(graph)
    assert repr(found).startswith(r"Prediction(<b>\x1b[31m$x: 5 nodes, 5 edges, loss per node 1.5")
    assert len(repr(found)) < 150
    html = found._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "relative duality gap" in html
    assert "\x1b" not in html
    found.plot().canvas.draw()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("graph", "options", "says"),
    [
        (HUBS, {}, ""),
        ("karate", {"tied": False}, "not attained: logits diverge"),
        ("karate", {"tied": False}, "no tied optimum"),
        ("karate", {"optimum": False}, "no optimum"),
        ("karate", {"weight_decay": 9.0}, "the optimum is zero"),
        ("petersen", {"weight_decay": 9.0}, "rank 0: no plane"),
        (nx.path_graph(2), {}, "rank"),
    ],
)
def test_figures_say_what_there_is_not(graph: object, options: dict[str, object], says: str) -> None:
    figure = fiedler.predict(graph, **options).plot()  # type: ignore[arg-type]
    assert len(figure.axes) == 3
    assert any(says in text.get_text() for ax in figure.axes for text in ax.texts) or not says


def test_an_untied_prediction_has_no_embedding() -> None:
    with pytest.raises(ValueError, match="is no embedding"):
        _ = fiedler.predict("cycle:5", tied=False).optimum
