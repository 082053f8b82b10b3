"""Notebooks as pages: each notebooks/NAME.ipynb is executed when the site is built, and shown with what it printed.

The repository keeps notebooks without outputs, so a page never shows a number that this version did not compute.
"""

from __future__ import annotations

import base64
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File
from nbclient import NotebookClient
from traitlets.config import Config

NOTEBOOK_LINK = re.compile(r"(\]\([\w./-]*notebooks/[\w-]+)\.ipynb\)")
SECONDS = 300  # for one cell


def on_files(files: Any, config: Any) -> Any:
    for source in sorted(Path(config.docs_dir, "notebooks").glob("*.ipynb")):
        pictures: dict[str, bytes] = {}
        page = _page(executed(source), source.name, pictures)
        files.append(File.generated(config, f"notebooks/{source.stem}.md", content=page))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """In the repository a page links to the notebook itself, in the site to its page."""
    if page.file.src_uri.startswith("notebooks/"):
        return markdown
    return NOTEBOOK_LINK.sub(r"\1.md)", markdown)


def executed(source: Path) -> Any:
    """The notebook after all its cells ran, in an empty folder; an exception in a cell is raised here."""
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        # The kernel is spoken to through files of this machine, not through ports that others could listen to.
        sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}, config=sockets)
        client.execute()
    return notebook


def _page(notebook: Any, name: str, pictures: dict[str, bytes]) -> str:
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            parts += [_output(output, name, pictures) for output in cell.outputs]
    # The link to the file stands under the title.
    title, rest = parts[0].split("\n", 1) if "\n" in parts[0] else (parts[0], "")
    note = f"[Download this notebook]({name}). The outputs below were computed when this page was built."
    return "\n\n".join([title, note, rest, *parts[1:]])


def _output(output: Any, name: str, pictures: dict[str, bytes]) -> str:
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```"
    data = output.get("data", {})
    if "image/png" in data:
        picture = f"{Path(name).stem}-{len(pictures) + 1}.png"
        pictures[picture] = base64.b64decode(data["image/png"])
        return f"![Figure drawn by the cell above]({picture})"
    return f"```text\n{data.get('text/plain', '').rstrip()}\n```"
