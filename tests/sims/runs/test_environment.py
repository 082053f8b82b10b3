"""The description of the environment: true where it can be known, None where not, never an error."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.runs import environment
from fiedler.sims.runs.environment import describe_environment

KEYS = ["versions", "python", "platform", "machine", "processor", "cpu_count", "torch"]
KEYS += ["git_commit", "git_dirty", "command", "time"]


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    """What is looked up once a process is looked up anew, before and after every test."""
    for once in (environment._versions, environment._own_git_state):
        once.cache_clear()
    yield
    for once in (environment._versions, environment._own_git_state):
        once.cache_clear()


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True, env=env)
    return done.stdout.strip()


def test_what_it_says() -> None:
    found = describe_environment()
    assert list(found) == KEYS
    assert json.loads(to_json(found)) == found
    assert found["python"] == platform.python_version()
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"]["fiedler"] == metadata.version("fiedler")
    assert found["cpu_count"] == os.cpu_count()
    made = datetime.fromisoformat(found["time"])
    assert made.tzinfo is not None
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=1)


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fiedler", "compare", "two words"])
    assert describe_environment()["command"] == "fiedler compare 'two words'"
    monkeypatch.setattr(sys, "argv", ["/home/somebody/.venv/bin/fiedler", "theory", "karate"])
    assert describe_environment()["command"] == "fiedler theory karate"
    monkeypatch.setattr(sys, "argv", ["/usr/lib/python3/site-packages/pytest/__main__.py", "-q"])
    assert describe_environment()["command"] == "python -m pytest -q"
    assert describe_environment("fiedler train")["command"] == "fiedler train"
    assert describe_environment(["a", "b c"])["command"] == "a 'b c'"


def test_an_absent_package_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package-at-all"))
    versions = describe_environment()["versions"]
    assert versions == {"numpy": np.__version__, "no-such-package-at-all": None}


def test_heavy_packages_are_not_imported_for_their_versions() -> None:
    code = (
        "import sys, json\n"
        "from fiedler.sims.runs.environment import describe_environment\n"
        "found = describe_environment()\n"
        "heavy = [name for name in ('torch', 'transformers', 'triton', 'scipy', 'networkx') if name in sys.modules]\n"
        "print(json.dumps([heavy, found['torch'], found['versions']['torch']]))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert json.loads(out) == [[], None, metadata.version("torch")]


def test_torch_is_described_where_it_is_imported() -> None:
    import torch

    found = describe_environment()["torch"]
    assert found["threads"] == torch.get_num_threads()
    assert len(found["devices"]) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)


def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path: Path) -> None:
    assert environment._git_state(tmp_path) == (None, None)
    git(tmp_path, "init", "-q")
    assert environment._git_state(tmp_path) == (None, None)  # no commit yet
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert environment._git_state(tmp_path) == (commit, False)
    (tmp_path / "untracked").write_text("")
    assert environment._git_state(tmp_path) == (commit, False)
    (tmp_path / "pkg" / "a.py").write_text("2\n")
    assert environment._git_state(tmp_path) == (commit, True)
    # A package installed somewhere inside this checkout is not of this checkout.
    assert environment._git_state(tmp_path / "pkg") == (None, None)


def test_another_checkout_named_by_the_environment_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    before = describe_environment()["git_commit"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(Path(environment.__file__).parents[2]))
    assert describe_environment()["git_commit"] == before


def test_it_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(sys, "argv", None)
    monkeypatch.setitem(sys.modules, "torch", object())
    with monkeypatch.context() as patch:
        for module, name in [
            (metadata, "version"),
            (platform, "platform"),
            (platform, "machine"),
            (platform, "python_version"),
            (platform, "processor"),
            (os, "cpu_count"),
            (subprocess, "run"),
            (Path, "read_text"),
            (environment, "datetime"),
        ]:
            patch.setattr(module, name, fail)
        found = describe_environment()
    assert list(found) == KEYS
    assert set(found.pop("versions").values()) == {None}
    assert set(found.values()) == {None}


def test_git_that_is_absent_or_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (FileNotFoundError("git"), subprocess.TimeoutExpired("git", 2.0)):

        def fail(*args: object, error: Exception = error, **kwargs: object) -> None:
            raise error

        monkeypatch.setattr(subprocess, "run", fail)
        found = describe_environment()
        assert (found["git_commit"], found["git_dirty"]) == (None, None)


def test_the_commit_of_this_checkout() -> None:
    """Where the tests run from the sources, as this file's own place says."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        pytest.skip("no checkout")
    assert describe_environment()["git_commit"] == git(root, "rev-parse", "HEAD")
