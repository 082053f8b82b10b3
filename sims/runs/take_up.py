"""A run folder that is already there, taken up: only for the same configuration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Set
from dataclasses import fields
from hashlib import sha256
from typing import Any

from ..disk.files import Damage
from ..disk.jsonio import from_json, to_json
from ..disk.sums import SUMS_FILE, read_sums
from ..models.neural_settings import NeuralSettings
from .checkpoints import read_checkpoint, usable_steps
from .folder import FORMAT, FORMAT_KEY, RESULTS, STARTED, RunDir, config_text

MOST_DIFFERENCES = 4  # named in one message
AGAIN = "start over with --overwrite, or give another --out"
NEURAL = {name: getattr(NeuralSettings, name) for name in ("edge_token", "biases", "perceptron", "activation")}
# The settings that earlier versions did not have, at what these did without, each with names that tell whose they are:
# neural models, and, after this room, runs of paths and recall and the searches of smallest dimensions, all and one.
LATER: tuple[tuple[Set[str], dict[str, Any]], ...] = (
    ({one.name for one in fields(NeuralSettings)} - NEURAL.keys(), NEURAL),
    ({"context_arms", "edge_share", "path_batch"}, {"edge_targets": "sampled", "path_share": None}),
    ({"subjects", "relations", "chain_of_thought"}, {"held_out_facts": 0.0, "zero_hop": ""}),
    ({"conditions", "threshold", "low", "high"}, {"hops": [1], "lower": []}),
    ({"condition", "threshold", "low", "high"}, {"lower": []}),
)


def take_up(folder: RunDir, config: Mapping[str, Any]) -> bool:
    """Make ``folder`` ready to be resumed as the run ``config`` describes; False where no run was begun there.

    A damaged config.json is written again where a checkpoint holds the same settings. Raises ValueError where the
    folder's run has other settings, naming them, or where nothing tells which it has.
    """
    RunDir.check(folder.path, overwrite=True)
    wanted = from_json(to_json({**config, FORMAT_KEY: FORMAT}))
    if not any((folder.path / name).exists() for name in (*STARTED, SUMS_FILE, folder.checkpoints.name, *RESULTS)):
        return False
    found = _as_read(_config(folder, wanted), wanted)
    if found != wanted:
        raise ValueError(
            f"{folder.path} holds another run: {_differences(found, wanted)}. Give that, another --out, or --overwrite"
        )
    begun = all(name in read_sums(folder.path) for name in STARTED)
    if not begun and not usable_steps(folder.checkpoints):
        if any((folder.path / name).exists() for name in RESULTS[1:]):
            raise ValueError(f"{folder.path} holds results without checksums, not to be trusted: {AGAIN}")
        return False  # killed before the checksums of its beginning were written
    if not folder.finished:
        folder.begin(config)
    return True


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` with the settings that came later, where an earlier version wrote it without them."""
    full = {name: completed(value) if isinstance(value, Mapping) else value for name, value in config.items()}
    for told_by, later in LATER:
        if full.keys() >= told_by:
            return {**later, **full}
    return full


def _config(folder: RunDir, wanted: Mapping[str, Any]) -> Any:
    """The settings of the run in ``folder``. A damaged config.json is ``wanted`` if that has its checksum, else that of
    a checkpoint."""
    try:
        return {**completed(folder.read_config()), FORMAT_KEY: FORMAT}
    except ValueError as error:
        damage = str(error).partition(":")[0]
    if read_sums(folder.path).get("config.json") == sha256(config_text(wanted).encode()).hexdigest():
        warnings.warn(f"{damage}: written again, since the settings given now have its checksum", Damage, stacklevel=2)
        return wanted
    for step in usable_steps(folder.checkpoints):
        checkpoint = read_checkpoint(folder.checkpoints, step)
        if checkpoint is not None and "config" in checkpoint.texts:
            warnings.warn(f"{damage}: written again from the checkpoint of step {step}", Damage, stacklevel=2)
            return {**completed(from_json(checkpoint.texts["config"])), FORMAT_KEY: FORMAT}
    raise ValueError(f"{damage}, and no checkpoint tells the run's settings: {AGAIN}")


def _as_read(found: Any, wanted: Any) -> Any:
    """``found`` with what ``wanted`` says of the graph's file: words, which earlier versions did not write. The graph
    itself is compared by its checksum."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        told = {"read": wanted["read"]} if "read" in wanted else {}
        return {**{name: _as_read(value, wanted.get(name)) for name, value in found.items()}, **told}
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [_as_read(*both) for both in zip(found, wanted, strict=True)]
    return found


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Where two configs differ, settings inside them included, in words: the first few."""
    one, other = _flat(found), _flat(wanted)
    names = [name for name in (one | other) if one.get(name) != other.get(name)]
    shown = [f"{name} {one.get(name)!r} instead of {other.get(name)!r}" for name in names[:MOST_DIFFERENCES]]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``config`` and then the entries of objects inside it, under their names but for "settings", whose own names say
    enough."""
    flat = {prefix + name: value for name, value in config.items() if not isinstance(value, Mapping)}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, prefix if name == "settings" else f"{prefix}{name}: ")
    return flat
