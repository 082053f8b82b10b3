"""The examples in docstrings print what they say, and the most used names have one each."""

from __future__ import annotations

import doctest
import inspect
from types import ModuleType

import pytest

import fiedler
from fiedler import kernels, sims, theory

# The names that the documentation, the tests and sims/ use most.
EXPLAINED = {
    fiedler: ("predict", "compare", "score"),
    theory: (
        "parse", "as_graph", "one_hop_target", "laplacian_eigenspaces", "spectrum", "tied_optimum", "untied_optimum",
        "closed_form_optimum", "graph_optimum", "tied_flow", "tied_descent", "graph_flow", "early_modes",
        "decay_thresholds", "gram_error", "fiedler_score", "effective_rank", "mode_energy", "random_facts",
        "construct_memory",
    ),
    kernels: (
        "linear_cross_entropy", "LinearCrossEntropyLoss", "csr_target", "graph_cross_entropy",
        "tied_graph_cross_entropy",
    ),
    sims: ("Task", "get_model", "run_seeds", "score_embedding", "read_embedding"),
}  # fmt: skip


def examples(package: ModuleType) -> list[doctest.DocTest]:
    """Those of every public name, which see nothing that they do not import."""
    finder = doctest.DocTestFinder(recurse=False, exclude_empty=True)
    public = {name: getattr(package, name) for name in package.__all__}
    documented = {name: value for name, value in public.items() if inspect.isroutine(value) or inspect.isclass(value)}
    return [test for name, value in documented.items() for test in finder.find(value, name, globs={}) if test.examples]


TESTS = {package: examples(package) for package in EXPLAINED}


@pytest.mark.parametrize("test", [test for tests in TESTS.values() for test in tests], ids=lambda test: test.name)
def test_an_example_prints_what_it_says(test: doctest.DocTest) -> None:
    report: list[str] = []
    failures, _ = doctest.DocTestRunner().run(test, out=report.append)
    assert not failures, "".join(report)


@pytest.mark.parametrize("package", EXPLAINED, ids=lambda package: package.__name__)
def test_the_most_used_names_have_an_example_of_three_lines_or_more(package: ModuleType) -> None:
    lengths = {test.name: sum(example.source.count("\n") for example in test.examples) for test in TESTS[package]}
    assert not [name for name in EXPLAINED[package] if lengths.get(name, 0) < 3]
