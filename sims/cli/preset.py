"""`fiedler compare --preset`: the runs of a figure of the paper, into one report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from .estimates import print_estimates
from .progress import Stages


def compare_preset(
    name: str,
    seeds: int,
    out: Path | None,
    overwrite: bool,
    resume: bool,
    checkpoint_every: float | None,
    dry_run: bool,
    json: bool,
) -> None:
    """Run the preset over seeds 0, 1, ... into ``out`` (runs/NAME) and write its report, figures and scores."""
    from ..compare.presets.definitions import get_preset
    from ..compare.presets.report import draw_preset, preset_markdown, preset_rendering
    from ..compare.presets.run import describe_preset, preset_settings, run_preset
    from ..disk.files import write_text
    from ..disk.jsonio import to_json
    from ..disk.lock import locked
    from ..runs.estimate import estimate_runs
    from ..runs.folder import RunDir
    from ..runs.stopping import stop_on_signals
    from ..runs.take_up import take_up

    preset = get_preset(name)
    folder = out or Path("runs") / name
    if dry_run:
        runs = [(task, one.model()) for cell in preset.cells for task, models in cell.tasks() for one in models]
        estimates = [estimate_runs(task, model, model.make_settings(), range(seeds)) for task, model in runs]
        print_estimates(estimates, folder, json)
        return
    RunDir.check(folder, overwrite=overwrite or resume)
    config = {"preset": name, "seeds": list(range(seeds)), "settings": preset_settings(preset)}
    with locked(folder), Stages() as stages, stop_on_signals() as stop:
        run = RunDir(folder)
        if not (resume and take_up(run, config)):
            run = RunDir.create(folder, config, overwrite=overwrite or resume)
        results = run_preset(
            preset,
            range(seeds),
            folder,
            overwrite=overwrite,
            resume=resume,
            checkpoint_every=checkpoint_every,
            on_progress=stages.update,
            stop=stop,
        )
        stages.update("figures", 0.0)
        run.figures.mkdir(exist_ok=True)
        figures = [
            (path.relative_to(folder).as_posix(), caption)
            for path, caption in draw_preset(preset, results, run.figures)
        ]
        stages.update("figures", 1.0)
        answer = describe_preset(preset, range(seeds), results)
        run.write_scores(answer)
        run.seal()
        environment = run.read_environment()
        write_text(folder / "report.md", preset_markdown(preset, range(seeds), results, figures, environment))
    if json:
        print(to_json(answer))
        return
    Console().print(preset_rendering(results))
    print(f"report: {folder / 'report.md'}\nfigures: {folder / 'figures'}\nscores: {folder / 'scores.json'}")
