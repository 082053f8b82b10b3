"""The command `fiedler doctor`."""

import itertools
from typing import Annotated

import typer
from rich.table import Table

from .console import wide_console
from .options import Json

STYLES = {"ok": "green", "missing": "yellow", "broken": "bold red"}
LEAST_WIDTH = 80


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compile one GPU kernel for sm_90, which needs no GPU (a minute).")
    ] = False,
    json: Json = False,
) -> None:
    """What this machine can run and what is missing, each with the command that installs it, and a short self-check.

    Exit code 0 where everything required works, else 1; "missing" is optional, "broken" is required.
    """
    from ..disk.jsonio import to_json
    from .machine import describe_checks, examine, healthy
    from .progress import Stages

    with Stages(transient=True) as stages:
        stages.update("checks", 0.0)
        checks = examine(deep=deep)
    if json:
        print(to_json(describe_checks(checks)))
    else:
        console = wide_console(LEAST_WIDTH, highlight=False)
        for section, group in itertools.groupby(checks, key=lambda check: check.section):
            table = Table(title=section, title_justify="left", box=None, show_header=False, pad_edge=False)
            table.add_column(no_wrap=True, min_width=17)
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
            for check in group:
                found = check.found + (f"\n{check.remedy}" if check.remedy else "")
                table.add_row(check.name, f"[{STYLES[check.status]}]{check.status}[/]", found.replace("[", r"\["))
            console.print(table)
            console.print()
        broken = [check.name for check in checks if check.status == "broken"]
        missing = [check.name for check in checks if check.status == "missing"]
        print(
            f"{len(broken)} broken, {len(missing)} optional things missing"
            + (": " if missing else "")
            + ", ".join(missing)
        )
    if not healthy(checks):
        names = ", ".join(check.name for check in checks if check.status == "broken")
        raise RuntimeError(f"required, and broken: {names}")
