"""The training engine: any model, any number of seeds, one run folder each, stopped and taken up again at will."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..disk.jsonio import from_json, to_json
from ..models.options import MOST_SEED
from ..models.protocol import Final, Training
from ..models.registry import Model
from ..tasks.task import Task
from .control import AFRESH, UNWATCHED, Restart, Watch
from .folder import RunDir
from .guards import check_disk, memory_hint
from .loop import run_course
from .opening import open_all
from .recorded import modes_arrays, record_snapshot
from .recorder import Modes, Recorder, log_spaced_steps
from .run_files import RECORDED, RunFiles
from .stopping import heeding

QUICK_NODES = 400  # whose spectrum takes a moment


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
    restart: Restart = AFRESH,
    score: Callable[[Run], Mapping[str, Any]] | None = None,
    watch: Watch = UNWATCHED,
) -> list[Run]:
    """Train every seed and return the runs in the order of ``seeds``.

    ``folder(seed)``: where to keep each run (nothing is kept when None); see ``runs.folder`` for the layout.
    ``restart``: what becomes of runs that are there, see ``Restart``; on a CPU, with the same versions and threads, the
    results of a run taken up again are those of one that was never stopped, bit for bit. ``score(run)``: what
    scores.json of every run holds, as JSON keeps it; called once a run. ``watch``: told of the fraction done, in a
    stage named as the model, and asked whether to stop.

    Raises ValueError for repeated seeds, a folder in use, other settings than a resumed run's or too small a disk,
    before anything is written; Diverged (a FloatingPointError) when training diverges and MemoryError when memory runs
    out, each with a hint; Interrupted, with a checkpoint written, when ``watch`` asks to stop. What is already written
    stays.

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
    groups = model.groups(task, settings, seeds)
    for path in [] if folder is None else map(folder, seeds):
        RunDir.check(path, overwrite=restart.takes_folder)
    with memory_hint(f"training the {model.name} model", settings, len(seeds), task.graph), ExitStack() as held:
        # Settings that do not suit the graph are refused here, before any folder is made.
        first = model.start(task, settings, groups[0])
        engine = _Engine(task, model, settings, seeds, restart, score, watch)
        if folder is not None:
            engine.open_folders(folder, first, held)
        for number, group in enumerate(groups):
            engine.train(first if number == 0 else model.start(task, settings, group))
        return [engine.runs[seed] for seed in seeds]


def check_seeds(seeds: Sequence[int]) -> None:
    """Raises ValueError for no seeds, repeated, negative or too large ones."""
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ValueError(f"seeds must be a non-empty list without repeats; got {list(seeds)}")
    if min(seeds) < 0:
        raise ValueError(f"seeds must be zero or more; got {min(seeds)}")
    if max(seeds) > MOST_SEED:
        raise ValueError(f"seeds must be at most {MOST_SEED}; got {max(seeds)}")


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
        restart: Restart,
        score: Callable[[Run], Mapping[str, Any]] | None,
        watch: Watch,
    ) -> None:
        self._task, self._model, self._settings = task, model, settings
        self._restart, self._score, self._watch = restart, score, watch
        self._steps = log_spaced_steps(settings.steps)
        # On a large graph the one long computation before the first step.
        spaces = task.spaces if task.graph.n <= QUICK_NODES else heeding(watch.stop, lambda: task.spaces)
        self._recorders = {seed: Recorder(spaces, self._steps) for seed in seeds}
        self._files: dict[int, RunFiles] = {}
        self._time_per_step = model.time_per_step(settings)
        self.runs: dict[int, Run] = {}

    def open_folders(self, folder: Callable[[int], Path], first: Training, held: ExitStack) -> None:
        """Lock and make, or take up, every seed's folder; nothing is written unless all can be."""
        seeds = list(self._recorders)
        check_disk(folder(seeds[0]), first.state(), len(seeds) // len(first.seeds))
        configs = {seed: describe_run(self._task, self._model, self._settings, seed, seeds) for seed in seeds}
        open_all({folder(seed): config for seed, config in configs.items()}, self._restart, held)
        for seed, config in configs.items():
            self._files[seed] = RunFiles(RunDir(folder(seed)), config)
            held.callback(self._files[seed].close)

    def train(self, training: Training) -> None:
        """Train the seeds of ``training`` from where their folders are to the last step, and write their results."""
        files = {seed: self._files[seed] for seed in training.seeds if seed in self._files}
        course = _SeedsCourse(
            self._task, training, self._recorders, files, self._time_per_step, self._model, self._share_done
        )
        course.go_back()
        with training.threads():
            run_course(course, self._restart.checkpoint_every, self._watch)
        for seed, final in zip(training.seeds, training.finals(), strict=True):
            run = Run(self._model, self._settings, seed, self._recorders[seed].finish(), final)
            if seed in files:
                finish_run(files[seed], final, modes_arrays(self._task, run.modes, self._time_per_step))
            if self._score is not None:
                run = dataclasses.replace(run, scores=from_json(to_json(self._score(run))))
                if seed in files:
                    write_scores(files[seed].folder, run.scores or {})
            self.runs[seed] = run

    def _share_done(self) -> float:
        return sum(recorder.count for recorder in self._recorders.values()) / (len(self._steps) * len(self._recorders))


class _SeedsCourse:
    """A training of some seeds at once, each with its recorder and, where runs are kept, its folder."""

    def __init__(
        self,
        task: Task,
        training: Training,
        recorders: Mapping[int, Recorder],
        files: Mapping[int, RunFiles],
        time_per_step: float | None,
        model: Model,
        share: Callable[[], float],
    ) -> None:
        self._task, self._training, self._recorders, self._files = task, training, recorders, files
        self._time_per_step, self._model, self._share = time_per_step, model, share

    @property
    def step(self) -> int:
        return self._training.step

    @property
    def next_record(self) -> int | None:
        return self._recorders[self._training.seeds[0]].next_step  # all of them stand at the same step

    @property
    def folder(self) -> Path | None:
        return next((files.folder.path for files in self._files.values()), None)

    @property
    def name(self) -> str:
        seeds = self._training.seeds
        return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"

    def go_back(self) -> None:
        """Put the training and its recorders at the newest step that every seed's folder has a checkpoint of."""
        if not self._files:
            return
        fresh = zip(self._training.seeds, self._training.state(), strict=True)
        last = int(self._recorders[self._training.seeds[0]].steps[-1])
        common = set.intersection(*(set(self._files[seed].steps(last, state, RECORDED)) for seed, state in fresh))
        if not common:
            for files in self._files.values():
                files.begin_again()
            return
        saved = {seed: self._files[seed].load(max(common)) for seed in self._training.seeds}
        for seed, of_seed in saved.items():
            self._recorders[seed].restore(of_seed.record)
        self._training.restore(max(common), [of_seed.state for of_seed in saved.values()])

    def advance(self, until: int) -> None:
        self._training.advance(min(self._training.chunk, until - self._training.step))

    def record(self, watch: Watch) -> None:
        losses = []
        for shot in self._training.snapshots():
            line = record_snapshot(self._task, self._recorders[shot.seed], shot, self._time_per_step)
            if shot.seed in self._files:
                self._files[shot.seed].log(line)
            watch.step({"model": self._model.name, "seed": shot.seed, **line})
            losses.append(shot.loss)
        watch.report(self._model.title, self._share())
        watch.note(self._model.title, f"loss {sum(losses) / len(losses):.5g}, step {self.step:,}")

    def save(self) -> None:
        for seed, state in zip(self._training.seeds, self._training.state(), strict=True):
            self._files[seed].save(self.step, state, self._recorders[seed].state())


def finish_run(files: RunFiles, final: Final, modes: Mapping[str, NDArray[Any]]) -> None:
    """Write the results of a run on a graph and their checksums, unless it was finished before: ``modes`` into
    modes.npz, the final matrices beside it."""
    if files.frozen:
        return
    files.close()
    files.folder.write_modes(**modes)
    matrices = {"embedding": final.embedding, "context": final.context, "inner": final.inner}
    files.folder.write_embeddings({name: matrix for name, matrix in matrices.items() if matrix is not None})
    files.folder.seal()


def write_scores(folder: RunDir, scores: Mapping[str, Any]) -> None:
    """Write scores.json, unless it holds these with its checksum."""
    if not folder.is_final("scores.json") or folder.read_scores() != scores:
        folder.write_scores(scores)
        folder.seal()
