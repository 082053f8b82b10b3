"""What Tab offers, through the protocol a shell speaks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Capture
from fiedler.sims.cli.commands import main
from fiedler.sims.cli.completion import GRAPH_WORDS, MODEL_WORDS, choices, join_words
from fiedler.sims.models.registry import MODELS
from fiedler.theory.graphs.words import FAMILIES

Offered = Callable[..., list[str]]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Offered:
    def ask(*words: str, shell: str = "bash") -> list[str]:
        """What ``shell`` is told for the last of ``words``."""
        given = {"COMP_WORDS": "\n".join(("fiedler", *words)), "COMP_CWORD": str(len(words))}
        if shell == "fish":
            given = {"_TYPER_COMPLETE_ARGS": " ".join(("fiedler", *words)), "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        for name, value in {**given, "_FIEDLER_COMPLETE": f"complete_{shell}"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit):
            main([])
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out.split()

    return ask


def test_the_installed_program_answers_a_shell() -> None:
    asked = {"COMP_WORDS": "fiedler\ntheory\ncycle\n:\n", "COMP_CWORD": "4", "_FIEDLER_COMPLETE": "complete_bash"}
    program = Path(sys.executable).parent / "fiedler"
    done = subprocess.run([program], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["15"], "")


def test_written_out_words_are_the_registries() -> None:
    assert tuple(family.example for family in FAMILIES.values()) == GRAPH_WORDS
    assert tuple(MODELS) == MODEL_WORDS


def test_commands_graphs_models_presets_and_values(offered: Offered) -> None:
    assert offered("comp") == ["compare"]
    assert offered("theory", "path") == ["path-star:4x5"]
    assert offered("train", "karate", "-m", "node") == ["node2vec", "node2vec-untied"]
    assert offered("paths", "--preset", "fig2") == ["fig20", "fig22", "fig23"]
    assert offered("theory", "karate", "--edges", "") == ["both", "forward", "backward"]
    assert offered("export", "no-such-f") == []  # files are the shell's own


def test_conditions_of_the_preset_on_the_line(offered: Offered) -> None:
    assert "in_weights" in offered("paths", "--only", "")
    assert offered("recall", "--preset", "parts", "--only", "no_") == ["no_layer_norm"]


def test_bash_splits_words_at_colons_and_replaces_what_follows(offered: Offered) -> None:
    assert offered("theory", "cycle", ":", "1") == ["15"]
    assert offered("train", "cycle", ":", "15", "-m", "transformer", ":", "heads", "=", "2,layer_") == [
        "2,layer_norm=false"
    ]


def test_other_shells_get_whole_words(offered: Offered) -> None:
    assert any("cycle:15" in word for word in offered("theory", "cyc", shell="fish"))


@pytest.mark.parametrize(
    ("words", "place", "joined", "at"),
    [
        ("fiedler\ntheory\ncyc", 2, "fiedler\ntheory\ncyc", 2),
        ("fiedler\ntheory\ncycle\n:\n1", 4, "fiedler\ntheory\ncycle:1", 2),
        ("fiedler\ntheory\ncycle\n:", 3, "fiedler\ntheory\ncycle:", 2),
        ("fiedler\n-m\nmlp\n:\nbias\n=\ntrue\n--seed", 7, "fiedler\n-m\nmlp:bias=true\n--seed", 3),
        ("fiedler\ntheory", 2, "fiedler\ntheory", 2),
    ],
)
def test_joining_words(words: str, place: int, joined: str, at: int) -> None:
    assert join_words(words, place) == (joined, at)


def test_choices() -> None:
    assert choices("pca", "umap")("p") == ["pca"]
