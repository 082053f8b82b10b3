"""The command line: what every command prints, the files it leaves, and its help. Refusals: test_cli_refusals.py."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from commands import Capture, answer, files_here, refusal, table
from fiedler.sims.cli.commands import COMMANDS
from fiedler.sims.tasks.optimum import REFERENCE_DECAY

N = 15
EMBEDDING = np.random.default_rng(0).standard_normal((N, 4))
SCRIPT = Path(sys.executable).parent / "fiedler"
OPTIONS = {
    "theory": "--tied --untied --weight-decay --self-edges --label-smoothing --init-scale --laplacian --until "
    "--modes --top --optimum --no-optimum --tolerance "
    "--time-limit --width --rivals --storage --window --p --q --edges --weights --symmetrize "
    "--verbose --delimiter --header --no-header --comments --weight --json --help",
    "compare": "--preset --model --seeds --out --steps --learning-rate --width --init-std --weight-decay --self-edges "
    "--label-smoothing --window --p --q --edges --weights --symmetrize --overwrite "
    "--resume --checkpoint-every --optimum --no-optimum --tolerance --time-limit --jobs --dry-run "
    "--all --delimiter --header --no-header --comments --weight --json --help",
    "train": "--model --steps --seed --out --learning-rate --width --init-std --weight-decay --self-edges "
    "--label-smoothing --window --p --q --edges --weights --symmetrize --overwrite "
    "--resume --checkpoint-every --optimum --no-optimum --tolerance --time-limit --dry-run "
    "--log --log-dir --delimiter --header --no-header --comments --weight --json --help",
    "score": "--rows --key --weight-decay --self-edges --label-smoothing --window --p --q --edges --weights "
    "--symmetrize --optimum --no-optimum --tolerance --time-limit "
    "--delimiter --header --no-header --comments --weight --json --help",
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


# theory.


def test_theory(capsys: Capture) -> None:
    found = answer(capsys, "theory", "cycle:15")
    assert found["optimum"]["rank"] == 2
    assert found["optimum"]["loss_per_node"] == pytest.approx(1.434917543849, abs=1e-11)  # the digits given
    shown = table(capsys, "theory", "cycle:15")
    assert "1.434917543849" in shown
    assert "45.5799 (x2)" in shown


def test_theory_with_every_option(capsys: Capture) -> None:
    options = (
        "--untied --weight-decay 0.3 --self-edges --label-smoothing 0.1 --init-scale 0.2 --laplacian combinatorial"
    )
    found = answer(capsys, "theory", "cycle:5", *options.split())
    expected = {
        "model": "untied",
        "weight_decay": 0.3,
        "self_edges": True,
        "label_smoothing": 0.1,
        "init_scale": 0.2,
        "laplacian": "combinatorial",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["spectrum"][-1]["eigenvalue"] == pytest.approx(2 - 2 * np.cos(4 * np.pi / 5))
    assert answer(capsys, "theory", "cycle:5", "--tied")["model"] == "tied"


def test_theory_of_one_direction(capsys: Capture) -> None:
    found = answer(capsys, "theory", "cycle:15", "--edges", "forward", "--weights", "line")
    assert (found["direction"], found["weights"]) == ("forward", "line")
    assert found["optimum"]["loss_per_node"] == pytest.approx(1.434917543849, abs=1e-11)  # that of both directions
    star = ("theory", "path-star:4x5", "--edges", "forward", "--weights", "line")
    assert "use weight_decay > 0" in refusal(capsys, *star)
    untied = answer(capsys, *star, "--untied")["optimum"]
    assert untied["loss_per_node"] == pytest.approx(np.log(4) / 4, rel=1e-12)  # the root's four lines of sixteen
    decayed = answer(capsys, *star, "--weight-decay", "0.1", "--until", "5", "--width", "20")
    assert decayed["optimum"]["certificate"]["max_violation"] < 1e-7
    assert decayed["flow"]["points"][0]["loss_per_node"] == pytest.approx(np.log(17), abs=1e-3)
    assert decayed["width"]["points"][0]["loss_per_node"][1] == pytest.approx(np.log(17), abs=1e-3)
    lines = answer(capsys, "theory", "grid:4x4", "--weights", "line", "--rivals")
    assert len(lines["rivals"]) == 4
    assert lines["optimum"]["loss_per_node"] != answer(capsys, "theory", "grid:4x4")["optimum"]["loss_per_node"]


def test_training_on_one_direction(capsys: Capture) -> None:
    command = ["train", "path-star:4x5", "--steps", "300", "--out", "one"]
    found = answer(capsys, *command, "--edges", "forward", "--weights", "line")
    assert found["edge_recall"] == 1.0
    assert found["optimum_weight_decay"] == REFERENCE_DECAY
    assert np.log(4) / 4 < found["loss_per_node"] < 0.6
    config = json.loads(Path("one/config.json").read_text())
    assert (config["direction"], config["weights"]) == ("forward", "line")
    again = answer(capsys, *command, "--edges", "forward", "--weights", "line", "--resume")
    assert again == found
    assert "direction 'forward' instead of" in refusal(capsys, *command, "--weights", "line", "--resume")
    scored = answer(
        capsys, "score", "path-star:4x5", "one/embeddings.safetensors", "--edges", "forward", "--weights", "line",
        "--weight-decay", str(REFERENCE_DECAY),
    )  # fmt: skip
    for name in ("gram_error", "geometric_margin", "geometric_level_neighbours"):
        assert scored[name] == pytest.approx(found[name], rel=1e-9)


def test_comparing_on_one_direction(capsys: Capture) -> None:
    options = "--edges backward -m node2vec --seeds 2 --steps 200 --out two"
    found = answer(capsys, "compare", "path-star:3x3", *options.split())
    assert found["optimum_weight_decay"] == REFERENCE_DECAY
    assert found["rivals"] == {"node2vec": []}
    assert found["summary"]["node2vec"]["trajectory_rms_log10"]["mean"] < 0.3  # decades: flow and runs of one loss
    report = Path("two/report.md").read_text()
    assert "# path-star:3x3, backward edges" in report
    assert f"limit, decay {REFERENCE_DECAY:g}" in report


def test_directed_files_need_symmetrize(capsys: Capture) -> None:
    Path("one-way.mtx").write_text("%%MatrixMarket matrix coordinate real general\n3 3 3\n1 2 1\n2 3 1\n3 1 1\n")
    assert "--symmetrize" in refusal(capsys, "theory", "one-way.mtx")
    assert answer(capsys, "theory", "one-way.mtx", "--symmetrize")["edges"] == 3


# compare and train.


def test_compare_leaves_a_whole_folder_and_never_overwrites_it(capsys: Capture) -> None:
    command = ["compare", "cycle:8", "--steps", "12", "--seeds", "2", "--width", "20"]
    found = answer(capsys, *command)
    assert {run["model"] for run in found["runs"]} == {"node2vec", "transformer"}
    root = Path("runs/cycle-8")
    runs = {f"runs/{model}-seed{seed}" for model in ("node2vec", "transformer") for seed in (0, 1)}
    files = ["config.json", "environment.json", "scores.json", "modes.npz", "report.md"]
    files += ["figures/compare.png", "figures/compare.svg", *(f"{run}/embeddings.safetensors" for run in runs)]
    assert [name for name in files if not (root / name).is_file()] == []
    assert json.loads((root / "scores.json").read_text()) == found
    config = json.loads((root / "config.json").read_text())
    assert config["seeds"] == [0, 1]
    assert {(one["steps"], one["width"]) for one in config["models"].values()} == {(12, 20)}
    assert "(figures/compare.png)" in (root / "report.md").read_text()
    before = files_here()
    assert "--overwrite" in refusal(capsys, *command)
    assert files_here() == before
    (root / "notes.txt").write_text("mine")
    shown = table(capsys, *command, "-m", "node2vec", "--overwrite")
    assert "cycle:8: predicted and measured" in shown
    assert f"report: {root}/report.md" in shown
    assert [run["model"] for run in json.loads((root / "scores.json").read_text())["runs"]] == ["node2vec"] * 2
    assert (root / "notes.txt").read_text() == "mine"


def test_train_and_score_its_embedding(capsys: Capture) -> None:
    given = "--steps 12 --learning-rate 0.02 --width 9 --init-std 0.5 --weight-decay 0.1 --seed 3 --out here"
    target = ["--label-smoothing", "0.1", "--self-edges"]
    trained = answer(capsys, "train", "cycle:8", *given.split(), *target)
    config = json.loads(Path("here/config.json").read_text())
    wanted = {"steps": 12, "learning_rate": 0.02, "width": 9, "init_std": 0.5, "weight_decay": 0.1}
    assert {name: config["settings"][name] for name in wanted} == wanted
    assert (config["seed"], config["label_smoothing"], config["self_edges"]) == (3, 0.1, True)
    assert json.loads(Path("here/scores.json").read_text()) == trained
    scored = answer(capsys, "score", "cycle:8", "here/embeddings.safetensors", *target)
    for name in ("gram_error", "fiedler_score", "energy"):
        assert scored[name] == pytest.approx(trained[name], rel=1e-12)  # the same numbers, through a file
    assert scored["dimension"] == 9
    assert "--overwrite" in refusal(capsys, "train", "cycle:8", "--steps", "2", "--out", "here")
    shown = table(capsys, "train", "cycle:8", "--steps", "2")
    assert "run folder: runs/cycle-8-node2vec-seed0" in shown
    assert Path("runs/cycle-8-node2vec-seed0/scores.json").is_file()


def test_walk_targets_reach_every_command(capsys: Capture) -> None:
    walk = ("--window", "2", "--p", "0.5", "--q", "3")
    predicted = answer(capsys, "theory", "grid:2x3", *walk)
    assert (predicted["window"], predicted["p"], predicted["q"]) == (2, 0.5, 3.0)
    assert predicted["optimum"]["loss_per_node"] != answer(capsys, "theory", "grid:2x3")["optimum"]["loss_per_node"]
    settings = ("--steps", "20000", "--learning-rate", "0.05")
    trained = answer(capsys, "train", "grid:2x3", *settings, *walk)
    assert trained["loss_per_node"] == pytest.approx(predicted["optimum"]["loss_per_node"], abs=1e-6)
    config = json.loads(Path("runs/grid-2x3-node2vec-seed0/config.json").read_text())
    assert (config["window"], config["p"], config["q"]) == (2, 0.5, 3.0)
    assert "p must be positive and finite; got 0.0" in refusal(capsys, "theory", "grid:2x3", "--p", "0")


# score.


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "pt"])
def test_score_reads_every_format_and_the_chosen_rows(capsys: Capture, suffix: str) -> None:
    vocabulary = np.concatenate([np.full((2, 4), 9.0), EMBEDDING, np.full((3, 4), -9.0)])
    name = f"v.{suffix}"
    if suffix == "npy":
        np.save(name, vocabulary)
    elif suffix == "npz":
        np.savez(name, v=vocabulary, other=EMBEDDING)
    elif suffix == "safetensors":
        save_file({"v": vocabulary, "other": EMBEDDING}, name)
    else:
        torch.save({"v": torch.tensor(vocabulary), "other": torch.tensor(EMBEDDING)}, name)
    np.save("whole.npy", EMBEDDING)
    expected = answer(capsys, "score", "cycle:15", "whole.npy")
    Path("rows.txt").write_text("".join(f"{node} {node + 2}\n" for node in reversed(range(N))))
    key = [] if suffix == "npy" else ["--key", "v"]
    for rows in ("2:17", ",".join(str(row) for row in range(2, 17)), "rows.txt"):
        found = answer(capsys, "score", "cycle:15", name, "--rows", rows, *key)
        assert {**found, "file": ""} == {**expected, "file": ""}
    shown = table(capsys, "score", "cycle:15", name, "--rows", "2:17", *key)
    assert f"gram_error │ {expected['gram_error']:.6g}" in shown
    assert "--rows" in refusal(capsys, "score", "cycle:15", name, *key)
    other = answer(capsys, "score", "cycle:15", name, "--rows", "0:15", *key)  # other rows, other scores
    assert other["gram_error"] != expected["gram_error"]


def test_score_measures_from_the_optimum_with_weight_decay(capsys: Capture) -> None:
    np.save("v.npy", EMBEDDING)
    plain, decayed = (answer(capsys, "score", "cycle:15", "v.npy", "--weight-decay", decay) for decay in ("0", "0.1"))
    assert plain["energy"] == decayed["energy"]
    assert plain["gram_scale"] < decayed["gram_scale"]  # the predicted one is smaller under decay


# Help, and the program itself.


@pytest.mark.parametrize("command", list(OPTIONS))
def test_help_lists_every_option(capsys: Capture, command: str) -> None:
    shown = table(capsys, command, "--help")
    assert set(OPTIONS[command].split()) == set(re.findall(r"--[a-z][a-z-]*", shown))
    assert "GRAPH" in shown
    assert table(capsys, command, "-h") == shown


def test_the_installed_script(tmp_path: Path) -> None:
    done = subprocess.run([SCRIPT, "theory", "cycle:5", "--json"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["n"] == 5
    done = subprocess.run([SCRIPT, "theory", "nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fiedler: unknown graph 'nothing'")


def test_annotations_of_commands_are_no_text() -> None:
    """Which would be compiled one by one at every start."""
    for command in COMMANDS:
        found = inspect.unwrap(command).__annotations__
        assert found
        assert not [name for name, kind in found.items() if isinstance(kind, str)], command.__name__


@pytest.mark.parametrize("arguments", ["--help", "theory --help", "compare --help", "theory cycle:5"])
def test_torch_is_imported_only_where_it_is_needed(arguments: str) -> None:
    code = (
        "import sys; from fiedler.sims.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or [name for name in ('torch', 'transformers') if name in sys.modules] or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments.split()], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
