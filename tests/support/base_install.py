"""Command lines of `fiedler` in a process in which only the base install can be imported.

    python base_install.py '[["theory", "cycle:15"], ["train", "karate"]]'

prints a JSON list of [exit code, standard output, standard error], one a command line.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from importlib.abc import MetaPathFinder
from typing import Any, NoReturn

# The modules of what the extras install, and of tools that happen to be in a developer's environment.
BARRED = frozenset({
    "IPython", "accelerate", "contourpy", "dask", "distributed", "filelock", "gensim", "ipykernel", "cloudpickle",
    "lightning", "matplotlib", "pandas", "peft", "plotly", "pyarrow", "pytorch_lightning", "ray", "safetensors",
    "sklearn", "tensorboard", "tokenizers", "torch", "torch_geometric", "transformers", "triton", "umap", "wandb",
})  # fmt: skip


class Barred(MetaPathFinder):
    """Says of every module of BARRED that it is not there."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in BARRED:
            self.refuse(name)

    @staticmethod
    def refuse(name: str) -> NoReturn:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def run(line: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line."""
    from fiedler.sims.cli.commands import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(line)
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    sys.meta_path.insert(0, Barred())
    answers = [run(line) for line in json.loads(sys.argv[1])]
    print(json.dumps(answers))
