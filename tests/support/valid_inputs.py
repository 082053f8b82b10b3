"""Valid arguments of the public functions, which the registries of calls share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import fiedler.theory as theory
from bad_input_oracle import Call
from bad_values import a_graph

PAW = a_graph(4, (0, 1), (1, 2), (0, 2), (2, 3))  # no family, symmetric but for one swap
TARGET = theory.one_hop_target(PAW)
RNG = np.random.default_rng(0)
EMBEDDING, CONTEXT, INNER = (RNG.standard_normal(shape) for shape in ((4, 2), (4, 2), (2, 2)))
GRAM, LOGITS = EMBEDDING @ EMBEDDING.T, EMBEDDING @ CONTEXT.T
NET = theory.LinearNet(EMBEDDING, ((INNER,), (INNER[:, :1], INNER[:1])), context=CONTEXT, residual=True)
WEIGHT = np.array([1.0, 2.0, 0.5, 1.5])
WIDTH = "shape: one column less; shape: first column; shape: no columns"  # an embedding may have any width
SPACES = theory.laplacian_eigenspaces(PAW)
# Of a list of times: any of its parts, and a single time.
TIMES = "shape: one row less; shape: first row; shape: first entry"
SIGN = "-1; -0.5; -10^12"  # any real number will do
FAILED = (RuntimeError,)  # an integrator or a solver that gives up, as documented
DIVERGED = (FloatingPointError,)  # gradient descent


@cache
def made(name: str) -> Any:
    """Arguments that take long to make, once."""
    return {
        "optimum": lambda: theory.tied_optimum(TARGET, weight_decay=0.1),
        "free": lambda: theory.tied_optimum(TARGET),
        "on blocks": lambda: theory.reduced_tied_optimum(made("symmetry").algebra, made("symmetry").target()),
        "symmetry": lambda: theory.path_star_symmetry(3, 3),
        "colouring": lambda: theory.coherent_colouring(PAW),
        "equation": lambda: theory.tied_equation(TARGET, EMBEDDING),
        "path": lambda: theory.follow(made("equation"), 1.0),
        "bands": lambda: theory.width_bands(TARGET, SPACES, 5, 0.5, [0.5], 3, rtol=1e-4),
        "chain": lambda: theory.second_order_chain(PAW, 0.5, 2.0),
        "tangent": lambda: theory.tied_tangent(TARGET, 0.5, [0.0, 0.5]),
        "modes": lambda: theory.early_modes(TARGET),
        "net": lambda: theory.PreNormNet(EMBEDDING, (theory.Sublayer(INNER, CONTEXT[:2], "gelu"),), norm="rms"),
        "units": lambda: theory.unit_growth(INNER, CONTEXT[:2]),
        "circle": lambda: theory.one_hop_target(theory.parse("cycle:4")),
        "round": lambda: theory.tied_optimum(theory.one_hop_target(theory.parse("cycle:4"))),
        "file": _file,
    }[name]()


FOLDER = TemporaryDirectory()  # gone with the process


def _file() -> Path:
    path = Path(FOLDER.name) / "edges.txt"
    path.write_text("a b\nb c 2\n")
    return path


def shrink(y: np.ndarray) -> np.ndarray:
    return -y


def first(y: np.ndarray) -> float:
    return float(y[0]) - 0.5


def twice(*arrays: np.ndarray) -> np.ndarray:
    return arrays[0]


ONE_HOP: dict[str, Any] = {"self_edges": False, "label_smoothing": 0.1}
PROBLEM: dict[str, Any] = {"weight_decay": 0.1, "row_weight": WEIGHT}


def call(name: str, arguments: dict[str, Any], **rules: Any) -> Call:
    return Call(rules.pop("function", None) or getattr(theory, name), lambda: dict(arguments), **rules)


TIMED = {"times": TIMES}
START = {"embedding0": WIDTH, "times": TIMES, "steps": TIMES}
NUMBER_TIMES = {"times": "int float", "steps": "int"}
