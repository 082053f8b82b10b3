"""Path runs as text: the table of conditions, and report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...draw.markdown import settings_lines

# column title, key of a condition's summary
COLUMNS = (
    ("first token", "first_token_accuracy"),
    ("choice", "first_token_choice"),
    ("whole path", "path_accuracy"),
    ("first token, seen", "train_first_token_accuracy"),
    ("nodes recalled", "edge_recall"),
    ("edges recalled", "edge_hits"),
)


def path_rows(answer: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and one row a condition: mean ± standard deviation over seeds of the held-out metrics at the end."""
    header = ["condition", "seeds", "chance", *(title for title, _ in COLUMNS), "near own hop",
              "p", "p choice", "minutes"]  # fmt: skip
    rows = []
    for name in answer["conditions"]:
        one = answer[name]
        near = [seed["geometry"]["test"]["nearest_first_hop"] for seed in one["per_seed"] if "geometry" in seed]
        seconds = [seed["seconds"] for seed in one["per_seed"]]
        rows.append(
            [
                name.replace("_", " "),
                str(len(one["per_seed"])),
                f"{one['chance']:.3g}",
                *(_mean(one, key) for _, key in COLUMNS),
                f"{sum(near) / len(near):.2f}" if near else "–",
                f"{one['first_token_p_value']:.2g}",
                f"{one['first_token_choice_p_value']:.2g}" if "first_token_choice" in one else "–",
                f"{sum(seconds) / len(seconds) / 60:.1f}",
            ]
        )
    return header, rows


def path_markdown(answer: Mapping[str, Any], environment: Mapping[str, Any], figures: Sequence[str]) -> str:
    """report.md: table, figures, positions, settings, command and versions."""
    header, rows = path_rows(answer)
    lines = [f"# {answer['graph']}: paths from memory", ""]
    lines += _table(header, rows)
    lines += [
        "",
        "Held-out paths at the last step, mean ± standard deviation over seeds. First token: the node after the",
        "root, the root given (seen: of training paths). Choice: the same, the most likely of the root's neighbours",
        "alone taken as the answer (not for the reverse task). Whole path: greedy, every token right. Nodes recalled:",
        "share of nodes all of whose deg(u) neighbours are among the deg(u) most likely tokens; edges recalled:",
        "share of edges (u, v) with v among them. Near own hop: share of unseen leaves whose nearest first hop is",
        "their own. p: exact binomial probability of so many right first tokens by guessing among the root's",
        "neighbours, seeds together; p choice: two-sided, of a number of right choices as far from chance.",
        "Minutes: of one seed.",
        "",
        *(line for figure in figures for line in (f"![{_title(figure)}]({figure})", "")),
        "## Positions",
        "",
        *_table(
            ["condition", *(f"target {k + 1}" for k in range(_positions(answer)))],
            [
                [name.replace("_", " "), *(f"{value:.3f}" for value in answer[name]["per_position"])]
                for name in answer["conditions"]
            ],
        ),
        "",
        "Held-out accuracy of each target, those before it given.",
        "",
        "## Settings",
        "",
        *settings_lines({name: vars(answer[name]["settings"]) for name in answer["conditions"]}),
        "",
        f"Command: `{environment.get('command')}`. "
        + ", ".join(f"{name} {version}" for name, version in environment.get("versions", {}).items() if version)
        + f"; {environment.get('processor')}.",
        "",
    ]
    return "\n".join(lines)


def _mean(summary: Mapping[str, Any], key: str) -> str:
    if key not in summary:
        return "–"
    spread = summary[f"{key}_sd"]
    return f"{summary[key]:.3f}" + ("" if spread is None else f" ± {spread:.3f}")


def _positions(answer: Mapping[str, Any]) -> int:
    return max(len(answer[name]["per_position"]) for name in answer["conditions"])


def _title(figure: str) -> str:
    return {"curves": "Learning curves", "heat": "Cosine distances of leaves, first hops and paths"}.get(
        figure.rpartition("/")[2].partition(".")[0], "Projection of paths"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]
