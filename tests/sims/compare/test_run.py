"""A small comparison end to end: what is computed, what is written, and what is refused before anything is."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fiedler.sims.compare.run as module
from fiedler.sims.compare.comparison import SUMMARISED, Comparison, summarise
from fiedler.sims.compare.folder import read_comparison
from fiedler.sims.compare.run import compare, describe_comparison
from fiedler.sims.compare.show.output import write_comparison
from fiedler.sims.compare.show.report import comparison_markdown
from fiedler.sims.compare.trajectory_fit import fit_trajectory
from fiedler.sims.disk.jsonio import from_json, to_json
from fiedler.sims.models.registry import Model, get_model
from fiedler.sims.predict.trajectory import predict_trajectory
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.graph_arrays import graph_arrays
from fiedler.sims.runs.recorder import log_spaced_steps
from fiedler.sims.scores.embedding import score_embedding, score_logits
from fiedler.sims.tasks.search import Search
from fiedler.sims.tasks.task import Task
from fiedler.theory import as_graph, centre_rows, parse, tied_optimum

SAME = 1e-12  # means of the same numbers in another order

TASK = Task(parse("path-star:3x2"), self_edges=True)
SEEDS = [4, 1]
NAMES = ("node2vec", "transformer")


def models(*names: str, **overrides: Any) -> list[tuple[Model, Any]]:
    small = {"node2vec": {"steps": 40, "width": 20}, "transformer": {"steps": 4, "width": 8}}
    small["node2vec-untied"] = small["node2vec"]
    return [(get_model(name), get_model(name).make_settings(**{**small[name], **overrides})) for name in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare") / "new" / "out"


@pytest.fixture(scope="module")
def stages() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def comparison(folder: Path, stages: list[tuple[str, float]]) -> Comparison:
    return compare(
        TASK, models(*NAMES), SEEDS, out=folder, watch=Watch(on_progress=lambda *stage: stages.append(stage))
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is computed.


def test_every_part_is_made_for_every_model_and_seed(comparison: Comparison) -> None:
    assert comparison.task is TASK
    assert tuple(one.model.name for one in comparison.models) == NAMES
    plain = tied_optimum(TASK.target)
    np.testing.assert_allclose(comparison.optimum.gram, plain.gram, atol=SAME)
    for one in comparison.models:
        assert [run.seed for run in one.runs] == SEEDS
        alone = predict_trajectory(TASK, one.model, one.settings, log_spaced_steps(one.settings.steps))
        assert np.array_equal(one.predicted.centred_energy, alone.centred_energy)  # it knows nothing of the runs
        assert one.optimum is comparison.optimum
        for run, scores, fit in zip(one.runs, one.scores, one.fits, strict=True):
            expected = {**score_embedding(run.final.embedding, TASK, plain), **score_logits(run.final.logits, TASK)}
            assert to_json({name: scores[name] for name in expected}) == to_json(expected)
            assert scores["limit_loss_per_node"] == plain.loss_per_node
            assert ("flow_time" in scores) == (one.model.name == "node2vec")  # the one with a time of its own
            assert fit == fit_trajectory(alone, run.modes, one.model.time_per_step(one.settings))
            assert bool(fit.fitted) == (one.model.name == "transformer")


def test_the_mean_run_is_the_geometric_mean(comparison: Comparison) -> None:
    for one in comparison.models:
        first, second = (run.modes for run in one.runs)
        np.testing.assert_allclose(one.mean_modes.energy, np.sqrt(first.energy * second.energy), rtol=1e-10)
        centred = np.sqrt(first.centred_energy * second.centred_energy)
        np.testing.assert_allclose(one.mean_modes.centred_energy, centred, rtol=1e-10)  # rounding of the logarithms
        np.testing.assert_allclose(one.mean_modes.loss, (first.loss + second.loss) / 2, rtol=SAME)
        assert np.array_equal(one.mean_modes.steps, first.steps)
        clock = one.model.time_per_step(one.settings)
        assert one.mean_fit == fit_trajectory(one.predicted, one.mean_modes, clock)


def test_the_prediction_shares_no_array_with_the_measurement(comparison: Comparison) -> None:
    def arrays(*objects: Any) -> list[np.ndarray]:
        values = [getattr(one, field.name) for one in objects for field in dataclasses.fields(one)]
        return [value for value in values if isinstance(value, np.ndarray)]

    for one in comparison.models:
        theory = arrays(one.predicted, one.optimum)
        runs = arrays(one.mean_modes, *(run.modes for run in one.runs), *(run.final for run in one.runs))
        assert len(theory) >= 8
        assert len(runs) >= 12
        assert not any(np.shares_memory(a, b) for a in theory for b in runs)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_weight_decay_changes_the_optimum_where_it_is_the_theory_s(decay: float) -> None:
    found = compare(TASK, models("node2vec", "node2vec-untied", "transformer", weight_decay=decay), [0])
    own = tied_optimum(TASK.target, weight_decay=decay)
    tied, untied, transformer = found.models
    np.testing.assert_allclose(tied.optimum.gram, own.gram, atol=1e-6)  # the solver's accuracy
    assert tied.optimum.weight_decay == decay
    assert untied.optimum is transformer.optimum is found.optimum
    assert found.optimum.weight_decay == 0.0


def test_stages_are_reported_in_order(comparison: Comparison, stages: list[tuple[str, float]]) -> None:
    names = list(dict.fromkeys(name for name, _ in stages))
    titles = ["Node2Vec", "Transformer"]
    flows = [f"Node2Vec flow from V(0), seed {seed}" for seed in SEEDS]
    after = ["Node2Vec prediction", "Node2Vec scores", flows[0], "Node2Vec time to the limit", *flows[1:]]
    after += ["Transformer prediction", "Transformer scores"]
    assert names == [*titles, "optimum", *after]  # everything is trained and saved before it is scored
    for name in names:
        fractions = [fraction for other, fraction in stages if other == name]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


# What is written.


def test_the_files(comparison: Comparison, folder: Path) -> None:
    top = [".lock", "SHA256SUMS", "config.json", "environment.json", "figures", "modes.npz", "runs", "scores.json"]
    assert sorted(os.listdir(folder)) == top
    runs = [f"{name}-seed{seed}" for name in NAMES for seed in SEEDS]
    assert sorted(os.listdir(folder / "runs")) == sorted(runs)
    each = [".lock", "SHA256SUMS", "checkpoint", "config.json", "embeddings.safetensors", "environment.json"]
    each += ["figures", "metrics.jsonl", "modes.npz", "scores.json"]
    for run in runs:
        assert sorted(os.listdir(folder / "runs" / run)) == each
        assert RunDir.open(folder / "runs" / run).finished
    assert comparison.folder == RunDir.open(folder)


def test_the_config_says_how_to_do_it_again(comparison: Comparison, folder: Path) -> None:
    config = RunDir.open(folder).read_config()
    assert config["graph"] == "path-star:3x2"
    assert config["self_edges"] is True
    assert config["seeds"] == SEEDS
    assert list(config["models"]) == list(NAMES)
    again = [(get_model(name), get_model(name).settings(**given)) for name, given in config["models"].items()]
    assert again == models(*NAMES)


def test_scores_of_every_run_and_their_summary(comparison: Comparison, folder: Path) -> None:
    scores = RunDir.open(folder).read_scores()
    assert scores == from_json(to_json(describe_comparison(comparison)))
    assert scores["graph"] == "path-star:3x2"
    assert scores["optimum"]["loss_per_node"] == pytest.approx(tied_optimum(TASK.target).loss_per_node)
    assert [(entry["model"], entry["seed"]) for entry in scores["runs"]] == [(m, s) for m in NAMES for s in SEEDS]
    for entry in scores["runs"]:
        assert RunDir.open(folder / "runs" / f"{entry['model']}-seed{entry['seed']}").read_scores() == entry
    assert set(scores["summary"]) == set(NAMES)
    for name in NAMES:
        runs = [entry for entry in scores["runs"] if entry["model"] == name]
        assert set(scores["summary"][name]) == set(SUMMARISED)
        for score, summary in scores["summary"][name].items():
            if score != "trajectory_rms_log10" and score not in runs[0]:
                assert (name, summary) == ("transformer", {"mean": None, "std": None})  # it has no flow of its own
                continue
            values = [
                run["trajectory_fit"]["rms_log10"] if score == "trajectory_rms_log10" else run[score] for run in runs
            ]
            assert summary["mean"] == pytest.approx(statistics.mean(values), rel=SAME)
            assert summary["std"] == pytest.approx(statistics.stdev(values), rel=1e-9, abs=SAME)  # small differences
        assert scores["summary"][name]["loss_per_node"]["std"] > 0


def test_the_written_scores_are_those_of_the_written_embeddings(comparison: Comparison, folder: Path) -> None:
    for name in NAMES:
        for seed in SEEDS:
            run = RunDir.open(folder / "runs" / f"{name}-seed{seed}")
            own = score_embedding(run.read_embeddings()["embedding"], TASK, comparison.optimum)
            written = run.read_scores()
            assert {key: written[key] for key in own} == from_json(to_json(own))
            assert written["loss_per_node"] == run.read_metrics()[-1]["loss_per_node"]


def test_modes_hold_prediction_and_runs(comparison: Comparison, folder: Path) -> None:
    modes = RunDir.open(folder).read_modes()
    assert np.array_equal(modes["eigenvalues"], TASK.spaces.eigenvalues)
    assert np.array_equal(modes["multiplicities"], TASK.spaces.multiplicities)
    assert comparison.optimum is not None
    np.testing.assert_allclose(modes["optimum_factor"] @ modes["optimum_factor"].T, comparison.optimum.gram, atol=1e-9)
    names = {"predicted_times", "predicted_energy", "predicted_centred_energy", "predicted_loss_per_node"}
    names |= {"steps", "seeds", "centred_energy", "energy", "loss_per_node"}
    names |= {"predicted_gram", "predicted_own", "position_times", "positions"}
    once = {"eigenvalues", "multiplicities", "optimum_factor", *graph_arrays(TASK.graph)}
    assert set(modes) == once | {f"{m}/{n}" for m in NAMES for n in names}
    for one in comparison.models:
        name = one.model.name
        assert modes[f"{name}/seeds"].tolist() == SEEDS
        for part in ("times", "energy", "centred_energy"):
            assert np.array_equal(modes[f"{name}/predicted_{part}"], getattr(one.predicted, part))
        assert np.array_equal(modes[f"{name}/predicted_loss_per_node"], one.predicted.loss)
        assert np.array_equal(modes[f"{name}/predicted_gram"], one.predicted.gram)
        last = modes[f"{name}/positions"][-1].astype(np.float64)  # leading directions of the flow's end
        values = np.linalg.eigvalsh(centre_rows(centre_rows(one.predicted.gram).T))[::-1]
        np.testing.assert_allclose((last**2).sum(axis=0), values[: last.shape[1]], rtol=1e-4, atol=1e-6)
        for i, seed in enumerate(SEEDS):
            run = RunDir.open(folder / "runs" / f"{name}-seed{seed}").read_modes()
            assert np.array_equal(modes[f"{name}/steps"], run["steps"])
            for part in ("energy", "centred_energy", "loss_per_node"):
                assert np.array_equal(modes[f"{name}/{part}"][i], run[part])


def test_one_seed_has_no_spread() -> None:
    entry = dict.fromkeys(SUMMARISED, 2.0) | {"trajectory_fit": {"rms_log10": 3.0}}
    summary = summarise([entry])
    assert summary["gram_error"] == {"mean": 2.0, "std": None}
    assert summary["trajectory_rms_log10"] == {"mean": 3.0, "std": None}


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert compare(TASK, models("node2vec"), [0]).folder is None
    assert not os.listdir(tmp_path)


# What is refused, before anything is trained or written.


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(module, "run_seeds", never)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("names", "seeds", "message"),
    [
        (("node2vec", "node2vec"), [0], "models must be a non-empty list without repeats; got node2vec, node2vec"),
        ((), [0], "models must be a non-empty list without repeats; got none"),
        (("node2vec",), [0, 1, 0], r"seeds must be a non-empty list without repeats; got \[0, 1, 0\]"),
        (("node2vec",), [], r"seeds must be a non-empty list without repeats; got \[\]"),
    ],
)
def test_repeats_are_refused(tmp_path: Path, names: tuple[str, ...], seeds: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(TASK, models(*names), seeds, out=tmp_path / "out")
    assert not os.listdir(tmp_path)


@pytest.mark.usefixtures("untrained")
def test_an_impossible_task_is_refused(tmp_path: Path) -> None:
    lonely = Task(as_graph(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])))
    with pytest.raises(ValueError, match="isolated"):
        compare(lonely, models("node2vec"), [0], out=tmp_path / "out")
    assert not os.listdir(tmp_path)


def test_overwriting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(TASK, models("node2vec"), [0], out=tmp_path)
    before = files(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "run_seeds", None)
        with pytest.raises(ValueError, match=r"is not empty .*--overwrite or another --out"):
            compare(TASK, models("node2vec"), [0], out=tmp_path)
        # A folder of something else where a run has to go, of the second model even.
        foreign = tmp_path / "runs" / "transformer-seed0"
        foreign.mkdir()
        (foreign / "thesis.tex").write_text("mine")
        with pytest.raises(ValueError, match=r"transformer-seed0 holds 'thesis.tex' but no config.json of a run"):
            compare(TASK, models("node2vec", "transformer"), [0], out=tmp_path, restart=Restart(overwrite=True))
    assert files(tmp_path) == {**before, "runs/transformer-seed0/thesis.tex": b"mine"}
    compare(TASK, models("node2vec", steps=7), [0], out=tmp_path, restart=Restart(overwrite=True))
    assert RunDir.open(tmp_path).read_config()["models"]["node2vec"]["steps"] == 7
    assert RunDir.open(tmp_path).read_modes()["node2vec/steps"].tolist() == list(range(8))
    assert RunDir.open(tmp_path / "runs" / "node2vec-seed0").read_modes()["steps"].tolist() == list(range(8))
    assert json.loads((tmp_path / "scores.json").read_text())["runs"][0]["seed"] == 0
    assert (foreign / "thesis.tex").read_text() == "mine"


def test_overwriting_leaves_no_run_of_the_earlier_comparison(tmp_path: Path) -> None:
    compare(TASK, models("node2vec", steps=3), [0, 1, 2], out=tmp_path)
    (tmp_path / "runs" / "node2vec-seed2" / "notes.txt").write_text("mine")
    compare(TASK, models("node2vec", steps=3), [1], out=tmp_path, restart=Restart(overwrite=True))
    assert sorted(os.listdir(tmp_path / "runs")) == ["node2vec-seed1", "node2vec-seed2"]
    assert os.listdir(tmp_path / "runs" / "node2vec-seed2") == ["notes.txt"]


# What is left out.


def test_without_the_optimum_flow_and_modes_stay(tmp_path: Path) -> None:
    whole = compare(TASK, models(*NAMES), SEEDS)
    found = compare(TASK, models(*NAMES), SEEDS, out=tmp_path / "c", search=Search(optimum=False))
    assert found.optimum is None
    assert found.no_optimum == "without the optimum (--no-optimum)"
    for one, full in zip(found.models, whole.models, strict=True):
        assert one.optimum is None
        assert one.fits == full.fits
        assert all(scores["gram_error"] is None for scores in one.scores)
        assert [s["geometric_margin"] for s in one.scores] == [s["geometric_margin"] for s in full.scores]
    read, _ = read_comparison(tmp_path / "c")
    assert read.optimum is None
    assert read.no_optimum == found.no_optimum
    text = comparison_markdown(read, {}, "x.png")
    assert "Scored without the optimum (--no-optimum): no gram_error" in text
    with pytest.raises(ValueError, match=r"which this needs: compare it with --optimum"):
        _ = read.certified
    write_comparison(found)
    scores = from_json(to_json(describe_comparison(found)))
    assert scores["optimum"] is None
    assert scores["summary"]["node2vec"]["gram_error"]["mean"] is None


def test_a_flow_that_is_not_done_in_time_is_left_out_and_said(tmp_path: Path) -> None:
    task = Task(parse("karate"))
    found = compare(task, models("node2vec"), [0], out=tmp_path / "c", search=Search(optimum=False, time_limit=1e-6))
    (one,) = found.models
    assert one.predicted is None
    assert one.no_flow == "no predicted flow: it was not done after 1e-06 s (--time-limit)"
    assert not found.biases
    write_comparison(found)
    read, _ = read_comparison(tmp_path / "c")
    assert read.models[0].predicted is None
    assert read.models[0].no_flow == one.no_flow
    assert f"{one.model.title}: {one.no_flow}." in (tmp_path / "c" / "report.md").read_text()


def test_a_flow_of_a_large_graph_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fiedler.sims.predict.trajectory.FLOW_NODES", TASK.graph.n - 1)
    (one,) = compare(TASK, models("node2vec"), [0]).models
    assert one.predicted is None
    assert one.no_flow.startswith("no predicted flow: it is followed up to")
    assert one.scores[0]["gram_error"] is not None


def test_decay_zero_is_solved_only_where_a_model_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    seek = module.seek_optimum
    monkeypatch.setattr(
        module, "seek_optimum", lambda task, decay, *rest: asked.append(decay) or seek(task, decay, *rest)
    )
    found = compare(TASK, models("node2vec", weight_decay=0.1), [0], out=tmp_path / "c")
    assert asked == [0.1]
    assert found.optimum is found.models[0].optimum
    assert describe_comparison(found)["optimum_weight_decay"] == 0.1
    asked.clear()
    both = [*models("node2vec", weight_decay=0.1), *models("node2vec-untied")]
    compare(TASK, both, [0], out=tmp_path / "both")
    assert asked == [0.0, 0.1]
    read, _ = read_comparison(tmp_path / "both")  # solves nothing again
    own = read.models[0].optimum
    assert own is not None
    assert own.weight_decay == 0.1
    np.testing.assert_allclose(own.gram, found.models[0].optimum.gram, atol=1e-6)
