"""What a sweep leaves to be read: the table, the phase diagram, and the answer of the command."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..disk.files import clear_leftovers, sha256_of, write_text
from ..disk.jsonio import to_json
from ..disk.sums import SUMS_FILE, read_sums, rewrite_sums
from ..processes.child import PEAK
from .plan import SweepPlan
from .table import collect, options_of, write_table

if TYPE_CHECKING:
    import pandas as pd

PHASE = "phase.json"
METRIC = "geometric_margin"  # of folders that do not say theirs


def report_sweep(plan: SweepPlan, out: Path, *, draw: bool = True) -> dict[str, Any]:
    """Write results.csv, results.parquet and, where axes of numbers vary, figures/phase.png, .svg and phase.json, whose
    prediction takes some seconds: without ``draw`` the figure is left as it is. SHA256SUMS lists table and phase.json.

    Returns counts, the paths, how often each error came, and why there is no figure when there is none
    (``phase_note``). Raises NotDrawn as ``save_drawings``.
    """
    table = collect(plan, out)
    kept = {name: digest for name, digest in read_sums(out).items() if name == PHASE and not draw}
    (out / SUMS_FILE).unlink(missing_ok=True)  # killed between the two, a new file is unlisted, not wrong
    clear_leftovers(out)
    csv, parquet = write_table(table, out)
    sums = {**{file.name: sha256_of(file) for file in (csv, parquet)}, **kept}
    rewrite_sums(out, sums)
    figure, note = _phase(plan, table, out, sums) if draw else (None, "no phase diagram: it was not asked for")
    failed = table.loc[table["status"] == "failed", "error"]
    errors = failed.map(lambda error: str(error).partition(PEAK)[0]).value_counts()  # deaths of one kind are one
    return {
        "sweep": plan.name,
        "runs": len(table),
        "done": int((table["status"] == "done").sum()),
        "failed": int((table["status"] == "failed").sum()),
        "pending": int((table["status"] == "pending").sum()),
        "errors": {str(message): int(count) for message, count in errors.items()},
        "csv": str(csv),
        "parquet": str(parquet),
        "phase_figure": None if figure is None else str(figure),
        "phase_note": note,
    }


def _phase(plan: SweepPlan, table: pd.DataFrame, out: Path, sums: dict[str, str]) -> tuple[Path | None, str]:
    """The figure, and why there is none; ``sums``: of the files beside phase.json, in SHA256SUMS."""
    from ..draw.drawing import Drawing, save_drawings
    from ..phase.diagram import describe_phase, phase_diagram
    from ..phase.panels import panel_diagrams, panels_figure
    from ..phase.plot import phase_figure

    axes = [
        name for name in plan.axes if name in table and table[name].dtype.kind in "if" and table[name].nunique() > 1
    ]
    x = plan.phase.get("x", axes[0] if axes else None)
    left = [name for name in axes if name != x]
    y = plan.phase.get("y", left[0] if left else None)
    if x is None:
        return None, "no phase diagram: no axis of numbers varies"
    metric = plan.phase.get("metric", plan.points[0].command.metric)
    if not (table["status"] == "done").any():
        return None, "no phase diagram: no run is done"
    try:
        if plan.base is None:
            diagram = phase_diagram(table, x, y, metric)
            plot, answer = partial(phase_figure, diagram), describe_phase(diagram)
        else:
            diagrams = panel_diagrams(table, options_of(plan.base), axes, metric)
            answer = {"metric": metric, "panels": list(map(describe_phase, diagrams))}
            plot = partial(panels_figure, diagrams)
    except ValueError as error:
        return None, f"no phase diagram: {error}"
    write_text(out / PHASE, f"{to_json(answer, indent=2)}\n")
    rewrite_sums(out, {**sums, PHASE: sha256_of(out / PHASE)})
    figure, _ = save_drawings([Drawing("phase", plot)], out, again="the same command draws again")
    return figure, ""
