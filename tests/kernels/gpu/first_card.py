"""The first fifteen minutes of the kernels on a card: are they right, are they fast, and which are neither.

    python tests/kernels/gpu/first_card.py --out FOLDER [--minutes 14] [--processes 12]
    python tests/kernels/gpu/first_card.py --out FOLDER --rehearse          no card: Triton's interpreter, tiny sizes

Every step is a process of its own with its own limit, so that a crash or a hang costs that step alone. What a step has
found is a line of FOLDER/first_card.jsonl as soon as it is known, and a table is printed at the end. A kernel that
crashes, hangs or computes something wrong in its smoke test is struck: later steps run without it. Exit status 1 if any
step failed. Beside every measured time stands the one that ``fiedler.kernels.profiling.roofline`` predicts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
ROOT = HERE.parents[3]
RESULT = "result: "
FAIL = "FIRST_CARD_FAIL"  # of rehearsals: "STEP=crash,STEP=hang,STEP=wrong"


@dataclass(frozen=True)
class Step:
    """A step's name, seconds allowed, and the smoke tests without which it makes no sense."""

    name: str
    limit: float
    needs: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What became of a step: done, failed (it said so), crashed, timeout, skipped."""

    step: str
    status: str
    seconds: float
    limit: float
    results: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""


def plan(rehearse: bool) -> tuple[list[Step], list[Step]]:
    """The smoke tests, which run side by side, and the steps after them, one after the other."""
    from card_steps import SMOKE, ladder_names

    slow = 6.0 if rehearse else 1.0  # the interpreter takes its time
    smoke = [Step(f"smoke {kernel}", 60 * slow) for kernel in SMOKE]
    after = [Step("suite", 180), *(Step(f"ladder {name}", 40 * slow, needs) for name, needs in ladder_names(rehearse))]
    after += [
        Step(f"tiles {nodes}", 40 * slow, ("tied", "graph")) for nodes in ((256,) if rehearse else (10**4, 10**5))
    ]
    after += [Step(f"use {name}", 60 * slow) for name in ("cuda graph", "second stream", "no waits", "compile")]
    return smoke, after


class Card:
    """Runs steps, strikes kernels, writes lines."""

    def __init__(self, out: Path, minutes: float, rehearse: bool, allowed: float | None) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.file, self.rehearse, self.allowed = out / "first_card.jsonl", rehearse, allowed
        self.end = time.monotonic() + 60 * minutes
        self.struck: list[str] = []
        self.outcomes: list[Outcome] = []
        self.lock = threading.Lock()
        self.file.write_text("")

    def run(self, step: Step) -> Outcome:
        """The step in a process of its own; what it said up to its end, whatever that was."""
        limit = step.limit if self.allowed is None else min(step.limit, self.allowed)
        left = self.end - time.monotonic()
        missing = [kernel for kernel in step.needs if kernel in self.struck]
        if missing or left < 5:
            reason = f"without {', '.join(missing)}, which failed" if missing else "no time is left"
            return self.keep(Outcome(step.name, "skipped", 0.0, limit, error=reason))
        return self.keep(_process(step, min(limit, left), self.struck, self.rehearse))

    def keep(self, outcome: Outcome) -> Outcome:
        """Write the outcome down and strike the kernel of a smoke test that failed."""
        with self.lock:
            self.outcomes.append(outcome)
            kind, _, kernel = outcome.step.partition(" ")
            if kind == "smoke" and outcome.status != "done":
                self.struck.append(kernel)
            with self.file.open("a") as file:
                file.write(json.dumps(vars(outcome)) + "\n")
            print(_line(outcome), flush=True)
        return outcome


def _process(step: Step, limit: float, struck: Sequence[str], rehearse: bool) -> Outcome:
    command = [sys.executable, str(HERE), "--step", step.name, "--struck", json.dumps(list(struck))]
    command += ["--rehearse"] if rehearse else []
    environment = {**os.environ, "PYTHONPATH": _paths(), "PYTHONFAULTHANDLER": "1"}
    if rehearse:
        environment |= {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    start, results = time.monotonic(), []
    # A session of its own, so that its children end with it; files, so that a full pipe holds nothing up.
    with (
        open(os.devnull) as nothing,
        subprocess.Popen(
            command, stdin=nothing, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            cwd=ROOT, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        said, errors = process.communicate()
        late = not timer.is_alive()
        timer.cancel()
    for line in said.splitlines():
        if line.startswith(RESULT):
            results.append(json.loads(line[len(RESULT) :]))
    seconds = round(time.monotonic() - start, 2)
    if late:
        return Outcome(step.name, "timeout", seconds, limit, results, f"killed after {limit:g} s")
    if process.returncode < 0:
        reason = f"{signal.Signals(-process.returncode).name}: {errors[-1500:]}"
        return Outcome(step.name, "crashed", seconds, limit, results, reason)
    status = "done" if process.returncode == 0 else "failed"
    return Outcome(step.name, status, seconds, limit, results, "" if status == "done" else errors[-1500:])


def _paths() -> str:
    support = [str(ROOT / "tests" / "support"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.pathsep.join(support)


def _line(outcome: Outcome) -> str:
    last = outcome.error.strip().splitlines()[-1][:90] if outcome.error.strip() else ""
    return f"{outcome.step:<44} {outcome.status:<8} {outcome.seconds:7.1f} s  {last}".rstrip()


def summary(outcomes: Sequence[Outcome]) -> str:
    """Measured beside predicted times, then what went wrong."""
    lines = [f"{'shape':<40} {'way':<22} {'ms':>10} {'predicted':>10} {'to floor':>9} {'error':>9}"]
    for outcome in outcomes:
        for row in outcome.results:
            if "ms" in row:
                lines.append(
                    f"{outcome.step:<40} {row['way']:<22} {_number(row['ms'])} {_number(row.get('predicted_ms'))} "
                    f"{_number(row.get('to_floor'), 9)} {_number(row.get('error'), 9)}"
                )
    wrong = [outcome for outcome in outcomes if outcome.status != "done"]
    lines += ["", f"{len(outcomes)} steps, {len(wrong)} not done" + (":" if wrong else "")]
    return "\n".join([*lines, *map(_line, wrong)])


def _number(value: float | None, width: int = 10) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.4g}"


def _injected(name: str) -> str | None:
    """What a rehearsal wants to go wrong in this step."""
    wanted = dict(entry.split("=") for entry in os.environ.get(FAIL, "").split(",") if entry)
    return wanted.get(name)


def run_step(name: str, struck: Sequence[str], rehearse: bool) -> int:
    """One step, in this process: a result a line; 1 if it found something wrong."""
    from card_steps import steps

    failure = _injected(name)
    if failure == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if failure == "hang":
        time.sleep(10**6)
    kind, _, what = name.partition(" ")
    wrong = 0
    found: Iterator[dict[str, Any]] = steps(kind, what, struck=struck, rehearse=rehearse, spoil=failure == "wrong")
    for result in found:
        print(RESULT + json.dumps(result), flush=True)
        wrong += not result.get("right", True)
    return 1 if wrong else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="first_card.py", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="folder for first_card.jsonl")
    parser.add_argument("--minutes", type=float, default=14.0, help="all steps together (default 14)")
    parser.add_argument("--processes", type=int, default=min(12, os.cpu_count() or 1), help="of the smoke tests")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, in Triton's interpreter, at tiny sizes")
    parser.add_argument("--steps", default=None, help="comma-separated beginnings of step names; all if not given")
    parser.add_argument("--limit", type=float, default=None, help="seconds for any step, at most")
    parser.add_argument("--step", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--struck", default="[]", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    if chosen.step is not None:
        return run_step(chosen.step, json.loads(chosen.struck), chosen.rehearse)
    if chosen.out is None:
        parser.error("--out FOLDER is needed")
    from card_steps import PATHS

    card = Card(chosen.out, chosen.minutes, chosen.rehearse, chosen.limit)
    card.run(Step("environment", 60))
    smoke, after = plan(chosen.rehearse)
    wanted = None if chosen.steps is None else tuple(chosen.steps.split(","))
    smoke, after = ([s for s in steps if wanted is None or s.name.startswith(wanted)] for steps in (smoke, after))
    with ThreadPoolExecutor(max(1, chosen.processes)) as pool:
        list(pool.map(card.run, smoke))
    for step in after:
        outcome = card.run(step)
        if step.name.startswith("ladder ") and outcome.status in ("crashed", "timeout"):
            for way in (path for path in PATHS if path not in card.struck):  # one of them did it: each by itself
                card.run(Step(f"{step.name} only {way}", step.limit))
    print(summary(card.outcomes))
    return 1 if any(outcome.status not in ("done", "skipped") for outcome in card.outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
