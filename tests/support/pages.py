"""Small finished folders, made once a test session, and what a report's page holds."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import figure_runs
from comparisons import STEPS as STEPS
from fiedler.sims.disk.files import write_text
from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.models.registry import get_model
from fiedler.sims.phase.diagram import describe_phase
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

GRAPH = "path-star:3x3"
SEEDS = (0, 1)


def comparison_folder() -> Path:
    """GRAPH compared: Node2Vec and a Transformer, two seeds."""
    return figure_runs.comparison_folder(GRAPH)


@lru_cache
def large_folder(nodes: int = 2000) -> Path:
    """One run of Node2Vec on a cycle of that many nodes."""
    folder = figure_runs.root() / f"large-{nodes}"
    model = get_model("node2vec")
    run_seeds(
        Task(parse(f"cycle:{nodes}")), model, model.make_settings(steps=12, width=8), [0], folder=lambda _: folder
    )
    return folder


def sweep_folder(folder: Path, table: pd.DataFrame, x: str, y: str | None) -> Path:
    """A folder as a finished sweep leaves it, of a made-up table."""
    folder.mkdir()
    table.to_csv(folder / "results.csv", index=False)
    write_text(folder / "phase.json", to_json(describe_phase(table, x, y)))
    return folder


def content_of(page: str) -> dict[str, Any]:
    """The data inside a page's text."""
    packed = re.search(r'id="data-gz">([^<]+)<', page)
    assert packed is not None
    return json.loads(gzip.decompress(b64decode(packed.group(1))))


def blocks_of(content: dict[str, Any], section: str) -> list[dict[str, Any]]:
    """The blocks of the first section of that title, those inside menus among them."""
    found = next(one for part in content["parts"] for one in part["sections"] if one["title"] == section)
    out = []
    for block in found["blocks"]:
        out += [option["block"] for option in block["options"]] if block["kind"] == "choice" else [block]
    return out


def numbers(packed: Any) -> np.ndarray:
    """A plotly array, packed or not."""
    if isinstance(packed, dict):
        flat = np.frombuffer(b64decode(packed["bdata"]), dtype=packed["dtype"])
        return flat.reshape([int(size) for size in packed["shape"].split(",")]) if "shape" in packed else flat
    return np.asarray(packed)
