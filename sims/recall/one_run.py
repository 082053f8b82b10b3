"""One run of factual recall in its folder: trained, measured, analysed; ``runs.one_run`` saves it and takes it up
again. embeddings.safetensors holds every weight at the end, scores.json what the analysis found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..disk.lock import locked
from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.folder import RunDir
from ..runs.guards import memory_hint
from ..runs.one_run import TaskRun, run_task
from .settings import RecallSettings, outdated
from .training import RecallTraining


@dataclass(frozen=True, eq=False)
class RecallRun:
    """A finished run. ``records``: the metrics at every recorded step, the last at the end; ``scores``: of the
    analysis; ``seconds`` of training, measuring and analysing."""

    settings: RecallSettings
    seed: int
    records: tuple[dict[str, Any], ...]
    scores: dict[str, Any]
    seconds: float
    parameters: int


def run_recall(
    settings: RecallSettings,
    seed: int,
    analyse: bool,
    out: Path,
    *,
    device: str = "cpu",
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> RecallRun:
    """Train one seed in the folder ``out``; ``restart`` and ``watch`` as for ``run_task``.

    ``analyse``: look for the predicted structure at the end (one hop; see ``recall.analysis.structure``), or
    whether answers can be asked again (several; ``recall.analysis.fed_back``); a finished run that an earlier version
    analysed is analysed again, from its weights. Raises as ``run_task``, and ValueError for settings or a device that
    do not fit.
    """
    config = {
        "model": f"recall-{settings.arch}",
        "seed": seed,
        "device": device,
        "settings": dataclasses.asdict(settings),
        "analyse": analyse,
    }
    with memory_hint(f"training {settings.arch} on {settings.questions} questions", settings):
        training = AnalysedTraining(settings, seed, device=device, analyse=analyse)
        run = run_task(training, settings, config, out, restart=restart, watch=watch)
        scores = _again(training, run, out) if analyse and outdated(settings, run.scores) else run.scores
    return RecallRun(settings, seed, run.records, scores, run.seconds, training.parameters)


def _again(training: AnalysedTraining, run: TaskRun, out: Path) -> dict[str, Any]:
    """The analysis of the weights of a finished ``run``, in its scores.json too."""
    training.load(run.arrays)
    scores = training.results()[1]
    folder = RunDir(out)
    with locked(out):
        folder.write_scores({**folder.read_scores(), **scores, "results": list(scores)})
        folder.seal()
    return scores


class AnalysedTraining(RecallTraining):
    """A training whose results are analysed."""

    def __init__(self, settings: RecallSettings, seed: int, *, device: str, analyse: bool) -> None:
        super().__init__(settings, seed, device=device)
        self._analyse = analyse

    def results(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Every weight, and the scores of the analysis."""
        from .analysis.fed_back import fed_back_scores
        from .analysis.structure import analyse_recall

        weights, _ = super().results()
        if not self._analyse:
            return weights, {}
        if self.settings.hops > 1:
            return weights, fed_back_scores(self.model, self.data)
        return weights, analyse_recall(self.model, self.data.facts, self.seed)
