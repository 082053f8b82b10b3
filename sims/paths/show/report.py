"""Path runs as text: the table of conditions, and report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...draw.markdown import environment_section, markdown_table, settings_lines
from ...draw.over_seeds import DEVIATION_NOTE, mean_and_deviation

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
        condition = answer[name]
        near = [seed["geometry"]["test"]["nearest_first_hop"] for seed in condition["per_seed"] if "geometry" in seed]
        seconds = [seed["seconds"] for seed in condition["per_seed"]]
        rows.append(
            [
                name.replace("_", " "),
                str(len(condition["per_seed"])),
                f"{condition['chance']:.3g}",
                *(_mean(condition, key) for _, key in COLUMNS),
                f"{sum(near) / len(near):.2f}" if near else "–",
                f"{condition['first_token_p_value']:.2g}",
                f"{condition['first_token_choice_p_value']:.2g}" if "first_token_choice" in condition else "–",
                f"{sum(seconds) / len(seconds) / 60:.1f}",
            ]
        )
    return header, rows


def loss_lines(answer: Mapping[str, Any]) -> list[str]:
    """One line a condition: its losses in nats, each beside the entropy below which no model comes."""
    lines = []
    for name in answer["conditions"]:
        one = answer[name]
        if "edge_loss" in one:  # in the weights
            edges = f"edges {one['edge_loss']:.3f} (floor {one['edge_floor']:.3f})"
            lines.append(f"loss, {name.replace('_', ' ')}: {edges}, shown paths {one['train_loss']:.3f} (floor 0)")
    return lines


def path_markdown(answer: Mapping[str, Any], environment: Mapping[str, Any], figures: Sequence[str]) -> str:
    """report.md: table, figures, positions, settings, command and versions."""
    header, rows = path_rows(answer)
    lines = [f"# {answer['graph']}: paths from memory", ""]
    lines += markdown_table(header, rows)
    lines += [
        "",
        f"{DEVIATION_NOTE} Held-out paths at the last step.",
        "First token: the node after the root, the root given (seen: of training paths). Choice: the same, the most",
        "likely of the root's neighbours alone taken as the answer (not for the reverse task). Whole path: greedy,",
        "every token right. Nodes recalled: share of nodes all of whose deg(u) neighbours are among the deg(u) most",
        "likely tokens; edges recalled: share of edges (u, v) with v among them. Near own hop: share of unseen leaves",
        "whose nearest first hop is their own. p: exact binomial probability of so many right first tokens by guessing",
        "among the root's neighbours, seeds together; p choice: two-sided, of a number of right choices as far from",
        "chance. Minutes: of one seed.",
        "",
        *(f"- {line}" for line in loss_lines(answer)),
        "",
        "Loss: mean cross-entropy in nats, of all directed edges and of a target of training paths. The floor of the",
        "first is the entropy of a neighbour, mean log deg(u); of the second 0, as a leaf has one path.",
        "",
        *(line for figure in figures for line in (f"![{_title(figure)}]({figure})", "")),
        "## Positions",
        "",
        *markdown_table(
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
        *environment_section(environment),
        "",
    ]
    return "\n".join(lines)


def _mean(summary: Mapping[str, Any], key: str) -> str:
    if key not in summary:
        return "–"
    return mean_and_deviation(summary[key], summary[f"{key}_sd"], ".3f")


def _positions(answer: Mapping[str, Any]) -> int:
    return max(len(answer[name]["per_position"]) for name in answer["conditions"])


def _title(figure: str) -> str:
    return {"curves": "Learning curves", "heat": "Cosine distances of leaves, first hops and paths"}.get(
        figure.rpartition("/")[2].partition(".")[0], "Projection of paths"
    )
