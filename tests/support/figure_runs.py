"""Run folders that figures are made from: small, made once a test process, taken away when it ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from matplotlib.figure import Figure

from comparisons import STEPS
from fiedler.sims.compare.run import compare
from fiedler.sims.figures.drawn import Drawn
from fiedler.sims.figures.output import draw_figure
from fiedler.sims.figures.registry import get_kind
from fiedler.sims.figures.style import get_column
from fiedler.sims.models.registry import get_model
from fiedler.sims.paths.run import run_paths
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.sweep.plan import plan_sweep
from fiedler.sims.sweep.report import report_sweep
from fiedler.sims.sweep.run import run_sweep
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
START = 16.0  # width x init_std^2 of the runs of several widths


@lru_cache
def root() -> Path:
    """A folder of this process alone."""
    found = Path(tempfile.mkdtemp(prefix="figure-runs-"))
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found


@lru_cache
def comparison_folder(word: str = "cycle:7") -> Path:
    """Node2Vec and a Transformer, two seeds."""
    folder = root() / word.replace(":", "-")
    chosen = [
        (get_model(name), get_model(name).make_settings(steps=STEPS[name])) for name in ("node2vec", "transformer")
    ]
    compare(Task(parse(word)), chosen, range(2), out=folder)
    return folder


@lru_cache
def width_folder(width: int, start: float = START, steps: int = 60) -> Path:
    """Node2Vec of one width on a cycle."""
    folder = root() / f"width-{width}-{start:g}-{steps}"
    model = get_model("node2vec")
    settings = model.make_settings(width=width, init_std=(start / width) ** 0.5, steps=steps)
    compare(Task(parse("cycle:5")), [(model, settings)], range(4), out=folder)
    return folder


@lru_cache
def paths_folder() -> Path:
    """Two conditions of fig6 on a small star, hardly trained."""
    base = PathSettings(layers=1, width=16, heads=2, steps=2, records=2, edge_batch=8, path_batch=4, warmup=1)
    folder = root() / "paths"
    conditions = {"in_weights": base, "hardest_token": PathSettings(**{**vars(base), "objective": "hardest"})}
    run_paths(parse("path-star:8x4"), conditions, range(1), folder, jobs=1)
    return folder


@lru_cache
def sweep_folder(kind: str = "grid") -> Path:
    """A grid of two widths and two starting sizes, of which two points start alike; or each alone."""
    plan = plan_sweep(
        {
            "base": {"graph": "cycle:5", "model": "node2vec", "steps": 40},
            "axes": {"width": [16, 64], "init_std": [0.5, 1.0]},
            "sweep": {"seeds": 2, "kind": kind},
        },
        "widths",
    )
    folder = root() / f"sweep-{kind}"
    run_sweep(plan, folder, jobs=1)
    report_sweep(plan, folder)
    return folder


def draw(name: str, *folders: Path | str, width: str = "single", title: bool = False) -> tuple[Drawn, Figure]:
    """The figure ``name`` as the command draws it, not written."""
    drawn = draw_figure(get_kind(name), [Path(folder) for folder in folders], get_column(width), title=title)
    return drawn, drawn.figure
