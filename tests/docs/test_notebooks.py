"""Both notebooks run from top to bottom in an empty folder, and are kept without outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from doc_pages import ROOT

pytestmark = pytest.mark.docs

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
SECONDS = 120  # for one cell


def execute(notebook: Any, folder: Path, sockets: Path) -> Any:
    # The address of a Unix socket may have about a hundred characters, fewer than pytest's folders.
    config = Config({"KernelManager": {"transport": "ipc", "ip": str(sockets / "k")}})
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}, config=config).execute()
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, short_folder: Path) -> None:
    notebook = execute(nbformat.read(path, as_version=4), tmp_path, short_folder)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    printed = "".join(output.get("text", "") for output in outputs)
    assert {"your-graph": "duality gap", "profile-kernel": "measured on: "}[path.stem] in printed
    assert "False" not in printed.replace("attained: False", "")
    assert not [output for output in outputs if output.get("name") == "stderr"]


def test_a_cell_that_fails_is_found(tmp_path: Path, short_folder: Path) -> None:
    cells = [nbformat.v4.new_code_cell("import fiedler.theory as t\nt.parse('cylce:15')")]
    with pytest.raises(CellExecutionError, match="did you mean"):
        execute(nbformat.v4.new_notebook(cells=cells), tmp_path, short_folder)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_kept(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
