"""The command `fiedler recall`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .completion import choices, complete_recall_condition, complete_recall_preset
from .options import MAX_STEPS, CheckpointEvery, DryRun, Json, Overwrite, Resume, check_restart
from .progress import Stages

FILE_WIDTH = 170  # columns of the table where standard output is no terminal
PRESET_HELP = (
    "structure: trained, with frozen subject embeddings, and with frozen codes too, five seeds (8 minutes on two idle "
    "cores). parts: what the structure depends on. attributes: fewer of them, and each relation's own. multi-hop: "
    "accuracy over hops and layers, and with chain of thought. scaling: the smallest dimension that memorises."
)
SCALING_PRESET, SCALING_SEEDS = "scaling", 3


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
    subjects: Annotated[int | None, typer.Option("--subjects", "-n", min=2, help="Number N of subjects.")] = None,
    relations: Annotated[int | None, typer.Option("--relations", "-r", min=1, help="Number R of relations.")] = None,
    attributes: Annotated[
        int | None, typer.Option("--attributes", min=2, help="Attributes of a relation (default: as many as subjects).")
    ] = None,
    disjoint: Annotated[bool, typer.Option("--disjoint", help="Give each relation attributes of its own.")] = False,
    hops: Annotated[int | None, typer.Option("--hops", min=1, help="Ask questions of up to so many hops.")] = None,
    chain_of_thought: Annotated[
        bool, typer.Option("--chain-of-thought", help="Write the entities in between before the answer.")
    ] = False,
    held_out: Annotated[
        float | None, typer.Option("--held-out", help="Share of the longest questions that is never shown.")
    ] = None,
    frozen_subjects: Annotated[
        bool, typer.Option("--frozen-subjects", help="Keep subject embeddings as drawn.")
    ] = False,
    frozen_codes: Annotated[bool, typer.Option("--frozen-codes", help="Keep output embeddings as drawn.")] = False,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="gpt2, gpt-neox, llama, ... or a config file of transformers.",
            autocompletion=choices("gpt2", "gpt-neox", "llama"),
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option("--layers", min=1, help="Blocks.")] = None,
    heads: Annotated[int | None, typer.Option("--heads", min=1, help="Attention heads.")] = None,
    width: Annotated[
        int | None, typer.Option("--width", min=1, help="Embedding dimension (with --construct: of subject vectors).")
    ] = None,
    neurons: Annotated[int | None, typer.Option("--neurons", min=1, help="Of each perceptron.")] = None,
    code_dimension: Annotated[
        int | None, typer.Option("--code-dimension", min=1, help="With --construct: length k of attribute codes.")
    ] = None,
    coherence: Annotated[
        float | None, typer.Option("--coherence", help="With --construct: largest inner product of two codes.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, max=MAX_STEPS, help="Training steps.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=0, help="Questions a step, 0 for all.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Peak step size.")] = None,
    weight_decay: Annotated[float | None, typer.Option("--weight-decay", help="Weight decay of AdamW.")] = None,
    init_std: Annotated[float | None, typer.Option("--init-std", help="Standard deviation of initial weights.")] = None,
    records: Annotated[int | None, typer.Option("--records", min=1, help="How often a run is measured.")] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Seeds 0, 1, ... (default: the preset's).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder (default runs/recall-PRESET).")] = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu or cuda.", autocompletion=choices("cpu", "cuda"))
    ] = "cpu",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs side by side, a thread each (default: all CPUs).")
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Factual recall (arXiv 2605.12426): random facts (subject, relation) -> attribute, memorised by a Transformer.

    Measures recall, whether subject embeddings are superpositions of attribute codes, whether the perceptron selects by
    relation, what swapping a code changes, and transfer to new facts with everything but subject embeddings frozen.
    Options apply to every condition of the preset; left out, each has its own.
    """
    from ..disk.jsonio import to_json

    check_restart(overwrite, resume)
    sizes = {"subjects": subjects, "relations": relations, "attributes": attributes}
    construction = {"code_dimension": code_dimension, "coherence": coherence}
    training: dict[str, Any] = {
        "hops": hops, "chain_of_thought": chain_of_thought or None, "held_out": held_out,
        "frozen": frozen_subjects or None, "frozen_codes": frozen_codes or None,
        "shared": False if disjoint else None, "arch": arch, "layers": layers, "heads": heads, "neurons": neurons,
        "steps": steps, "batch": batch, "learning_rate": learning_rate, "weight_decay": weight_decay,
        "init_std": init_std, "records": records,
    }  # fmt: skip
    if construct:
        _refuse({**training, "only": only, "out": out, "jobs": jobs}, "--construct trains and writes nothing")
        _construct({**sizes, **construction, "dimension": width}, seeds or 1, json)
        return
    _refuse(construction, "codes are chosen by --construct, and learned without it")
    given = {name: value for name, value in {**sizes, **training, "width": width}.items() if value is not None}
    folder = out or Path("runs") / f"recall-{preset}"
    options: dict[str, Any] = {"overwrite": overwrite, "resume": resume, "device": device, "jobs": jobs}
    if preset == SCALING_PRESET:
        if dry_run or checkpoint_every is not None:
            raise ValueError(
                "a search is not estimated and has no checkpoints: leave --dry-run and --checkpoint-every out"
            )
        searched = {name: given.get(name) for name in ("width", "frozen", "frozen_codes")}
        _refuse(searched, "the search tries widths and frozen embeddings itself")
        answer, written = _scaling(given, seeds or SCALING_SEEDS, folder, only, options)
    else:
        conditions, chosen = _choose(preset, given, only)
        numbers = range(seeds or chosen.seeds)
        if dry_run:
            _print_estimate(conditions, numbers, folder, device, jobs, json)
            return
        options["checkpoint_every"] = checkpoint_every
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
            word = {"shared": "disjoint", "frozen": "frozen_subjects"}.get(name, name)
            raise ValueError(f"{why}: leave --{word.replace('_', '-')} out")


def _construct(given: dict[str, Any], seeds: int, json: bool) -> None:
    from ..disk.jsonio import to_json
    from ..recall.built.constructed import describe_construction
    from ..recall.presets import BASE
    from ..recall.show.report import construction_rows

    sizes = {"subjects": BASE.subjects, "relations": BASE.relations}
    chosen = {**sizes, **{name: value for name, value in given.items() if value is not None}}
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
        table.add_row(*row)
    Console().print(table)


def _choose(preset: str, given: dict[str, Any], only: list[str] | None) -> tuple[dict[str, Any], Any]:
    from ..recall.presets import PRESETS
    from ..suggest import check_only, choose

    if preset not in PRESETS:
        known = (*PRESETS, SCALING_PRESET)
        raise ValueError(f"unknown preset {preset!r}; {choose(preset, known)}")
    chosen = PRESETS[preset]
    check_only(only, chosen.conditions)
    names: dict[Any, str] = {}
    for name, settings in chosen.conditions.items():
        control = given.get("hops", 1) > 1 and (settings.frozen or settings.frozen_codes)  # is one of a single hop
        if (not only and not control) or (only and name in only):
            names.setdefault(replace(settings, **given), name)  # conditions that become equal are one
    return {name: settings for settings, name in names.items()}, chosen


def _run(
    conditions: dict[str, Any], chosen: Any, seeds: range, folder: Path, options: dict[str, Any]
) -> tuple[dict[str, Any], list[Path]]:
    from ..recall.run import run_recalls
    from ..recall.show.output import write_recall
    from ..runs.stopping import stop_on_signals

    with Stages() as stages, stop_on_signals() as stop:
        result = run_recalls(
            conditions, seeds, folder, stop=stop,
            on_progress=lambda fraction: stages.update("training", fraction), **options,
        )  # fmt: skip
        stages.update("figures", 0.0)
        answer, written = write_recall(result, chosen.about, hop_map=chosen.map)
        stages.update("figures", 1.0)
    return answer, written


def _scaling(
    given: dict[str, Any], seeds: int, folder: Path, only: list[str] | None, options: dict[str, Any]
) -> tuple[dict[str, Any], list[Path]]:
    from ..recall.scaling.report import write_scaling
    from ..recall.scaling.run import CONDITIONS, SCALING, run_scaling
    from ..runs.stopping import stop_on_signals

    with Stages() as stages, stop_on_signals() as stop:
        result = run_scaling(
            replace(SCALING, **given), range(seeds), folder, conditions=only or CONDITIONS, stop=stop,
            on_progress=lambda fraction: stages.update("searching", fraction), **options,
        )  # fmt: skip
        stages.update("figures", 0.0)
        answer, written = write_scaling(result)
        stages.update("figures", 1.0)
    return answer, written


def _print_estimate(
    conditions: dict[str, Any], seeds: range, folder: Path, device: str, jobs: int | None, json: bool
) -> None:
    from dataclasses import asdict

    from ..disk.jsonio import to_json
    from ..recall.estimate import estimate_recall

    estimates = estimate_recall(conditions, seeds, folder, device=device, jobs=jobs)
    if json:
        print(to_json({"estimates": [asdict(one) for one in estimates]}))
        return
    for one in estimates:
        print(one.text)


def _print_tables(answer: dict[str, Any]) -> None:
    from ..draw.over_seeds import legend
    from ..recall.show.report import recall_tables

    console = Console()
    console = console if console.is_terminal else Console(width=FILE_WIDTH)
    for title, header, rows in recall_tables(answer):
        table = Table(title=title, title_justify="left")
        for number, name in enumerate(header):
            table.add_column(name, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table, *legend(rows), sep="\n", markup=False)
