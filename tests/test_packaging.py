"""The top-level folders install as fiedler.theory, fiedler.kernels and fiedler.sims, and under no other name; what
``fiedler`` itself is, and that type checkers find it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from mypy.modulefinder import FindModuleCache, SearchPaths, get_search_dirs
from mypy.options import Options

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("theory", "kernels", "sims")
FILES = ("pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged, so that builds leave nothing in the checkout."""
    folder = tmp_path_factory.mktemp("project")
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / ".types", folder / ".types", symlinks=True, ignore=shutil.ignore_patterns("*.egg-info"))
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment that sees this one's libraries, but not its editable install of fiedler."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    # Python 3.11 puts an old setuptools into new environments, in the way of the one that pyproject.toml asks for.
    run(folder, "python", "-m", "pip", "uninstall", "-q", "-y", "setuptools")
    return folder


def run(environment: Path, *command: str, cwd: Path | None = None) -> str:
    program = [environment / "bin" / command[0], *command[1:]]
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it would win over an install
    done = subprocess.run(program, capture_output=True, text=True, cwd=cwd, env=known)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(environment: Path, *arguments: str) -> None:
    run(environment, "python", "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", *arguments)


def where(environment: Path, cwd: Path) -> dict[str, str]:
    code = (
        "import importlib, json; "
        f"found = {{name: importlib.import_module('fiedler.' + name).__file__ for name in {SOURCES}}}; "
        "import fiedler; print(json.dumps({**found, '': fiedler.__file__}))"
    )
    return json.loads(run(environment, "python", "-c", code, cwd=cwd))


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(project),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = out.glob("fiedler-*.whl")
    return path


def test_the_wheel_holds_every_module_under_fiedler_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"fiedler"}
    for folder in SOURCES:
        expected = {f"fiedler/{folder}/{file.name}" for file in (ROOT / folder).glob("*.py")}
        assert expected <= set(names)
        assert f"fiedler/{folder}/py.typed" in names
    assert {"fiedler/__init__.py", "fiedler/py.typed"} <= set(names)


def test_an_installed_wheel_runs_and_collides_with_nothing(wheel: Path, environment: Path, tmp_path: Path) -> None:
    install(environment, "--force-reinstall", str(wheel))
    assert all(str(environment) in file for file in where(environment, tmp_path).values())
    answer = json.loads(run(environment, "fiedler", "theory", "cycle:15", "--json", cwd=tmp_path))
    assert answer["optimum"]["rank"] == 2
    code = "import fiedler; print(fiedler.predict('cycle:15').answer['optimum']['rank'], fiedler.__version__)"
    assert run(environment, "python", "-c", code, cwd=tmp_path).split()[0] == "2"
    taken = "import importlib.util as u; print([n for n in ('theory', 'kernels', 'sims') if u.find_spec(n)])"
    assert run(environment, "python", "-c", taken, cwd=tmp_path).strip() == "[]"


def test_an_editable_install_runs_from_the_sources(
    project: Path, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(environment, "--force-reinstall", "-e", str(project))
    assert all(str(project) in file for file in where(environment, tmp_path).values())
    answer = json.loads(run(environment, "fiedler", "theory", "petersen", "--json", cwd=tmp_path))
    assert answer["n"] == 10
    # Type checkers find it through its .pth, without a flag, as typed packages: asked of mypy's own search.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    sys_path, site_packages = get_search_dirs(str(environment / "bin" / "python"))
    finder = FindModuleCache(SearchPaths((), (), (*site_packages, *sys_path), ()), fscache=None, options=Options())
    for module in ("fiedler", "fiedler.theory", "fiedler.theory.optimum.tied", "fiedler.sims.toplevel.prediction"):
        found = finder.find_module(module)
        assert isinstance(found, str), f"{module}: {found}"
        assert str(project) in found


def test_a_source_archive_makes_the_same_wheel(project: Path, wheel: Path, tmp_path: Path) -> None:
    """The links of .types/fiedler go into the archive as the files they show."""
    code = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("fiedler-*.tar.gz")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(archive)], check=True, capture_output=True)
    (again,) = tmp_path.glob("fiedler-*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
