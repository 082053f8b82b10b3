"""The one zoo of small graphs that tests are parametrised over: graph words for ``fiedler.theory.words.parse``."""

from __future__ import annotations

# The four graphs of arXiv 2510.26745.
PAPER = ("path-star:4x5", "grid:4x4", "cycle:15", "irregular")

GRAPHS: dict[str, str] = {
    "odd cycle": "cycle:15",
    "even cycle": "cycle:8",
    "triangle": "cycle:3",
    "path-star": "path-star:4x5",
    "star": "path-star:5x2",
    "path": "path-star:1x7",
    "tree-star": "tree-star:3x4",
    "grid": "grid:4x4",
    "oblong grid": "grid:3x5",
    "box": "grid:2x3x4",
    "torus": "torus:4x4",
    "oblong torus": "torus:3x5",
    "cube": "hypercube:4",
    "hamming": "hamming:2,3",
    "complete": "hamming:1,5",
    "tree": "tree:3,2",
    "irregular": "irregular",
    "petersen": "petersen",
    "karate": "karate",
    "les-miserables": "les-miserables",
    "florentine": "florentine",
    "davis": "davis",
}

ALL = tuple(GRAPHS.values())
DISCONNECTED = ("irregular",)
CONNECTED = tuple(word for word in ALL if word not in DISCONNECTED)
BIPARTITE = (
    *("cycle:8", "path-star:4x5", "path-star:5x2", "path-star:1x7", "tree-star:3x4", "grid:4x4", "grid:3x5"),
    *("grid:2x3x4", "torus:4x4", "hypercube:4", "tree:3,2", "davis"),
)
REGULAR = (
    *("cycle:15", "cycle:8", "cycle:3", "torus:4x4", "torus:3x5", "hypercube:4", "hamming:2,3", "hamming:1,5"),
    "petersen",
)
# Small enough for tests that solve an optimum or train.
SMALL = tuple(word for word in ALL if word not in ("karate", "les-miserables", "davis", "grid:2x3x4"))
