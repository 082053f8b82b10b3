"""The command `fiedler export`."""

from pathlib import Path
from typing import Annotated

import typer

from .completion import choices
from .options import Json

FILES = ("word2vec", "npy", "npz", "graphml", "pyg")
LOGS = ("tensorboard", "wandb")
DEFAULT = Path("exports")


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of fiedler train, compare, ...; of --to tensorboard any.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="word2vec (gensim's text), npy, npz, graphml or pyg (tensors of a PyTorch Geometric Data): the "
            "embeddings; tensorboard or wandb: what was recorded, of running folders too.",
            autocompletion=choices(*FILES, *LOGS),
        ),
    ] = "word2vec",
    out: Annotated[
        Path | None, typer.Option("--out", help="A file, for several runs a folder (default exports/).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over files that are there.")] = False,
    key: Annotated[
        str, typer.Option("--key", help="Which matrix of the run: embedding, or context of untied models.")
    ] = "embedding",
    json: Json = False,
) -> None:
    """Embeddings and records of runs for other programs: NetworkX, gensim, PyTorch Geometric, TensorBoard, W&B."""
    from ..disk.jsonio import to_json
    from ..interop.run_export import export_run
    from ..interop.run_logs import export_logs
    from ..suggest import choose
    from .progress import Stages

    if to not in FILES + LOGS:
        raise ValueError(f"unknown format {to!r}; {choose(to, FILES + LOGS)}")
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give the --out of an earlier run")
    place = out or (DEFAULT / folder.resolve().name if to in LOGS else DEFAULT)
    with Stages(transient=True) as stages:
        stages.update("writing", 0.0)
        if to in LOGS:
            if key != "embedding":
                raise ValueError(f"--key is a matrix of the run, and {to} takes what was recorded: leave --key out")
            try:
                count = export_logs(folder, to, place)
            except ImportError as error:
                raise ValueError(str(error)) from error
            answer, shown = {"runs": count, "out": str(place)}, [f"{count} runs logged into {place}"]
        else:
            files = export_run(folder, to, place, key=key, overwrite=overwrite)
            answer, shown = {"files": [str(path) for path in files]}, [f"written: {path}" for path in files]
    if json:
        print(to_json(answer))
        return
    for line in shown:
        print(line)
