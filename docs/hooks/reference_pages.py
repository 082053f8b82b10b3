"""The reference pages, made when the site is built: public names by room, and every command with its options.

A room's ``__init__`` is its page: the docstring its text, the names it imports its entries. A room of theory has a page
of its own, those of kernels and of sims share one. On every other page, `name` in code font links to the entry of that
public name.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$|<!--.*?-->|^#.*?$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(?<![\[`])`([A-Za-z_]\w*)(?:\(\))?`(?![`\]])")


def rooms(root: Path, package: str) -> dict[str, tuple[str, dict[str, tuple[str, ...]]]]:
    """The rooms of a package that have public names: name -> its text, and its files with their names. A file beside
    the rooms that the package's own map imports from is a room of one file."""
    found = {}
    for init in sorted((root / package).rglob("__init__.py")):
        room = ".".join(init.parent.relative_to(root / package).parts)
        tree = ast.parse(init.read_text())
        files = _imported(tree)
        if room and files:
            found[room] = (str(ast.get_docstring(tree)), {f"{room}.{file}": names for file, names in files.items()})
    for file, names in _imported(ast.parse((root / package / "__init__.py").read_text())).items():
        if (root / package / f"{file}.py").is_file() and file != "lazy":
            found[file] = ("", {file: names})
    return found


def _imported(tree: ast.Module) -> dict[str, tuple[str, ...]]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module]
    found: dict[str, tuple[str, ...]] = {}
    for node in imports:
        found[str(node.module)] = found.get(str(node.module), ()) + tuple(one.name for one in node.names)
    return found


def on_files(files: Any, config: Any) -> Any:
    root = Path(config.config_file_path).parent
    for name, text in {**theory_pages(root), **other_pages(root), "commands": commands()}.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    if page.file.src_uri.startswith("reference/"):
        return markdown
    entries = _entries(Path(config.config_file_path).parent)
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    def link(found: re.Match[str]) -> str:
        entry = entries.get(found[1])
        return f"[{found[0]}][{entry}]" if entry else found[0]

    linked = CODE.sub(link, FENCED.sub(keep, markdown))
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], linked)


def on_page_content(html: str, **_: Any) -> str:
    return html.replace(".types/fiedler/", "")  # the folder through which the packages are found under their names


def theory_pages(root: Path) -> dict[str, str]:
    return {
        room: f"# fiedler.theory.{room}\n\n{text}\n\nEvery name is importable from `fiedler.theory`.\n\n"
        + _modules("theory", files)
        for room, (text, files) in rooms(root, "theory").items()
    }


def other_pages(root: Path) -> dict[str, str]:
    """One page for kernels, one for sims: a section a room."""
    kernels = (
        "# Kernels\n\nFused softmax cross-entropy in PyTorch and Triton; which one to call: "
        "[kernel guide](../kernels.md). All names below are importable from `fiedler.kernels`.\n\n"
    )
    sims = (
        "# Runs and comparison\n\nWhat the commands are made of, for use from Python: import each name from its room, "
        "as in `from fiedler.sims.compare import compare`.\n\n"
    )
    return {
        package: text
        + "".join(
            f"---\n\n**fiedler.{package}.{room}**: {about}\n\n{_modules(package, files)}"
            for room, (about, files) in rooms(root, package).items()
        )
        for package, text in (("kernels", kernels), ("sims", sims))
    }


def commands() -> str:
    """Every command with its arguments and options, read from the command line itself."""
    import typer

    from fiedler.sims.cli.commands import app

    parts = ["# Commands\n\nWhat `fiedler COMMAND --help` says. [Guide](../guide.md): what the numbers mean.\n"]
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        arguments = " ".join(_argument(one) for one in command.params if one.param_type_name == "argument")
        parts.append(f"## fiedler {name}\n\n`fiedler {name} {arguments}`\n\n{_cell(command.help)}\n")
        rows = [row for one in command.params if (row := _row(one))]
        if rows:
            parts.append("| option or argument | default | what it does |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _row(one: Any) -> str | None:
    if one.name == "help" or getattr(one, "hidden", False):
        return None
    names = [*one.opts, *one.secondary_opts] if one.param_type_name == "option" else [_argument(one)]
    default = "" if one.default in (None, (), [], "") or callable(one.default) else f"`{one.default}`"
    return f"| {', '.join(f'`{name}`' for name in names)} | {default} | {_cell(one.help or '')} |"


def _argument(one: Any) -> str:
    return str(one.metavar or one.name.upper()) + ("..." if one.nargs == -1 else "")


def _cell(text: str) -> str:
    """One line of plain text in a table: characters that Markdown would read go as entities."""
    flat = " ".join((text or "").split())
    return re.sub(r"[\\|<>*_\[\]`]", lambda found: f"&#{ord(found[0])};", flat)


def _modules(package: str, files: dict[str, tuple[str, ...]]) -> str:
    return "".join(_module(f"fiedler.{package}.{file}", names) for file, names in files.items())


def _module(module: str, names: tuple[str, ...]) -> str:
    members = "".join(f"        - {name}\n" for name in names)
    return f"::: {module}\n    options:\n      members:\n{members}\n"


def _entries(root: Path) -> dict[str, str]:
    return {
        name: f"fiedler.{package}.{file}.{name}"
        for package in ("theory", "kernels")
        for _, files in rooms(root, package).values()
        for file, names in files.items()
        for name in names
    }
