"""The command `fiedler report`."""

from pathlib import Path
from typing import Annotated

import typer

from ..tasks.search import Search
from .options import Json, Optimum, Tolerance

REPORT_LIMIT = 20.0  # seconds: a page of what is there is wanted at once
ReportLimit = Annotated[
    float,
    typer.Option(
        "--time-limit",
        help="Seconds for each prediction of a single run, which its folder does not hold: the optimum, and the flow.",
    ),
]


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of fiedler compare, train, paths, recall, headroom, sweep or profile (their --out).",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="The page's file (default DIR/report.html).")] = None,
    title: Annotated[str | None, typer.Option("--title", help="The page's title (default: what DIR holds).")] = None,
    optimum: Optimum = None,
    tolerance: Tolerance = None,
    time_limit: ReportLimit = REPORT_LIMIT,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    json: Json = False,
) -> None:
    """One interactive HTML page from finished runs: figures, scores, data, with command and seed of every number.

    The page is one file and loads nothing: it can be mailed, archived and opened without a network. Embeddings move
    over the training steps beside their prediction; every figure downloads as SVG or PNG and its data as CSV. What a
    folder lacks, such as the scores of a run that was interrupted before them, is named with the command that adds it.
    """
    from ..disk.jsonio import to_json
    from ..page.build import kind_of, parts_of, title_of
    from ..page.html import write_page
    from ..runs.stopping import heeding, stop_on_signals
    from .progress import Stages

    search = Search(optimum, tolerance, time_limit)
    path = out or folder / "report.html"
    kind = kind_of(folder)
    if path.is_dir() or path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out must be a file ending in .html; got {path}")
    with Stages() as stages, stop_on_signals() as stop:
        parts = heeding(stop, lambda: parts_of(folder, search, stages.watch(stop)))
        stages.update("writing", 0.0)
        size = heeding(stop, lambda: write_page(title or title_of(kind, parts), parts, path))
        stages.update("writing", 1.0)
    if json:
        sections = [section.title for part in parts for section in part.sections]
        print(to_json({"report": str(path), "kind": kind, "bytes": size, "sections": sections}))
    else:
        print(f"report: {path} ({size / 1e6:.1f} MB)")
    if open_page:
        typer.launch(path.resolve().as_uri())
