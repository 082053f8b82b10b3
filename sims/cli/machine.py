"""What this machine can run, and what is missing: looked up, never guessed, and tried where two seconds are enough."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from ..extras import Lacking, explained, install_line
from ..runs.environment import describe_environment

OK, MISSING, BROKEN = "ok", "missing", "broken"
GIB = 1 << 30
PEERS = ("liger-kernel", "cut-cross-entropy", "quack-kernels")  # what `fiedler profile` times beside ours
# What an extra of pyproject.toml is for.
EXTRAS = {
    "kernels": "fused cross-entropy for PyTorch",
    "sims": "training, comparison, pages, figures",
    "dask": "sweeps on a Dask cluster",
    "ray": "sweeps on a Ray cluster",
    "distributed": "training sharded over processes",
    "umap": "fiedler paths --projection umap",
    "scikit-learn": "estimators for scikit-learn",
    "torch-geometric": "graphs and embeddings as Data",
    "tensorboard": "logs for TensorBoard",
    "wandb": "logs for Weights & Biases",
    "docs": "the documentation's site",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
CERTIFIED_LOSS = (
    1e-9  # of the optimum against the closed form, per node: a hundredfold of what its certificate promises
)
SAME_LOSS = 1e-5  # relative, of float32 sums over 512 rows in two orders


@dataclass(frozen=True)
class Check:
    """One line: ``status`` OK, MISSING (optional) or BROKEN (required), what was found, and what to do about it."""

    section: str
    name: str
    status: str
    found: str
    remedy: str = ""


def examine(deep: bool = False, folder: Path | None = None) -> list[Check]:
    """Every check, in order. ``deep``: also compile a Triton kernel for an H100, which takes up to a minute and no GPU.
    ``folder``: where runs would be written (default: runs/ here). Never raises for what it finds."""
    checks = [*_machine(), *_packages(), *_accelerators(deep), *_paths(), *_extras()]
    return [*checks, _writable(folder or Path("runs")), *_trials()]


def healthy(checks: list[Check]) -> bool:
    """Whether everything that is required works."""
    return all(check.status != BROKEN for check in checks)


def describe_checks(checks: list[Check]) -> dict[str, Any]:
    """The checks as ``fiedler doctor --json`` prints them."""
    return {"healthy": healthy(checks), "checks": [vars(check) for check in checks]}


def _machine() -> list[Check]:
    about = describe_environment()
    threads = os.environ.get("OMP_NUM_THREADS")
    disk = shutil.disk_usage(".")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else about["cpu_count"]
    return [
        Check("machine", "fiedler", OK, str(about["versions"]["fiedler"])),
        Check("machine", "Python", OK, f"{about['python']} ({sys.executable})"),
        Check("machine", "system", OK, str(about["platform"])),
        Check("machine", "processor", OK, f"{about['processor']}, {usable} of {about['cpu_count']} cores usable"),
        Check("machine", "OMP_NUM_THREADS", OK, "not set: each library decides" if threads is None else threads),
        Check("machine", "memory", OK, _memory()),
        Check("machine", "disk here", OK, f"{disk.free / GIB:.0f} GiB free of {disk.total / GIB:.0f}"),
    ]


def _memory() -> str:
    try:
        found = {
            line.partition(":")[0]: int(line.split()[1]) * 1024
            for line in Path("/proc/meminfo").read_text().splitlines()
        }
        return f"{found['MemAvailable'] / GIB:.1f} GiB free of {found['MemTotal'] / GIB:.1f}"
    except (OSError, KeyError, ValueError, IndexError):
        return "unknown on this system"


def _packages() -> list[Check]:
    return [_package(one) for one in _requirements() if one.marker is None or one.marker.evaluate({"extra": ""})]


def _requirements() -> list[Requirement]:
    return [Requirement(text) for text in metadata.requires("fiedler") or ()]


def _package(wanted: Requirement) -> Check:
    asked = f"{wanted.name}{wanted.specifier}"
    remedy = f'pip install "{asked}"'
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Check("packages", wanted.name, BROKEN, f"not installed, {wanted.specifier} is needed", remedy)
    if not wanted.specifier.contains(version, prereleases=True):
        return Check("packages", wanted.name, BROKEN, f"{version}, {wanted.specifier} is needed", remedy)
    return Check("packages", wanted.name, OK, f"{version} ({wanted.specifier})")


def _accelerators(deep: bool) -> list[Check]:
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return [Check("accelerators", "torch", MISSING, "not installed: theory only", install_line("sims"))]
    except Exception as error:  # a broken wheel raises whatever it likes
        return [Check("accelerators", "torch", BROKEN, _short(error), "pip install --force-reinstall torch")]
    hip = getattr(torch.version, "hip", None)
    build = f"ROCm {hip}" if hip else f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    checks = [Check("accelerators", "torch build", OK, f"{torch.__version__}, {build}")]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        card = torch.cuda.get_device_properties(index)
        text = f"{card.name}, {card.major}.{card.minor}, {card.total_memory / GIB:.0f} GiB, {_driver()}"
        checks.append(Check("accelerators", f"GPU {index}", OK, text))
    if not count:
        checks.append(Check("accelerators", "GPU", MISSING, "none that torch can use: everything runs on the CPU"))
    if util.find_spec("triton") is None:
        checks.append(Check("accelerators", "Triton", MISSING, "not installed: no GPU kernels", "pip install triton"))
        return checks
    checks.append(_guarded("accelerators", "Triton", _triton))
    if deep:
        checks.append(_guarded("accelerators", "Triton compiles", _compiles))
    return checks


def _driver() -> str:
    import subprocess

    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        return f"driver {done.stdout.split()[0]}"
    except (OSError, subprocess.SubprocessError, IndexError):
        return "driver unknown"


def _triton() -> str:
    import triton

    return f"{triton.__version__} imports; --deep compiles a kernel for sm_90"


def _compiles() -> str:
    from fiedler.kernels.compile_report import compile_report
    from fiedler.kernels.profiling.compile_cases import compile_cases

    name = compile_cases(90, "extreme")[0].name
    began = time.perf_counter()
    (report,) = compile_report(architectures=[90], names=[name])
    if report.problems:
        raise RuntimeError("; ".join(report.problems))
    return f"{name} for sm_90, {report.registers} registers, {time.perf_counter() - began:.1f} s"


def _paths() -> list[Check]:
    return [
        _guarded("kernel paths", "linear", _linear_path),
        _guarded("kernel paths", "graph", lambda: _graph_path(tied=False)),
        _guarded("kernel paths", "tied-graph", lambda: _graph_path(tied=True)),
    ]


def _place() -> Any:
    import torch

    return (torch.device("cuda"), torch.bfloat16) if torch.cuda.is_available() else (torch.device("cpu"), torch.float32)


def _linear_path() -> str:
    import torch

    from fiedler.kernels import linear_cross_entropy_plan

    device, dtype = _place()
    x, w = (torch.empty(rows, 256, device=device, dtype=dtype) for rows in (1024, 32_000))
    plan = linear_cross_entropy_plan(x, w)
    return f"{plan.path}: {plan.reason}"


def _graph_path(*, tied: bool) -> str:
    import torch

    from fiedler.kernels.graph.cross_entropy import resolve
    from fiedler.kernels.graph.tied_cross_entropy import tied_path

    device, dtype = _place()
    x = torch.empty(4000, 128, device=device, dtype=dtype)
    path = tied_path("auto", x) if tied else resolve("auto", x)
    why = "Triton kernels run on this card" if path == "flash" else "no GPU: tiles in PyTorch, never all the logits"
    return f"{path} (4,000 nodes): {why}"


def _extras() -> list[Check]:
    checks = []
    for extra, purpose in EXTRAS.items():
        needed = _needed(extra)
        absent = [one.name for one in needed if _package(one).status != OK]
        if not needed or absent:
            checks.append(Check("optional", extra, MISSING, purpose, install_line(extra)))
        else:
            versions = ", ".join(f"{one.name} {metadata.version(one.name)}" for one in needed[:1])
            checks.append(Check("optional", extra, OK, f"{purpose} ({versions}{', ...' if len(needed) > 1 else ''})"))
    for name in PEERS:
        try:
            checks.append(Check("optional", name, OK, f"peer of fiedler profile ({metadata.version(name)})"))
        except metadata.PackageNotFoundError:
            checks.append(Check("optional", name, MISSING, "peer of fiedler profile (CUDA)", f"pip install {name}"))
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        checks.append(Check("optional", "chromium", MISSING, "tests of the report's page", "apt install chromium"))
    else:
        checks.append(Check("optional", "chromium", OK, f"tests of the report's page ({browser})"))
    return checks


def _needed(extra: str) -> list[Requirement]:
    """What ``extra`` adds to the base install, the extras that it names among it."""
    found = []
    for one in _requirements():
        if one.marker is not None and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""}):
            found += [needed for name in one.extras for needed in _needed(name)] if one.name == "fiedler" else [one]
    return found


def _writable(folder: Path) -> Check:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check("trials", "runs folder", BROKEN, f"{folder}: {error.strerror}", "cd to a folder of your own")
    return Check("trials", "runs folder", OK, f"{folder} can be written")


def _trials() -> list[Check]:
    trials = (("optimum", _optimum_trial), ("training", _training_trial), ("cross-entropy", _cross_entropy_trial))
    return [_guarded("trials", name, trial) for name, trial in trials]


def _optimum_trial() -> str:
    """The certified optimum of the 15-cycle against its closed form, two solvers that share no code."""
    import numpy as np

    from fiedler.theory import cycle_optimum, one_hop_target, parse, tied_optimum

    graph = parse("cycle:15")
    found, exact = tied_optimum(one_hop_target(graph)), cycle_optimum(15)
    assert exact is not None, "cycles have a closed form without decay"
    off = abs(found.loss_per_node - exact.loss_per_node)
    if not (np.isfinite(off) and off <= CERTIFIED_LOSS):
        raise RuntimeError(f"cycle:15 is off its closed form by {off:.1e}, more than {CERTIFIED_LOSS:.0e}")
    return f"cycle:15 within {off:.0e} of its closed form"


def _training_trial() -> str:
    from fiedler.theory import parse

    from ..models.registry import get_model
    from ..runs.engine import run_seeds
    from ..tasks.task import Task

    model = get_model("node2vec")
    (run,) = run_seeds(Task(parse("cycle:15")), model, model.make_settings(steps=100), [0])
    first, last = float(run.modes.loss[0]), float(run.modes.loss[-1])
    if not last < first:
        raise RuntimeError(f"100 steps of Node2Vec took the loss from {first:.4f} to {last:.4f}, not down")
    return f"100 steps of Node2Vec: loss {first:.3f} to {last:.3f}"


def _cross_entropy_trial() -> str:
    import torch

    from fiedler.kernels import linear_cross_entropy

    generator = torch.Generator().manual_seed(0)
    device, _ = _place()
    x, w = (torch.randn(rows, 64, generator=generator).to(device) for rows in (512, 1000))
    target = torch.randint(1000, (512,), generator=generator).to(device)
    loss: Any = linear_cross_entropy(x, w, target)
    ours = float(loss)
    plain = float(torch.nn.functional.cross_entropy(x @ w.T, target))
    if not abs(ours - plain) <= SAME_LOSS * abs(plain):
        raise RuntimeError(f"linear_cross_entropy gives {ours:.7g}, PyTorch {plain:.7g}, on {device.type}")
    return f"linear_cross_entropy as PyTorch's, {abs(ours / plain - 1):.0e} apart, on {device.type}"


def _guarded(section: str, name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(section, name, OK, look())
    except ImportError as error:
        found = explained(error, "this")
        if isinstance(found, Lacking):
            return Check(section, name, MISSING, f"needs {found.name}, which is not installed", install_line("sims"))
        return Check(section, name, BROKEN, _short(error), "see the message; reinstall fiedler if it names no cause")
    except Exception as error:  # whatever it is, it is the answer
        return Check(section, name, BROKEN, _short(error), "see the message; reinstall fiedler if it names no cause")


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
