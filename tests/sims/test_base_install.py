"""The base install: theory and its command without torch, matplotlib, pandas; what needs an extra says which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from base_install import BARRED
from fiedler.sims.cli.commands import COMMANDS, NEEDS
from fiedler.sims.extras import PARTS, Lacking, check_part, explained, require

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "support" / "base_install.py"
Answer = tuple[int, str, str]

WORKS = (
    "", "--version", "--help", "theory cycle:15", "theory my.edgelist --until 10 --width 5 --verbose --json",
    "theory karate --rivals --storage", "doctor", "doctor --json",
    "score karate embedding.npy", "score karate embedding.npy --json", "figure --list", "reproduce",
    "reproduce A.obs1a --show",
)  # fmt: skip
# One line of every command that needs a part, and the extra it names.
REFUSED = {
    "compare cycle:15": "sims",
    "compare cycle:15 --model node2vec --dry-run": "sims",
    "compare --preset ladder": "sims",
    "train karate": "sims",
    "paths": "sims",
    "recall": "sims",
    "headroom path-star:4x5": "sims",
    "reproduce A.obs1a": "sims",
    "reproduce --all --dry-run": "sims",
    "reproduce --report": "sims",
    "sweep sweep.toml": "sims",
    "profile": "kernels",
    "profile --compile-report": "kernels",
    "report folder": "sims",
    "figure fig4 folder": "sims",
    "score folder": "sims",
    "score karate embedding.safetensors": "sims",
    "score karate embedding.pt": "sims",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What every line above ends in, in one process."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "folder").mkdir()
    (folder / "my.edgelist").write_text("anna ben\nben carla\ncarla anna\ncarla david\n")
    np.save(folder / "embedding.npy", np.random.default_rng(0).standard_normal((34, 8)))
    matrix = np.zeros((34, 8), dtype=np.float32)
    safetensors.numpy.save_file({"embedding": matrix}, folder / "embedding.safetensors")
    torch.save({"embedding": torch.tensor(matrix)}, folder / "embedding.pt")
    helps = [f"{command.__name__} --help" for command in COMMANDS]
    lines = [*WORKS, *REFUSED, *helps]
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, str(SCRIPT), json.dumps([line.split() for line in lines])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {
        "folder", "my.edgelist", "embedding.npy", "embedding.safetensors", "embedding.pt"
    }  # fmt: skip
    return dict(zip(lines, map(tuple, json.loads(done.stdout)), strict=True))


def test_theory_and_what_goes_with_it_work(answers: dict[str, Answer]) -> None:
    for line in WORKS:
        code, out, err = answers[line]
        assert (code, err) == (0, ""), line
        assert out, line
    assert json.loads(answers["theory my.edgelist --until 10 --width 5 --verbose --json"][1])["n"] == 4
    found = json.loads(answers["score karate embedding.npy --json"][1])
    assert found["dimension"] == 8
    assert 0 < found["gram_error"] < 2


def test_doctor_says_what_is_missing_and_that_all_is_well(answers: dict[str, Answer]) -> None:
    found = json.loads(answers["doctor --json"][1])
    by_name = {check["name"]: check for check in found["checks"]}
    assert found["healthy"]
    assert by_name["optimum"]["status"] == by_name["training"]["status"] == "ok"
    for name in ("torch", "cross-entropy", "linear"):
        assert (by_name[name]["status"], by_name[name]["remedy"]) == ("missing", 'pip install "fiedler[sims]"')


@pytest.mark.parametrize("line", REFUSED)
def test_what_needs_more_says_so_in_one_line(answers: dict[str, Answer], line: str) -> None:
    code, out, err = answers[line]
    assert (code, out) == (2, ""), err
    assert err.count("\n") == 1
    assert err.startswith("fiedler: ")
    assert err.endswith(f'pip install "fiedler[{REFUSED[line]}]"\n')


def test_every_command_is_tried(answers: dict[str, Answer]) -> None:
    words = {line.split()[0] for line in (*WORKS, *REFUSED) if line}
    assert {command.__name__ for command in COMMANDS} <= words | {"export"}  # which copies what a run folder holds
    assert all(command in COMMANDS for commands in NEEDS.values() for command in commands)
    for command in COMMANDS:
        code, out, err = answers[f"{command.__name__} --help"]
        assert (code, err) == (0, "")
        assert "Usage: fiedler" in out


def test_from_python_too(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from base_install import Barred
sys.meta_path.insert(0, Barred())

def refused(extra, statement):
    try:
        exec(statement)
    except ImportError as error:
        assert str(error).endswith(f'pip install "fiedler[{{extra}}]"'), error
        assert "not installed" in str(error)
    else:
        raise AssertionError(statement)

import fiedler
import networkx as nx
assert fiedler.predict(nx.cycle_graph(5)).answer["optimum"]["rank"] == 2
fiedler.score("cycle:5", fiedler.predict("cycle:5").optimum.embedding())
refused("kernels", "import fiedler.kernels")
refused("kernels", "fiedler.kernels.linear_cross_entropy")
refused("sims", "fiedler.compare('cycle:5')")
refused("sims", "fiedler.predict('cycle:5').plot()")
refused("sims", "fiedler.predict('cycle:5').to_frame()")
refused("sims", "fiedler.sims.compare.compare")
refused("sims", "from fiedler.sims import Comparison")
refused("sims", "from fiedler.sims import run_paths")
refused("sims", "from fiedler.sims import estimate_runs")
refused("sims", "fiedler.train('cycle:5')")
import fiedler.sims, fiedler.sims.page, fiedler.sims.figures
from fiedler.sims import Search, Task, score_embedding

from importlib import import_module
from pathlib import Path
root, imported, named = Path(fiedler.sims.__file__).parent.resolve(), 0, 0
for file in sorted(root.rglob("__init__.py")):
    room = import_module(".".join(("fiedler", root.name, *file.relative_to(root).parent.parts)))
    for name in getattr(room, "__all__", ()):
        try:
            getattr(room, name)
            imported += 1
        except ImportError as error:
            assert ': pip install "fiedler[' in str(error), (room, name, error)
            named += 1
assert min(imported, named) > 20, (imported, named)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_and_asking_for_help_loads_next_to_nothing() -> None:
    code = (
        "import sys, fiedler, fiedler.theory\n"
        "from fiedler.sims.cli.commands import main\n"
        "assert main(['--help']) == main(['theory', '--help']) == 0\n"
        "heavy = ('numpy', 'scipy', 'networkx', 'pandas', 'matplotlib', 'torch', 'rich.progress')\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
        "assert main(['theory', 'karate']) == 0\n"
        "fiedler.theory.associative_dimension(20, 5)\n"
        "fiedler.theory.typical_coherence(20, 50)\n"
        "assert 'scipy.stats' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_parts_are_the_extras_of_pyproject() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {extra: {text.split(">")[0].split("[")[0] for text in listed} for extra, listed in extras.items()}
    assert names["kernels"] - {"triton"} == set(PARTS["kernels"])  # which torch does without, on other systems
    assert (names["sims"] - {"fiedler"}) | set(PARTS["kernels"]) == set(PARTS["sims"])
    assert set(PARTS["sims"]) <= BARRED


def test_messages() -> None:
    with pytest.raises(Lacking, match=r'^this needs no_such_library, which is not installed: pip install "fiedler'):
        require("no_such_library.part", "dask")
    check_part("sims", "this")  # everything is here
    other = ImportError("cannot import name 'x'", name="torch")
    assert explained(other, "this") is other  # torch is here: something else is wrong
