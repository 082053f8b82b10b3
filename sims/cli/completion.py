"""What the Tab key offers: graph words, models with their settings, presets and the values of options.

Completion runs the command line anew at every press, so nothing here imports more than it needs: graphs and models are
written out, and a test holds them against the registries.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

import typer

GRAPH_WORDS = (
    "cycle:15", "path-star:4x5", "tree-star:4x5", "grid:4x4", "torus:6x6", "hypercube:6", "hamming:3,3", "tree:3,4",
    "random:50,75,0", "irregular", "petersen", "karate", "les-miserables", "florentine", "davis",
)  # fmt: skip
MODEL_WORDS = (
    "node2vec", "node2vec-untied", "one-layer", "linear", "mlp", "transformer", "mamba", "associative",
    "associative-fast",
)  # fmt: skip
HF_WORDS = ("hf:gpt2", "hf:gpt-neox", "hf:llama", "hf:mamba")
BREAKS = ":="  # characters at which bash, unlike other shells, splits a word before it asks
BASH = "complete_bash"

Completer = Callable[[str], list[str]]


def choices(*known: str) -> Completer:
    """Offers those of ``known`` that begin with what is typed."""
    return lambda incomplete: _beginning(known, incomplete)


def complete_graph(incomplete: str) -> list[str]:
    """Graph words; files are offered by the shell where no word fits."""
    return _beginning(GRAPH_WORDS, incomplete)


def complete_model(incomplete: str) -> list[str]:
    """Models, and after a colon their settings, each with a value: the other one of a switch, else the default."""
    name, colon, given = incomplete.partition(":")
    if not colon or name not in MODEL_WORDS:
        return _beginning((*MODEL_WORDS, *HF_WORDS), incomplete)
    from ..models.registry import get_model

    default = get_model(name).settings()
    before, comma, last = given.rpartition(",")
    found = []
    for setting, kind in sorted(get_model(name).setting_types().items()):
        value = getattr(default, setting)
        shown = str(not value).lower() if kind is bool else str(value)
        if f"{setting}=".startswith(last) and f"{setting}=" not in before:
            found.append(f"{name}:{before}{comma}{setting}={shown}")
    return found


def complete_compare_preset(incomplete: str) -> list[str]:
    """Presets of `fiedler compare`."""
    from ..compare.presets.definitions import PRESETS

    return _beginning(PRESETS, incomplete)


def complete_paths_preset(incomplete: str) -> list[str]:
    """Presets of `fiedler paths`."""
    from ..paths.presets import PRESETS

    return _beginning(PRESETS, incomplete)


def complete_recall_preset(incomplete: str) -> list[str]:
    """Presets of `fiedler recall`."""
    from ..recall.presets import PRESETS
    from ..recall.scaling.presets import SCALING_PRESETS

    return _beginning((*PRESETS, *SCALING_PRESETS), incomplete)


def complete_paths_condition(context: typer.Context, incomplete: str) -> list[str]:
    """Conditions of the preset of `fiedler paths` that the line names."""
    from ..paths.presets import PRESETS

    preset = PRESETS.get(context.params.get("preset") or "cpu")
    return [] if preset is None else _beginning(preset.conditions, incomplete)


def complete_recall_condition(context: typer.Context, incomplete: str) -> list[str]:
    """Conditions of the preset of `fiedler recall` that the line names."""
    from ..recall.presets import PRESETS
    from ..recall.scaling.presets import SCALING_PRESETS

    name = context.params.get("preset") or "structure"
    if name in SCALING_PRESETS:
        return _beginning(SCALING_PRESETS[name].conditions, incomplete)
    return _beginning(PRESETS[name].conditions, incomplete) if name in PRESETS else []


def complete_figure(incomplete: str) -> list[str]:
    """Figures of `fiedler figure`."""
    from ..figures.registry import KINDS

    return _beginning(KINDS, incomplete)


def join_words(words: str, place: int) -> tuple[str, int]:
    """What bash gives in COMP_WORDS and COMP_CWORD, with the words that it split at BREAKS put together again.

    bash hands over "transformer:heads=2" as five words; a break is never a word of ours.
    """
    given = words.split("\n")
    joined: list[str] = []
    found, open_word = 0, False
    for number, word in enumerate(given):
        is_break = bool(word) and all(letter in BREAKS for letter in word)
        if joined and len(joined) > 1 and (is_break or open_word):
            joined[-1] += word
        else:
            joined.append(word)
        open_word = is_break
        if number == place:
            found = len(joined) - 1
    return "\n".join(joined), found if place < len(given) else len(joined)


@contextlib.contextmanager
def bash_completion(environment: Mapping[str, str]) -> Iterator[None]:
    """Inside it a completion for bash sees whole words and is answered with what follows the last break, which is all
    that bash replaces; without one nothing is changed."""
    words, place = environment.get("COMP_WORDS"), environment.get("COMP_CWORD", "")
    if environment.get("_FIEDLER_COMPLETE") != BASH or words is None or not place.isdecimal():
        yield
        return
    joined, at = join_words(words, int(place))
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = joined, str(at)
    parts = joined.split("\n")
    typed = parts[at] if at < len(parts) else ""
    cut = max(typed.rfind(mark) for mark in BREAKS) + 1
    answer = io.StringIO()
    try:
        with contextlib.redirect_stdout(answer):
            yield
    finally:
        for line in answer.getvalue().splitlines():
            print(line[cut:] if line.startswith(typed[:cut]) else line)


def _beginning(known: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in known if word.startswith(incomplete)]
