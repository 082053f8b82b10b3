"""The command `fiedler recall`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..models.options import chosen_settings
from ..recall.settings import OPTIONS, RecallSettings
from ..runs.control import Restart, Watch
from .completion import choices, complete_recall_condition, complete_recall_preset
from .console import wide_console
from .options import CheckpointEvery, DryRun, Json, Overwrite, Resume, SideBySide, with_settings

PRESET_HELP = (
    "structure: trained, with frozen subject embeddings, and with frozen codes too, five seeds (8 minutes on two idle "
    "cores). parts: what the structure depends on. attributes: fewer of them, and each relation's own. multi-hop: "
    "accuracy over hops and layers, and with chain of thought. bridge: two hops through facts shown alone only, with "
    "and without entities that answer for themselves. scaling: the smallest dimension that memorises, against subjects "
    "and relations. threshold: recall against dimension up to 1,024 subjects, and on which axis the curves collapse. "
    "hop-threshold: the smallest dimension over hops, at once and with chain of thought."
)
SIZES, CODES = ("subjects", "relations", "attributes", "width"), ("code_dimension", "coherence")  # of --construct


@with_settings(RecallSettings, OPTIONS, before="seeds")
def recall(
    preset: Annotated[
        str, typer.Option("--preset", help=PRESET_HELP, autocompletion=complete_recall_preset)
    ] = "structure",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Run this condition of the preset alone. Repeatable.",
            autocompletion=complete_recall_condition,
        ),
    ] = None,
    construct: Annotated[
        bool, typer.Option("--construct", help="Build the explicit construction and ask it; train nothing.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Seeds 0, 1, ... (default: the preset's).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder (default runs/recall-PRESET).")] = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu or cuda.", autocompletion=choices("cpu", "cuda"))
    ] = "cpu",
    jobs: SideBySide = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    dry_run: DryRun = False,
    json: Json = False,
    **settings: Any,
) -> None:
    """Factual recall (arXiv 2605.12426): random facts (subject, relation) -> attribute, memorised by a Transformer.

    Measures recall, whether subject embeddings are superpositions of attribute codes, whether the perceptron selects by
    relation, what swapping a code changes, and transfer to new facts with everything but subject embeddings frozen.
    Options apply to every condition of the preset; left out, each has its own.
    """
    from ..disk.jsonio import to_json
    from ..recall.scaling.presets import SCALING_PRESETS

    restart = Restart(overwrite, resume, checkpoint_every)
    changes = chosen_settings(RecallSettings, OPTIONS, settings)
    construction = {name: changes.pop(name) for name in CODES if name in changes}
    if construct:
        sizes = {name: changes.pop(name) for name in SIZES if name in changes}
        _refuse({**changes, "only": only, "out": out, "jobs": jobs}, "--construct trains and writes nothing")
        if "width" in sizes:
            sizes["dimension"] = sizes.pop("width")
        _construct({**sizes, **construction}, seeds or 1, json)
        return
    _refuse(construction, "codes are chosen by --construct, and learned without it")
    folder = out or Path("runs") / f"recall-{preset}"
    options: dict[str, Any] = {"restart": restart, "device": device, "jobs": jobs}
    if preset in SCALING_PRESETS:
        if checkpoint_every is not None:
            raise ValueError("a search has no checkpoints: leave --checkpoint-every out")
        searched = {name: changes.get(name) for name in ("width", "frozen", "frozen_codes", "hops", "chain_of_thought")}
        _refuse(searched, "the search tries widths, frozen embeddings and hops itself")
        found = _scaling(SCALING_PRESETS[preset], changes, seeds, folder, only, options, dry_run)
        if dry_run:
            _print_estimates(found, json)
            return
        answer, written = found
    else:
        conditions, chosen = _choose(preset, changes, only)
        numbers = range(seeds or chosen.seeds)
        if dry_run:
            from ..recall.estimate import estimate_recall

            _print_estimates(estimate_recall(conditions, numbers, folder, device=device, jobs=jobs), json)
            return
        answer, written = _run(conditions, chosen, numbers, folder, options)
    if json:
        print(to_json(answer))
        return
    _print_tables(answer)
    for path in written:
        print(f"written: {path}")


def _refuse(options: dict[str, Any], why: str) -> None:
    for name, value in options.items():
        if value is not None:
            word = (OPTIONS[name].name if name in OPTIONS else "") or name
            raise ValueError(f"{why}: leave --{word.replace('_', '-')} out")


def _construct(options: dict[str, Any], seeds: int, json: bool) -> None:
    from ..disk.jsonio import to_json
    from ..recall.built.constructed import describe_construction
    from ..recall.presets import BASE
    from ..recall.show.report import construction_rows
    from .progress import Stages

    chosen = {"subjects": BASE.subjects, "relations": BASE.relations, **options}
    with Stages(transient=True) as stages:
        stages.update("construction", 0.0)
        answer = describe_construction(
            **chosen, seeds=seeds, on_progress=lambda fraction: stages.update("construction", fraction)
        )
    if json:
        print(to_json(answer))
        return
    table = Table(title=f"{answer['subjects']} subjects, {answer['relations']} relations", title_justify="left")
    table.add_column("explicit construction")
    table.add_column("", justify="right")
    for row in construction_rows(answer):
        table.add_row(*map(escape, row))
    Console().print(table)


def _choose(preset: str, changes: dict[str, Any], only: list[str] | None) -> tuple[dict[str, Any], Any]:
    from ..recall.presets import PRESETS
    from ..recall.scaling.presets import SCALING_PRESETS
    from ..runs.conditions import choose_conditions
    from ..suggest import choose

    if preset not in PRESETS:
        known = (*PRESETS, *SCALING_PRESETS)
        raise ValueError(f"unknown preset {preset!r}; {choose(preset, known)}")
    chosen = PRESETS[preset]
    several = changes.get("hops", 1) > 1 and not only
    conditions = choose_conditions(
        chosen.conditions,
        changes,
        only=only,
        leave_out=lambda settings: several and (settings.frozen or settings.frozen_codes),  # the controls of one hop
    )
    return conditions, chosen


def _run(
    conditions: dict[str, Any], chosen: Any, seeds: range, folder: Path, options: dict[str, Any]
) -> tuple[dict[str, Any], list[Path]]:
    from ..recall.run import run_recalls
    from ..recall.show.output import write_recall
    from ..runs.stopping import stop_on_signals
    from .progress import Stages

    with Stages() as stages, stop_on_signals() as stop:
        result = run_recalls(conditions, seeds, folder, watch=Watch(stages.update, stop), **options)
        stages.update("figures", 0.0)
        answer, written = write_recall(result, chosen.about, hop_map=chosen.map)
        stages.update("figures", 1.0)
    return answer, written


def _scaling(
    preset: Any, changes: dict[str, Any], seeds: int | None, folder: Path, only: list[str] | None,
    options: dict[str, Any], dry_run: bool,
) -> Any:  # fmt: skip
    """The answer and the files written; of a dry run the estimates."""
    from ..recall.scaling.estimate import estimate_scaling
    from ..recall.scaling.report import write_scaling
    from ..recall.scaling.run import run_scaling
    from ..runs.stopping import stop_on_signals
    from .progress import Stages

    settings, numbers = replace(preset.settings, **changes), range(seeds or preset.seeds)
    grid = {name: getattr(preset, name) for name in ("subjects", "relations", "hops", "lower")}
    grid["conditions"] = only or preset.conditions
    if dry_run:
        where = {name: options[name] for name in ("device", "jobs")}
        return estimate_scaling(settings, numbers, folder, **grid, **where)
    with Stages() as stages, stop_on_signals() as stop:
        result = run_scaling(
            settings, numbers, folder, threshold=preset.threshold, watch=Watch(stages.update, stop), **grid, **options
        )
        stages.update("figures", 0.0)
        answer, written = write_scaling(result)
        stages.update("figures", 1.0)
    return answer, written


def _print_estimates(estimates: list[Any], json: bool) -> None:
    from dataclasses import asdict

    from ..disk.jsonio import to_json

    if json:
        print(to_json({"estimates": [asdict(one) for one in estimates]}))
        return
    for one in estimates:
        print(one.text)


def _print_tables(answer: dict[str, Any]) -> None:
    from ..draw.fitted import fitted_tables
    from ..draw.over_seeds import legend
    from ..recall.show.report import recall_tables

    console = wide_console()
    for title, header, rows in recall_tables(answer):
        tables = fitted_tables(title, header, rows, console.width)
        console.print(*tables, *legend(rows), sep="\n", markup=False)
