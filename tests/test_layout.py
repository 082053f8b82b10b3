"""The house: arrows between rooms run down one written order, there are no circles, and nothing outgrows its size."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Each room may import from those before it, and from itself. A folder inside a room is part of it.
ORDER = {
    "theory": (
        "lazy", "checks", "softmax", "checked_loss", "graphs", "recall", "targets", "spectra", "optimum",
        "closed_forms", "flow", "width", "symmetry", "alignment", "ladder", "rivals", "graph_storage", "routes",
    ),
    "kernels": (
        "plain_arithmetic", "base_two", "row_exponentials", "once", "checks", "gpu", "upstream", "linear", "adoption",
        "graph", "sharded", "profiling", "compile_report",
    ),
    "sims": (
        "extras", "lazy", "suggest", "foreign", "disk", "processes", "tasks", "scores", "models", "runs", "predict",
        "draw", "interop", "compare", "phase", "paths", "recall", "headroom", "sweep", "page", "figures", "reproduce",
        "toplevel", "cli", "sharded", "parallel_transformer",
    ),
}  # fmt: skip
# What a package may import of the others.
PACKAGES = {"theory": (), "kernels": (), "sims": ("theory", "kernels")}

MOST_FILES = 25  # in a folder
MOST_FILES_OF_SIMS = 5  # in sims/ itself
MOST_LINES = 400  # of a file
MOST_BODY = 60  # lines of a function without its signature and docstring

SOURCES = sorted(path.relative_to(ROOT) for package in ORDER for path in (ROOT / package).rglob("*.py"))
PYTHON = [*SOURCES, *sorted(path.relative_to(ROOT) for folder in ("tests", "benchmarks") for path in
          (ROOT / folder).rglob("*.py"))]  # fmt: skip


def imported(path: Path) -> Iterator[Path]:
    """The files of ours that the source file imports, inside functions and for type checking too."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            base = path.parts[: len(path.parts) - node.level] if node.level else ()
            names = (node.module or "").split(".") if node.module else []
            if not node.level:
                if names[:1] != ["fiedler"]:
                    continue
                names = names[1:]
            for alias in node.names:
                yield from _file((*base, *names, alias.name)) or _file((*base, *names))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("fiedler."):
                    yield from _file(tuple(alias.name.split(".")[1:]))


def _file(parts: tuple[str, ...]) -> list[Path]:
    module = Path(*parts)
    found = [module.with_name(f"{module.name}.py"), module / "__init__.py"]
    return [path for path in found if (ROOT / path).is_file()]


def room(path: Path) -> str:
    return path.parts[1].removesuffix(".py")


ARROWS = {path: sorted(set(imported(path)) - {path}) for path in SOURCES if path.name != "__init__.py"}


@pytest.mark.parametrize("package", ORDER)
def test_every_room_has_its_place_in_the_order(package: str) -> None:
    assert sorted({room(path) for path in SOURCES if path.parts[0] == package} - {"__init__"}) == sorted(ORDER[package])


@pytest.mark.parametrize("package", ORDER)
def test_no_arrow_runs_up(package: str) -> None:
    place = {name: number for number, name in enumerate(ORDER[package])}
    wrong = []
    for path, targets in ARROWS.items():
        for target in targets if path.parts[0] == package else ():
            if target.parts[0] != package:
                allowed = target.parts[0] in PACKAGES[package]
            else:
                allowed = len(target.parts) > 1 and target.parts[1] != "__init__.py" and (
                    place[room(target)] <= place[room(path)]
                )  # fmt: skip
            if not allowed:
                wrong.append(f"{path} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle() -> None:
    left = {path: set(targets) & ARROWS.keys() for path, targets in ARROWS.items()}
    while free := [path for path, targets in left.items() if not targets]:
        for path in free:
            del left[path]
        for targets in left.values():
            targets.difference_update(free)
    assert not left, "\n".join(f"{path} -> {', '.join(map(str, targets))}" for path, targets in left.items())


def test_a_room_is_imported_by_its_files_not_by_its_map() -> None:
    """A map imports its files, so a file that imported a map would close a circle sooner or later."""
    maps = [f"{path} imports {one}" for path, targets in ARROWS.items() for one in targets if one.name == "__init__.py"
            and one.parts[0] == path.parts[0]]  # fmt: skip
    assert not maps, "\n".join(maps)


def test_folders_and_files_keep_their_size() -> None:
    folders: dict[Path, int] = {}
    for path in PYTHON:
        folders[path.parent] = folders.get(path.parent, 0) + (path.name not in ("__init__.py", "__main__.py"))
    large = [f"{folder}: {count} files" for folder, count in folders.items() if count > MOST_FILES]
    assert not [one for one in large if not one.startswith("tests/support")], large
    assert folders[Path("sims")] <= MOST_FILES_OF_SIMS
    long = [(len((ROOT / path).read_text().splitlines()), str(path)) for path in PYTHON]
    assert not [one for one in long if one[0] > MOST_LINES]


def test_functions_keep_their_size() -> None:
    """But for the commands, whose signatures and bodies are tables of options, and kernels in Triton's language."""
    long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                triton = any("jit" in ast.unparse(one) for one in node.decorator_list)
                if lines > MOST_BODY and not triton:
                    long.append(f"{path}:{node.lineno} {node.name}: {lines}")
    assert not long, "\n".join(long)


def test_no_public_name_is_that_of_a_module_beside_it() -> None:
    """``import fiedler.theory.X as m`` would give the one or the other, by the order of imports."""
    shadows = []
    for path in SOURCES:
        if path.name == "__init__.py":
            beside = {one.stem if one.is_file() else one.name for one in (ROOT / path).parent.iterdir()}
            names = {alias.asname or alias.name for node in ast.walk(ast.parse((ROOT / path).read_text()))
                     if isinstance(node, ast.ImportFrom) for alias in node.names}  # fmt: skip
            shadows += [f"{path}: {name}" for name in sorted(names & beside)]
    assert not shadows, "\n".join(shadows)
