"""Every figure of `fiedler figure`: its name, what it shows, what it is made from and the command that makes that.

fig4 to fig24 have the numbers of arXiv 2510.26745, version 1. Of arXiv 2605.12426 no figure is known to us: what
stands for its claims is called recall-..., scaling and ...threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..suggest import choose

if TYPE_CHECKING:
    from .drawn import Drawn
    from .style import Column

MEMORY, RECALL, OURS = "arXiv 2510.26745", "arXiv 2605.12426", "ours"
DIRECTIONS = tuple(f"{edges}_edges_reverse_path" for edges in ("both", "forward", "backward"))


@dataclass(frozen=True)
class Kind:
    """``paper``: whose figure it is; ``commands``: what makes the folders it is made from, one each, or ``any_one`` of
    them; ``module`` and ``function`` of this package that draw it, with ``options``; ``takes``: further ones, which a
    caller may give."""

    name: str
    paper: str
    shows: str
    commands: tuple[str, ...]
    module: str
    function: str = "draw"
    options: Mapping[str, Any] = field(default_factory=dict)
    any_one: bool = False
    takes: tuple[str, ...] = ()

    def draw(self, folders: Sequence[Path], column: Column, **given: Any) -> Drawn:
        """Draw it, inside the column's style. Raises Unsuitable for folders it cannot be made from, ValueError for
        options it does not take."""
        for name in given:
            if name not in self.takes:
                others = ", ".join(kind.name for kind in KINDS.values() if name in kind.takes)
                raise ValueError(f"{self.name} has no --{name}; the figures with it: {others}")
        found: Callable[..., Drawn] = getattr(import_module(f".{self.module}", __package__), self.function)
        return found(folders, column, **self.options, **given)


def _gallery(name: str, shows: str, graph: str | None = None) -> Kind:
    options = {"preset": name} | ({} if graph is None else {"graph": graph})
    return Kind(name, MEMORY, shows, (f"fiedler compare --preset {name}",), "galleries", options=options)


def _paths(name: str, shows: str, needs: Sequence[str], function: str = "draw", module: str = "path_accuracy",
           preset: str = "", **options: Any) -> Kind:  # fmt: skip
    preset = preset or name
    given = {"preset": preset, "needs": tuple(needs), "about": shows, **options}
    return Kind(name, MEMORY, shows, (f"fiedler paths --preset {preset}",), module, function, given)


_CHOICE = ("path_accuracy", "first_token_accuracy", "first_token_choice")
_COMPARE = ("fiedler compare GRAPH",)
_STARS = ("fiedler paths", "fiedler compare path-star:4x5")
_WIDTHS = tuple(
    f"fiedler compare cycle:15 --model node2vec --width {width} --init-std {std} --out runs/width-{width}"
    for width, std in ((50, 1.0), (200, 0.5), (800, 0.25))
)
_MAMBA: Mapping[str, Any] = {"arch": "mamba"}

KINDS = {
    kind.name: kind
    for kind in (
        _gallery("fig1", "embeddings of every model on the four tiny graphs, beside the theory's"),
        _paths("fig4", "unseen paths found by a Transformer, and the hardest token alone", ("in_weights",),
               positions=("in_weights",)),
        _paths("fig5", "the same in the context: next-token, teacherless, hardest token alone",
               ("in_context_teacherless",), panels=_CHOICE),
        _paths("fig6", "distances of leaves, first hops and paths in a Transformer", ("hardest_token",),
               module="path_maps"),
        Kind("fig7", MEMORY, "Node2Vec's energy ||V'e|| and ||Ce|| in the eigenvectors",
             ("fiedler compare --preset fig7",), "vectors"),
        _paths("fig8", "unseen paths by Mamba", ("in_weights",), panels=_CHOICE, **_MAMBA),
        _paths("fig9", "distances of leaves, first hops and paths in Mamba", ("in_weights",), module="path_maps",
               **_MAMBA),
        _paths("fig10", "Mamba's node embeddings in two coordinates", ("in_weights",), "draw_points", "path_maps",
               "fig9", **_MAMBA),
        _paths("fig11", "tree-stars: leaves held out, and whole arms", ("split_at_leaf", "split_at_first_token")),
        _gallery("fig12", "every model on the path-star", "path-star:4x5"),
        _gallery("fig13", "every model on the grid", "grid:4x4"),
        _gallery("fig14", "every model on the cycle", "cycle:15"),
        _gallery("fig15", "every model on the irregular graph", "irregular"),
        _paths("fig16", "distances of unseen leaves from first hops", ("hardest_token",), module="path_maps",
               preset="fig6", kinds=("hops",), unseen=True),
        _paths("fig17", "distances of paths from paths", ("hardest_token",), module="path_maps", preset="fig6",
               kinds=("paths",)),
        _paths("fig18", "a Transformer's node embeddings in two coordinates", ("hardest_token",), "draw_points",
               "path_maps", "fig6"),
        _paths("fig19", "edge directions and path directions", DIRECTIONS, "draw_ends"),
        _paths("fig20", "forward and reverse paths", ("in_weights", "in_weights_reverse"),
               positions=("in_weights", "in_weights_reverse", "in_context_reverse"),
               panels=("path_accuracy",)),
        _gallery("fig21", "a Transformer trained on both directions of every edge, and on forward edges"),
        _paths("fig22", "pause tokens", ("pause_0",), panels=("path_accuracy", "first_token_accuracy")),
        _paths("fig23", "edges first, then paths", ("staged", "staged_hardest_token")),
        _paths("fig24", "accuracy of every position, teacherless in the context", ("in_context_teacherless",),
               preset="fig5", panels=("path_accuracy",), positions=("in_context_teacherless", "in_context")),
        _gallery("self-edges", "every node among its own targets"),
        _gallery("lookup", "frozen embeddings: the associative memory, slow and in a few steps"),
        Kind("knobs", MEMORY, "geometric margin over initialisation, rate, decay and dropout",
             ("fiedler compare --preset knobs",), "knobs"),
        *(
            Kind(f"recall-{name}", RECALL, shows, (f"fiedler recall --preset {name}",), "recall", "draw_structure",
                 {"preset": name})
            for name, shows in (
                ("structure", "recall, transfer and the predicted structure, trained and frozen"),
                ("parts", "the same over what the structure depends on"),
                ("attributes", "the same over the number of attributes and their sharing"),
            )
        ),
        Kind("recall-hops", RECALL, "accuracy over hops and layers, and the dimensions that constructions need",
             ("fiedler recall --preset multi-hop",), "recall", "draw_hops"),
        Kind("scaling", RECALL, "the smallest dimension that memorises, with fitted laws and intervals",
             ("fiedler recall --preset scaling",), "recall", "draw_laws"),
        Kind("threshold", RECALL, "recall against dimension for every size, plain and over R log2 N",
             ("fiedler recall --preset threshold",), "recall", "draw_threshold"),
        Kind("hop-threshold", RECALL, "the smallest dimension over hops, at once and with chain of thought",
             ("fiedler recall --preset hop-threshold",), "recall", "draw_hop_threshold"),
        Kind("modes", OURS, "predicted mode energies through measured ones, and their ratio", _COMPARE, "modes",
             takes=("modes", "ylim")),
        Kind("spectra", OURS, "predicted and measured spectra of the Gram matrix", _COMPARE, "spectra"),
        Kind("certificate", OURS, "the optimum's KKT certificate: dual slack against Gram eigenvalues", _COMPARE,
             "certificate"),
        Kind("drift", OURS, "how slowly an infimum that is not attained is approached: the flow against its law",
             ("fiedler compare path-star:4x5", "fiedler compare grid:4x4"), "drift"),
        Kind("width-check", OURS, "Node2Vec of several widths against the flow of infinite width", _WIDTHS,
             "width_check"),
        Kind("ladder", OURS, "how much of each model's mode energies its own net's flow explains, and when they part",
             ("fiedler compare --preset ladder",), "ladder"),
        Kind("retention", OURS, "share of the energy in the first eigenspace over time, past its peak: of that preset, "
             "or of any comparison", ("fiedler compare --preset retention", "fiedler compare GRAPH"), "ladder",
             "draw_shares", any_one=True),
        *(
            Kind(f"{name}{more}", OURS, f"{shows}{less}", _STARS, "cosines", function, {"centred": bool(more)}, True)
            for name, shows, function in (
                ("root-cosines", "cosine of every node's embedding with the root's by depth, over training",
                 "draw_root"),
                ("arm-cosines", "cosines within an arm and across arms, over training", "draw_arms"),
            )
            for more, less in (("", ""), ("-centred", ", of embeddings less their mean"))
        ),
        Kind("evolution", OURS, "the embedding over training, in the principal plane of its last step",
             ("fiedler compare GRAPH", "fiedler paths"), "evolution", any_one=True),
        Kind("headroom", OURS, "distance of trained embeddings from the optimum, and what moving them there does",
             ("fiedler headroom",), "headroom"),
        Kind("phase", OURS, "the phase diagram of a sweep, measured and predicted", ("fiedler sweep FILE",), "phase"),
        Kind("roofline", OURS, "kernels: arithmetic done a second over intensity, with the machine's ceiling",
             ("fiedler profile --out DIR",), "roofline"),
    )
}  # fmt: skip


def get_kind(name: str) -> Kind:
    """The figure called ``name``. Raises ValueError, suggesting the nearest, for any other name."""
    if name not in KINDS:
        raise ValueError(
            f"unknown figure {name!r}: {choose(name, KINDS)}. `fiedler figure --list` says what each shows"
        )
    return KINDS[name]
