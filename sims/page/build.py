"""The page of a folder: which kind of folder it is, and the parts that tell of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..disk.files import Damage
from ..disk.jsonio import from_json
from ..draw.sources import source_of
from ..runs.control import UNWATCHED, Watch
from ..runs.folder import FORMAT_KEY, RunDir
from ..runs.shards import has_shards
from ..tasks.search import SEARCH, Search
from .at_time import at_time_section
from .blocks import Part, Section
from .conditions import conditions_part, curve_section
from .embedding import embedding_section
from .energies import energy_section, loss_section
from .findings import bias_section, rivals_section, settings_section, verdict_section
from .ladder import is_ladder, ladder_part
from .missing import changed_files, changed_section, missing_section
from .profiles import profile_part
from .scoring import score_section
from .sharded import sharded_part
from .similarity import similarity_section
from .spectra import spectrum_section
from .sweeps import sweep_part
from .views import TaskView, read_comparison, read_preset, read_run


def kind_of(folder: Path) -> str:
    """ "comparison", "run" (of `fiedler train`), "conditions" (paths, recall, headroom, presets), "ladder", "sweep",
    "profile", or where numbers are missing "trained" (a comparison before its scores) or "sharded".

    Raises ValueError for a folder of another kind, naming what it lacks.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: give the --out of an earlier command")
    if (folder / "results.csv").is_file():
        return "sweep"
    if (folder / "config.json").is_file():
        config = _config(folder)
        if FORMAT_KEY in config:
            if has_shards(folder):
                return "sharded"
            scored = (folder / "scores.json").is_file() and (folder / "modes.npz").is_file()
            if isinstance(config.get("models"), dict) and not scored and _finished_runs(folder):
                return "trained"
            if not (folder / "scores.json").is_file() and not (folder / "modes.npz").is_file():
                raise ValueError(f"{folder} holds a run that is not finished: go on with --resume, then report it")
            if isinstance(config.get("models"), dict):
                return "comparison"
            if is_ladder(config):
                return "ladder"
            graph_run = {"graph", "model", "settings", "window"} <= set(config)
            return "run" if graph_run and (folder / "modes.npz").is_file() else "conditions"
    if (folder / "profile.json").is_file():
        return "profile"
    raise ValueError(
        f"{folder} holds no finished run, comparison, sweep or profile: give the --out of fiedler compare, train, "
        "paths, recall, headroom, sweep or profile"
    )


def parts_of(folder: Path, search: Search = SEARCH, watch: Watch = UNWATCHED) -> list[Part]:
    """One part for the folder; of a preset, whose cells are comparisons in folders of their own, one for each as well.

    ``search``: how far the prediction of a single run, which its folder does not hold, is followed. A file that was
    changed since it was written is warned of, and named on the page. Raises ValueError for a folder that cannot be
    reported.
    """
    kind = kind_of(folder)
    watch.report("reading", 0.0)
    changed = changed_files(folder, inside=kind != "sweep")  # a sweep's page is of its table
    for sentence in changed:
        warnings.warn(sentence, Damage, stacklevel=2)
    if kind == "sweep":
        parts = [sweep_part(folder)]
    elif kind == "profile":
        parts = [profile_part(folder)]
    elif kind == "comparison":
        parts = [_task_part(read_comparison(folder))]
    elif kind == "run":
        parts = [_task_part(read_run(folder, search, watch))]
    elif kind == "sharded":
        parts = [sharded_part(folder)]
    elif kind == "trained":
        parts = [_trained_part(folder)]
    else:
        views = read_preset(folder) if "preset" in _config(folder) else []
        first = ladder_part(folder) if kind == "ladder" else conditions_part(folder)
        parts = [first, *(_task_part(view, 1 / len(views)) for view in views)]
    watch.report("reading", 1.0)
    section = changed_section(changed)
    if section is not None:
        parts[0] = replace(parts[0], sections=[section, *parts[0].sections])
    return parts


def title_of(kind: str, parts: Sequence[Part]) -> str:
    """What the page is called unless it is given a title."""
    named = {"comparison": ": theory and runs", "run": ": one run", "trained": ": runs", "sharded": ": a sharded run"}
    return parts[0].title + named.get(kind, "")


def _task_part(view: TaskView, share: float = 1.0) -> Part:
    runs = [view.folder] if len(view.seeds) == len(view.models) == 1 else []
    runs += [path for path in sorted((view.folder / "runs").glob("*")) if path.is_dir()]
    sections: list[Section | None] = [
        verdict_section(view),
        missing_section(view.missing, view.source),
        embedding_section(view, share),
        at_time_section(view),
        energy_section(view),
        bias_section(view),
        loss_section(view),
        spectrum_section(view),
        similarity_section(view, share),
        score_section(view),
        rivals_section(view),
        curve_section(runs, view.source),
        settings_section(view),
    ]
    facts = [
        ("nodes", str(view.graph.n)),
        ("edges", str(view.graph.edge_count)),
        ("models", ", ".join(one.model.title for one in view.models)),
        ("seeds", str(len(view.seeds))),
    ]
    loss = view.optimum.get("loss_per_node")
    if loss is not None:
        facts += [("optimum, loss per node", f"{loss:.6g}"), ("optimum, rank", str(view.optimum["rank"]))]
    return Part(view.task.title, [section for section in sections if section is not None], facts)


def _trained_part(folder: Path) -> Part:
    """Of a comparison that was trained, and interrupted before it was scored."""
    config, runs = _config(folder), _finished_runs(folder)
    missing = [
        f"There are no scores and no prediction yet: `fiedler score {folder}` makes them; finished are {len(runs)} of "
        f"{len(config['models']) * len(config['seeds'])} runs."
    ]
    source = source_of(folder, config["seeds"])
    sections = [missing_section(missing, source), curve_section(runs, source)]
    facts = [("nodes", str(config["n"])), ("edges", str(config["edges"])), ("models", ", ".join(config["models"]))]
    return Part(str(config["graph"]), [section for section in sections if section is not None], facts)


def _finished_runs(folder: Path) -> list[Path]:
    return [path for path in sorted((folder / "runs").glob("*-seed*")) if RunDir(path).finished]


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = from_json((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
