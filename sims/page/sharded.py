"""A run whose rows were spread over processes: its losses, and its scores once they are made."""

from __future__ import annotations

from pathlib import Path

from ..draw.sources import source_of
from ..models.registry import get_model
from ..runs.folder import RunDir
from .blocks import Part, Section
from .conditions import curve_section
from .missing import missing_section
from .scoring import INTERVALS, run_scores, score_blocks


def sharded_part(folder: Path) -> Part:
    """Raises ValueError for files that are damaged."""
    of_run = RunDir.open(folder)
    config, log = of_run.read_config(), of_run.read_metrics()
    model, source = get_model(config["model"], earlier=True), source_of(folder, [config["seed"]])
    missing = ["A sharded run records its loss alone: no modes and no positions over the steps."]
    scored = (folder / "scores.json").is_file()
    sections: list[Section | None] = [curve_section([folder], source)]
    if scored:
        scores = of_run.read_scores()
        blocks = score_blocks([(model.title, [config["seed"]], run_scores([scores]))], {})
        sections.append(Section("Scores", blocks, [INTERVALS], source))
        if "optimum_left_out" in scores:
            missing.append(f"Scored {scores['optimum_left_out']}: `fiedler score {folder} --optimum` adds it.")
    else:
        missing.append(f"There are no scores yet: `fiedler score {folder}` makes them from the rows of all processes.")
    facts = [
        ("nodes", str(config["n"])),
        ("edges", str(config["edges"])),
        ("model", model.title),
        ("width", str(config["settings"]["width"])),
        ("processes", str(config["processes"])),
        ("dtype", str(config["dtype"])),
    ]
    if log:
        facts += [("steps", str(log[-1]["step"])), ("loss per node", f"{log[-1]['loss_per_node']:.6g}")]
    found = [missing_section(missing, source), *sections]
    return Part(str(config["graph"]), [section for section in found if section is not None], facts)
