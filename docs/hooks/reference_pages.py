"""The reference pages, made when the site is built: public names by concept, and every command with its options.

``THEORY`` says which page a file of theory/ is on (title, first line, files); a file of a public name that is on none
is an error. On every other page, `name` in code font links to the entry of that public name.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

THEORY = {
    "graphs": (
        "Graphs and targets",
        "What is trained on: graphs from words, files and NetworkX, and the distribution each node predicts.",
        "graphs words readers targets walks directions checked_loss",
    ),
    "spectra": (
        "Spectra",
        "Laplacians, their eigenspaces, and eigenpairs of which none is missing.",
        "laplacian spectra eigensolver inertia",
    ),
    "optima": (
        "Optima",
        "What training converges to, with certificates; by closed form, by symmetry, or by a dense solver.",
        "graph_optimum optimum untied max_margin certificate closed_forms closed_forms_base "
        "closed_forms_multipartite closed_forms_untied_cycle decay_thresholds symmetry coherent "
        "block_algebra reduced_optimum reduced_untied",
    ),
    "flows": (
        "Flows",
        "How it gets there: the exact gradient flow, its early phase, plain gradient descent, one-layer nets.",
        "graph_flow flow trajectory starts flow_path flow_integrator flow_equations cayley_flow "
        "reduced_flow descent linearized growth mode_times one_layer",
    ),
    "width": (
        "Finite width",
        "How runs of finite width scatter around the limit.",
        "finite_width tangent",
    ),
    "alignment": (
        "Measures of alignment",
        "How near an embedding is to a predicted geometry.",
        "alignment",
    ),
    "rivals": (
        "Rival predictions",
        "What other theories predict for the same graph.",
        "rivals",
    ),
    "facts": (
        "Factual recall",
        "Constructions that hold facts in embeddings, and what any memory of facts needs at least.",
        "facts attribute_codes distinct_codes fact_memory fact_storage associative_memory recall_margins "
        "recall_bounds chain_of_thought one_shot_memory deep_memory multi_hop_plan multi_hop_bounds",
    ),
    "storage": (
        "Storage",
        "Bits and norms of associative and geometric memory of a graph.",
        "memory",
    ),
}

SIMS = (
    ("tasks", ("Task",)),
    ("models", ("Model", "get_model")),
    ("training", ("Training", "Snapshot", "Final", "Diverged")),
    ("node2vec", ("Node2VecSettings", "Node2VecState", "initial_embedding", "train_node2vec")),
    ("neural_settings", ("NeuralSettings",)),
    ("train", ("Run", "run_seeds")),
    ("compare", ("Comparison", "ModelComparison", "compare", "describe_comparison")),
    ("prediction", ("PredictedTrajectory", "predict_trajectory", "predicted_gram")),
    ("scores", ("score_embedding", "score_logits", "fit_trajectory", "TrajectoryFit")),
    ("plots", ("plot_comparison", "save_figure")),
    ("embedding_files", ("read_embedding",)),
    ("interop.estimators", ("Node2VecEmbedding", "SoftmaxOptimumEmbedding")),
    ("interop.node_attributes", ("get_embedding", "set_embedding")),
    ("interop.geometric", ("from_data", "to_data")),
    ("interop.word_vectors", ("read_word_vectors", "write_word_vectors")),
    ("interop.run_logs", ("export_logs", "follow_logs")),
    ("interop.run_export", ("export_run",)),
    ("rundir", ("RunDir",)),
    ("estimate", ("Estimate", "estimate_runs")),
    ("sweep_file", ("SweepPlan", "read_sweep", "plan_sweep")),
    ("sweep", ("run_sweep",)),
    ("phase", ("PhaseDiagram", "phase_diagram", "describe_phase")),
    ("phase_plot", ("phase_figure",)),
    ("cost", ("ShardedCost",)),
    ("path_settings", ("PathSettings",)),
    ("recall_settings", ("RecallSettings",)),
)

FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$|<!--.*?-->|^#.*?$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(?<![\[`])`([A-Za-z_]\w*)(?:\(\))?`(?![`\]])")


def public_names(root: Path, package: str) -> dict[str, tuple[str, ...]]:
    """The public map of a package as its __init__ states it: file -> names."""
    tree = ast.parse((root / package / "__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    return {str(node.module): tuple(one.name for one in node.names) for node in imports}


def on_files(files: Any, config: Any) -> Any:
    root = Path(config.config_file_path).parent
    for name, text in {**theory_pages(root), **kernel_pages(root), "sims": sims_page(), "commands": commands()}.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    if page.file.src_uri.startswith("reference/"):
        return markdown
    entries = _entries(Path(config.config_file_path).parent)
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    def link(found: re.Match[str]) -> str:
        entry = entries.get(found[1])
        return f"[{found[0]}][{entry}]" if entry else found[0]

    linked = CODE.sub(link, FENCED.sub(keep, markdown))
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], linked)


def on_page_content(html: str, **_: Any) -> str:
    return html.replace(".types/fiedler/", "")  # the folder through which the packages are found under their names


def theory_pages(root: Path) -> dict[str, str]:
    public = public_names(root, "theory")
    placed = [name for _, _, names in THEORY.values() for name in names.split()]
    if missing := sorted(set(public) ^ set(placed)):
        raise ValueError(f"docs/hooks/reference_pages.py: THEORY and theory/__init__.py differ by {missing}")
    return {
        page: f"# {title}\n\n{text} All names below are importable from `fiedler.theory`.\n\n"
        + "".join(_module(f"fiedler.theory.{name}", public[name]) for name in names.split())
        for page, (title, text, names) in THEORY.items()
    }


def kernel_pages(root: Path) -> dict[str, str]:
    public = public_names(root, "kernels")
    text = (
        "# Kernels\n\nFused softmax cross-entropy in PyTorch and Triton; which one to call: "
        "[kernel guide](../kernels.md). All names below are importable from `fiedler.kernels`.\n\n"
    )
    return {"kernels": text + "".join(_module(f"fiedler.kernels.{name}", names) for name, names in public.items())}


def sims_page() -> str:
    text = (
        "# Runs and comparison\n\nWhat `fiedler compare`, `train`, `score` and `sweep` are made of, for use from "
        "Python: import each name from its module, as in `from fiedler.sims.compare import compare`.\n\n"
    )
    return text + "".join(_module(f"fiedler.sims.{name}", names) for name, names in SIMS)


def commands() -> str:
    """Every command with its arguments and options, read from the command line itself."""
    import typer

    from fiedler.sims.cli import app

    parts = ["# Commands\n\nWhat `fiedler COMMAND --help` says. [Guide](../guide.md): what the numbers mean.\n"]
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        arguments = " ".join(_argument(one) for one in command.params if one.param_type_name == "argument")
        parts.append(f"## fiedler {name}\n\n`fiedler {name} {arguments}`\n\n{_cell(command.help)}\n")
        rows = [row for one in command.params if (row := _row(one))]
        if rows:
            parts.append("| option or argument | default | what it does |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _row(one: Any) -> str | None:
    if one.name == "help" or getattr(one, "hidden", False):
        return None
    names = [*one.opts, *one.secondary_opts] if one.param_type_name == "option" else [_argument(one)]
    default = "" if one.default in (None, (), [], "") or callable(one.default) else f"`{one.default}`"
    return f"| {', '.join(f'`{name}`' for name in names)} | {default} | {_cell(one.help or '')} |"


def _argument(one: Any) -> str:
    return str(one.metavar or one.name.upper()) + ("..." if one.nargs == -1 else "")


def _cell(text: str) -> str:
    """One line of plain text in a table: characters that Markdown would read go as entities."""
    flat = " ".join((text or "").split())
    return re.sub(r"[\\|<>*_\[\]`]", lambda found: f"&#{ord(found[0])};", flat)


def _module(module: str, names: tuple[str, ...]) -> str:
    members = "".join(f"        - {name}\n" for name in names)
    return f"::: {module}\n    options:\n      members:\n{members}\n"


def _entries(root: Path) -> dict[str, str]:
    found = {}
    for package in ("theory", "kernels"):
        for module, names in public_names(root, package).items():
            found.update({name: f"fiedler.{package}.{module}.{name}" for name in names})
    return found
