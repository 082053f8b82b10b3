"""The training engine: any model, any number of seeds, one run folder each, stopped and taken up again at will."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk.jsonio import from_json, to_json
from ..disk.lock import locked
from ..models.protocol import Diverged, Final, Training
from ..models.registry import Model
from ..scores.line_scores import line_scores
from ..tasks.task import Task
from .folder import RunDir
from .graph_arrays import graph_arrays
from .guards import check_disk, out_of_memory, says_out_of_memory
from .recorder import Modes, Recorder, log_spaced_steps
from .seed_files import RunFiles
from .stopping import Interrupted, StopRequest
from .take_up import take_up

CHECKPOINT_SECONDS = 30.0
# Unless the interval is given: so many times as long as writing a checkpoint took must pass before the next.
CHECKPOINT_SHARE = 50


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run: which model and seed, what was recorded, what it ended in; its scores if any were asked for."""

    model: Model
    settings: Any
    seed: int
    modes: Modes
    final: Final
    scores: dict[str, Any] | None = None


def run_seeds(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    *,
    folder: Callable[[int], Path] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    score: Callable[[Run], Mapping[str, Any]] | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: StopRequest | None = None,
) -> list[Run]:
    """Train every seed and return the runs in the order of ``seeds``.

    ``folder(seed)``: where to keep each run (nothing is kept when None); see ``runs.folder`` for the layout.
    ``resume``: seeds whose folder holds a run of the same settings go on from its last checkpoint, finished ones are
    only read, the others start; on a CPU, with the same versions and threads, the results are those of a run that was
    never stopped, bit for bit. ``checkpoint_every``: seconds between checkpoints, 0 for one after every chunk of steps;
    None for CHECKPOINT_SECONDS, more where writing takes long. ``score(run)``: what scores.json of every run holds, as
    JSON keeps it; called once a run. ``on_progress`` is called with the fraction done.
    ``stop``: when somebody asks, a checkpoint is written and Interrupted raised.

    Raises ValueError for repeated seeds, a folder in use, other settings than a resumed run's or too small a disk,
    before anything is written; Diverged (a FloatingPointError) when training diverges and MemoryError when memory runs
    out, each with a hint; what is already written stays.

    >>> from fiedler.sims import Task, get_model, run_seeds
    >>> from fiedler.theory import parse
    >>> model = get_model("node2vec")
    >>> settings = model.make_settings(steps=1000, width=16, init_std=0.1)
    >>> runs = run_seeds(Task(parse("cycle:15")), model, settings, seeds=[0, 1])
    >>> runs[0].final.embedding.shape
    (15, 16)
    >>> [round(run.modes.loss[-1].item(), 2) for run in runs]
    [1.46, 1.46]
    """
    check_seeds(seeds)
    check_interval(checkpoint_every)
    groups = model.groups(task, settings, seeds)
    for path in [] if folder is None else map(folder, seeds):
        RunDir.check(path, overwrite=overwrite or resume)
    try:
        with ExitStack() as held:
            # Settings that do not suit the graph are refused here, before any folder is made.
            first = model.start(task, settings, groups[0])
            engine = _Engine(task, model, settings, seeds, checkpoint_every, score, on_progress, stop)
            if folder is not None:
                engine.open_folders(folder, overwrite, resume, first, held)
            for number, group in enumerate(groups):
                engine.train(first if number == 0 else model.start(task, settings, group))
            return [engine.runs[seed] for seed in seeds]
    except (MemoryError, RuntimeError) as error:
        if not says_out_of_memory(error):
            raise
        raise out_of_memory(f"training the {model.name} model", task.graph, settings, seeds) from error


def check_seeds(seeds: Sequence[int]) -> None:
    """Raises ValueError for no seeds, repeated or negative ones."""
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ValueError(f"seeds must be a non-empty list without repeats; got {list(seeds)}")
    if min(seeds) < 0:
        raise ValueError(f"seeds must be zero or more; got {min(seeds)}")


def describe_run(task: Task, model: Model, settings: Any, seed: int, seeds: Sequence[int] = ()) -> dict[str, Any]:
    """config.json of a run: everything needed to run it again, and a checksum of the graph, which may be a file.
    ``seeds``: those it is run with, named where they share a training that changes their last bits."""
    adjacency = task.graph.adjacency
    digest = hashlib.sha256()
    for part in (adjacency.indptr.astype("<i8"), adjacency.indices.astype("<i8"), adjacency.data.astype("<f8")):
        digest.update(part.tobytes())
    group = next((one for one in model.groups(task, settings, seeds or [seed]) if seed in one), (seed,))
    shared = {} if model.exact_together or len(group) == 1 else {"trained_with_seeds": list(group)}
    return {
        **task.describe(),
        "graph_sha256": digest.hexdigest(),
        "model": model.name,
        "seed": seed,
        **shared,
        "settings": dataclasses.asdict(settings),
    }


class _Engine:
    """The runs of one model: each seed's recorder and folder, and what is finished."""

    def __init__(
        self,
        task: Task,
        model: Model,
        settings: Any,
        seeds: Sequence[int],
        checkpoint_every: float | None,
        score: Callable[[Run], Mapping[str, Any]] | None,
        on_progress: Callable[[float], None] | None,
        stop: StopRequest | None,
    ) -> None:
        self.task, self.model, self.settings = task, model, settings
        self.steps = log_spaced_steps(settings.steps)
        self.recorders = {seed: Recorder(task.spaces, self.steps) for seed in seeds}
        self.files: dict[int, RunFiles] = {}
        self.runs: dict[int, Run] = {}
        self.every, self.score, self.on_progress, self.stop = checkpoint_every, score, on_progress, stop

    def open_folders(
        self, folder: Callable[[int], Path], overwrite: bool, resume: bool, first: Training, held: ExitStack
    ) -> None:
        """Lock and make, or take up, every seed's folder; nothing is written unless all can be."""
        task, model, settings, seeds = self.task, self.model, self.settings, list(self.recorders)
        check_disk(folder(seeds[0]), first.state(), len(seeds) // len(first.seeds))
        for seed in seeds:
            held.enter_context(locked(folder(seed)))
        configs = {seed: describe_run(task, model, settings, seed, seeds) for seed in seeds}
        begun = {seed: resume and take_up(RunDir(folder(seed)), configs[seed]) for seed in seeds}
        for seed in seeds:
            run = RunDir(folder(seed))
            if not begun[seed]:
                run = RunDir.create(folder(seed), configs[seed], overwrite=overwrite or resume)
            run.clean()
            per_step = model.time_per_step(settings)
            self.files[seed] = RunFiles(run, configs[seed], self.recorders[seed], per_step)
            held.callback(self.files[seed].close)

    def train(self, training: Training) -> None:
        """Train the seeds of ``training`` from where their folders are to the last step, and write their results."""
        files = {seed: self.files[seed] for seed in training.seeds if seed in self.files}
        self._go_back(training, files)
        with training.threads():
            try:
                self._advance(training, files)
            except Diverged as error:
                raise Diverged(_where(error.message, training, files), error.hint, error.step) from error
        for seed, final in zip(training.seeds, training.finals(), strict=True):
            run = Run(self.model, self.settings, seed, self.recorders[seed].finish(), final)
            if seed in files:
                files[seed].finish(final, self._modes(run))
            if self.score is not None:
                scores = from_json(to_json(self.score(run)))
                run = dataclasses.replace(run, scores=scores)
                if seed in files:
                    files[seed].write_scores(scores)
            self.runs[seed] = run

    def _go_back(self, training: Training, files: Mapping[int, RunFiles]) -> None:
        """Put ``training`` and its recorders at the newest step that every seed's folder has a checkpoint of."""
        if not files:
            return
        common = set.intersection(*(set(one.steps()) for one in files.values()))
        if common:
            step = max(common)
            training.restore(step, [files[seed].load(step) for seed in training.seeds])
        else:
            for one in files.values():
                one.begin_again()

    def _advance(self, training: Training, files: Mapping[int, RunFiles]) -> None:
        recorder = self.recorders[training.seeds[0]]  # all of them stand at the same step
        saved, wait, fresh = time.monotonic(), self._wait(0.0), training.step
        while True:
            if recorder.next_step == training.step:
                for shot in training.snapshots():
                    lines = None if shot.logits is None else line_scores(self.task, shot.embedding, shot.logits)
                    self.recorders[shot.seed].record(shot.embedding, shot.loss, lines)
                    if shot.seed in files:
                        files[shot.seed].log(shot, {} if lines is None else lines._asdict())
                self._progress()
            last = recorder.next_step is None
            stopped = self.stop is not None and self.stop.asked and not last
            if files and training.step > fresh and (last or stopped or time.monotonic() - saved >= wait):
                began = time.monotonic()
                for seed, state in zip(training.seeds, training.state(), strict=True):
                    files[seed].save(training.step, state)
                saved, fresh = time.monotonic(), training.step
                wait = self._wait(saved - began)
            if last:
                return
            if stopped:
                raise Interrupted(_stopped(training, files))
            assert recorder.next_step is not None
            training.advance(min(training.chunk, recorder.next_step - training.step))

    def _wait(self, writing: float) -> float:
        if self.every is not None:
            return self.every
        return max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * writing)

    def _progress(self) -> None:
        if self.on_progress is not None:
            done = sum(recorder.count for recorder in self.recorders.values())
            self.on_progress(done / (len(self.steps) * len(self.recorders)))

    def _modes(self, run: Run) -> dict[str, NDArray[Any]]:
        per_step = self.model.time_per_step(self.settings)
        times = {} if per_step is None else {"times": per_step * run.modes.steps}
        modes = run.modes
        lines = {"edge_recall": modes.edge_recall, "geometric_level": modes.geometric_level}
        return {
            **{name: values for name, values in lines.items() if values is not None},
            **self.recorders[run.seed].snapshots(),
            **graph_arrays(self.task.graph),
            "steps": run.modes.steps,
            "energy": run.modes.energy,
            "centred_energy": run.modes.centred_energy,
            "loss_per_node": run.modes.loss,
            "eigenvalues": self.task.spaces.eigenvalues,
            "multiplicities": np.asarray(self.task.spaces.multiplicities),
            **times,
        }


def check_interval(seconds: float | None) -> None:
    """Raises ValueError for an interval between checkpoints that is none."""
    if seconds is not None and not seconds >= 0:
        raise ValueError(f"checkpoint_every must be a number of seconds >= 0; got {seconds}")


def _where(message: str, training: Training, files: Mapping[int, RunFiles]) -> str:
    """The message of a divergence with the seeds and the last good checkpoint."""
    seeds = f"seed {training.seeds[0]}" if len(training.seeds) == 1 else f"seeds {', '.join(map(str, training.seeds))}"
    found = [(one.steps(), one.folder.path) for one in files.values()]
    if not found or not found[0][0]:
        return f"{message} ({seeds})"
    return f"{message} ({seeds}; the last good checkpoint is of step {found[0][0][0]}, in {found[0][1]})"


def _stopped(training: Training, files: Mapping[int, RunFiles]) -> str:
    if not files:
        return f"interrupted at step {training.step}; nothing was kept"
    (folder, *_) = [one.folder.path for one in files.values()]
    return f"interrupted at step {training.step}, which is saved in {folder}: go on with --resume"
