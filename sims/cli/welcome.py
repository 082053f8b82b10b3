"""What `fiedler` prints without a command: a screen of 80 columns and 24 lines to begin with."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

FIRST = (
    ("fiedler theory cycle:15", "the prediction, with a certificate, in seconds"),
    ("fiedler compare karate", "the prediction beside training runs, in one figure"),
    ("fiedler doctor", "what this machine can run, and what is missing"),
)
SHORT = {
    "theory": "spectrum, optimum, times",
    "compare": "prediction against runs",
    "train": "one training run",
    "score": "an embedding of your own",
    "paths": "path finding from memory",
    "recall": "recall of random facts",
    "headroom": "distance from the prediction",
    "reproduce": "both papers, claim by claim",
    "sweep": "grids of runs, in parallel",
    "profile": "fused kernels, timed here",
    "report": "HTML page of finished runs",
    "figure": "the papers' figures and ours",
    "export": "runs for other libraries",
    "doctor": "what this machine can run",
}
COLUMNS = 2


def version() -> str:
    """The installed version of fiedler."""
    from ..toplevel.version import __version__  # whose look-up takes longer than the screen

    return __version__


def welcome(commands: Iterable[str]) -> Text:
    """The screen, with every one of ``commands`` on it; styles show on a terminal only."""
    text = Text()
    text.append(f"fiedler {version()}", style="bold").append(
        ": what softmax embeddings of a graph should converge to,\n"
    )
    text.append("exactly and with a certificate, next to what real training runs do.\n\n")
    text.append("Begin with\n", style="bold")
    for line, reason in FIRST:
        text.append(f"  {line:<26}", style="cyan").append(f"{reason}\n")
    text.append("GRAPH is a word (cycle:15, path-star:4x5, karate, ...) or a file (edge list,\n")
    text.append(".graphml, .gml, .mtx, .npz).\n\n")
    text.append("Commands\n", style="bold")
    names = list(commands)
    rows = -(-len(names) // COLUMNS)
    for row in range(rows):
        for name in names[row::rows]:
            text.append(f"  {name:<9} ", style="cyan").append(f"{SHORT.get(name, ''):<28}")
        text.rstrip()
        text.append("\n")
    text.append("\nHelp        ", style="bold").append(
        "fiedler COMMAND --help; every option has a default that works\n"
    )
    text.append("Completion  ", style="bold").append("fiedler --install-completion, then open a new shell\n")
    text.append("Guide       ", style="bold").append("docs/ of the source; `make docs` builds the site from it")
    return text


def print_welcome(commands: Iterable[str]) -> None:
    """Write the screen to standard output."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(welcome(commands))
    else:
        print(welcome(commands).plain)
