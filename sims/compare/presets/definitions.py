"""Named sets of tiny-graph runs: the figures and tables of arXiv 2510.26745, with the hyper-parameters of its release.

A preset is a list of cells, each some models on one task; figures have a row for each cell. What the paper does not
state (Mamba and the MLP on tiny graphs, which its release has no notebooks of) is chosen here and says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fiedler.theory import ReadOptions, parse

from ...models.registry import Model, get_model
from ...suggest import choose
from ...tasks.task import Task
from .published import GRAPHS
from .rungs import BRIDGE, DEPTHS, FOUR_CELLS, RETENTION, RUNGS, STARTS, Rung

STAR, GRID, CYCLE, IRREGULAR = GRAPHS
RANDOM = "random:20,30,0"
READING, AS_USUAL = tuple(one.name for one in dataclasses.fields(ReadOptions)), ReadOptions()


@dataclass(frozen=True)
class PresetModel:
    """A model of a preset: ``word`` for ``get_model``; ``name`` and ``title`` in tables; ``published``: its key in
    ``published``; ``weights``: how its loss weighs nodes ("node" or "line", see ``Task``)."""

    word: str
    name: str
    title: str
    published: str = ""
    weights: str = "line"

    def model(self) -> Model:
        """The model under its name here."""
        return dataclasses.replace(get_model(self.word), name=self.name, title=self.title)


@dataclass(frozen=True)
class Cell:
    """Models on one graph; ``symmetrize`` and ``reading``, of its file: see ``theory.parse``, the others ``Task``."""

    graph: str
    models: tuple[PresetModel, ...]
    edges: str = "both"
    self_edges: bool = False
    label_smoothing: float = 0.0
    window: int = 1
    p: float = 1.0
    q: float = 1.0
    symmetrize: bool = False
    reading: ReadOptions = AS_USUAL

    @property
    def name(self) -> str:
        """Unique inside a preset."""
        return self.graph + self.extra

    @property
    def extra(self) -> str:
        """What the task has beside the graph, "" for the plain one."""
        extra = ("" if self.edges == "both" else f" {self.edges}") + (" self-edges" if self.self_edges else "")
        extra += f" smoothed {self.label_smoothing:g}" if self.label_smoothing else ""
        walk = [f" {name} {getattr(self, name):g}" for name in ("window", "p", "q") if getattr(self, name) != 1]
        return extra + "".join(walk) + (" symmetrized" if self.symmetrize else "")

    def parts(self) -> list[tuple[str, list[PresetModel]]]:
        """Each way of weighing, Node2Vec's first, with its models."""
        each = [(weights, [one for one in self.models if one.weights == weights]) for weights in ("node", "line")]
        return [(weights, models) for weights, models in each if models]

    def tasks(self) -> list[tuple[Task, list[PresetModel]]]:
        """The task of each part, with its models."""
        graph = parse(self.graph, symmetrize=self.symmetrize, options=self.reading)
        walk = (self.window, self.p, self.q)
        return [
            (Task(graph, self.self_edges, self.label_smoothing, *walk, edges=self.edges, weights=weights), models)
            for weights, models in self.parts()
        ]


@dataclass(frozen=True)
class Preset:
    """``source``: the figure or table; ``vector_bars``: whether the paper's own bars ||V'e_i|| are drawn, too;
    ``ladder``: whether it is shown as one, each model against the flow of its own linear net, on any graph; ``graph``
    and ``options``: the one it is made for there, and what its tasks have beside their graphs, by the names of
    ``Cell``, of ``ReadOptions`` and "weights"."""

    name: str
    title: str
    source: str
    cells: tuple[Cell, ...]
    vector_bars: bool = False
    ladder: bool = False
    graph: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def on(self, graph: str | None, **options: Any) -> Preset:
        """The preset on that one graph, or its own where None, with those ``options``. Raises ValueError for one whose
        settings are made for its own graphs, for an option that its cells differ in, and, without a graph, for one that
        says how its file is read."""
        if not self.ladder:
            if graph is None:
                given = ", ".join(_flag(*one) for one in options.items())
                raise ValueError(f"--preset {self.name} fixes its tasks: leave out {given}, or take --preset ladder")
            raise ValueError(f"--preset {self.name} has graphs of its own: leave out {graph}, or take --preset ladder")
        of_models = {name: options[name] for name in options if name == "weights"}
        of_file = {name: options[name] for name in options if name in READING}
        of_cells = {name: options[name] for name in options if name not in {*of_models, *of_file}}
        for name, value in of_cells.items():
            if len({getattr(cell, name) for cell in self.cells}) > 1:
                raise ValueError(f"--preset {self.name} compares with and without {_flag(name, value)}: leave it out")
        if of_file and graph is None:
            given = ", ".join(_flag(*one) for one in of_file.items())
            raise ValueError(f"--preset {self.name} without a GRAPH reads no file: give the file, or leave out {given}")
        if of_file:
            of_cells["reading"] = ReadOptions(**of_file)
        if graph is not None:
            of_cells["graph"] = graph
        cells = dict.fromkeys(
            dataclasses.replace(
                cell, **of_cells, models=tuple(dataclasses.replace(one, **of_models) for one in cell.models)
            )
            for cell in self.cells
        )
        return dataclasses.replace(self, cells=tuple(cells), graph=graph, options=options)


def _flag(name: str, value: Any) -> str:
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


def _net(settings: str) -> str:
    return f"one-layer:{settings},bias=true,other_tokens=9"


# Settings after a colon: those of the release's notebooks (width, rate, steps), by graph. Every weight starts at 0.02.
_NODE2VEC = PresetModel("node2vec", "node2vec", "Node2Vec", "node2vec", "node")
_STEPS = {STAR: 500, GRID: 500, CYCLE: 700, IRREGULAR: 2500}
_NET = {
    STAR: _net("width=32,learning_rate=0.01,steps=500,schedule=cosine"),
    GRID: _net("width=32,learning_rate=0.01,steps=500,schedule=cosine"),
    CYCLE: _net("width=512,learning_rate=0.01,steps=10000"),
    IRREGULAR: _net("width=16,learning_rate=0.005,steps=1000"),
}
# Learned positions start at N(0, 1) in the release: fifty times the tokens, which then first move all together.
_GPT = "position_std=1,other_tokens=9"
_FROZEN = "frozen=true,schedule=cosine"
_SLOW = {
    STAR: _net(f"width=32,learning_rate=0.2,steps=500,{_FROZEN}"),
    GRID: _net(f"width=32,learning_rate=0.2,steps=500,{_FROZEN}"),
    # with positions, whose one vector fifty times the tokens' size makes them hard to tell apart
    CYCLE: _net(f"width=15,learning_rate=10,steps=5000,position_std=1,{_FROZEN}"),
    IRREGULAR: _net(f"width=16,learning_rate=2,steps=500,{_FROZEN}"),
}
_DECAY = {STAR: 0.0, GRID: 0.0, CYCLE: 0.001, IRREGULAR: 0.001}
_SELF_NET = {
    STAR: _net("width=32,learning_rate=0.05,steps=500,schedule=cosine"),
    GRID: _net("width=16,learning_rate=0.1,steps=500,schedule=cosine"),
    CYCLE: _net("width=512,learning_rate=0.01,steps=10000"),
    IRREGULAR: _net("width=64,learning_rate=0.05,steps=1000"),
}
_FORWARD = {STAR: (32, 500), GRID: (32, 1000), CYCLE: (32, 700), IRREGULAR: (48, 2000)}


def _transformer(graph: str, published: str = "transformer") -> PresetModel:
    word = f"transformer:learning_rate=0.01,steps={_STEPS[graph]},{_GPT}"
    return PresetModel(word, "transformer", "Transformer", published)


def _one_layer(graph: str) -> PresetModel:
    return PresetModel(_NET[graph], "one-layer", "One-layer net", "one-layer")


def _mlp(graph: str) -> PresetModel:
    word = f"mlp:width=32,learning_rate=0.005,steps={max(1000, _STEPS[graph])},schedule=cosine,other_tokens=9"
    return PresetModel(word, "mlp", "MLP")


def _mamba(graph: str) -> PresetModel:
    word = f"mamba:width=16,learning_rate=0.01,steps={_STEPS[graph]},other_tokens=9"
    return PresetModel(word, "mamba", "Mamba")


def _associative(graph: str) -> PresetModel:
    return PresetModel(_SLOW[graph], "associative", "Associative", "associative")


def _associative_fast(graph: str) -> PresetModel:
    settings = f"width=512,learning_rate=0.1,steps=10,weight_decay={_DECAY[graph]},frozen=true"
    return PresetModel(_net(settings), "associative-fast", "Associative, fast", "associative-fast")


def _all(graph: str) -> tuple[PresetModel, ...]:
    return (
        _associative(graph),
        _transformer(graph),
        _mamba(graph),
        _mlp(graph),
        _one_layer(graph),
        _NODE2VEC,
    )


def _self_edges(graph: str) -> tuple[PresetModel, ...]:
    return (
        _transformer(graph, "transformer-self-edges"),
        PresetModel(_SELF_NET[graph], "one-layer", "One-layer net", "one-layer-self-edges"),
        dataclasses.replace(_NODE2VEC, published="node2vec-self-edges"),
    )


def _forward(graph: str) -> tuple[PresetModel, ...]:
    width, steps = _FORWARD[graph]
    word = f"transformer:width={width},learning_rate=0.01,steps={steps},{_GPT}"
    return (PresetModel(word, "transformer", "Transformer", "transformer-forward"),)


def _knob(name: str, settings: str) -> PresetModel:
    word = _net(f"width=512,steps=10000,{settings}")
    return PresetModel(word, name.replace(" ", "-").replace(",", ""), name, name)


_KNOBS = (
    _knob("small init, rate 0.01", "learning_rate=0.01"),
    _knob("small init, rate 0.0001", "learning_rate=0.0001"),
    _knob("large init, rate 0.0001", "learning_rate=0.0001,embedding_std=1"),
    _knob("large init, rate 0.1", "learning_rate=0.1,embedding_std=1"),
    _knob("large init, decay 10", "learning_rate=0.0001,embedding_std=1,weight_decay=10"),
    _knob("large init, dropout 0.4", "learning_rate=0.001,embedding_std=1,dropout=0.4"),
)


def _part(name: str, settings: str, title: str, kind: str = "transformer") -> PresetModel:
    return PresetModel(f"{kind}:{settings}" if settings else kind, name, title, weights="node")


# What the theory leaves out, one at a time. Plain descent steps by 0.01 of flow time, as Node2Vec does; 600 steps end
# before the Transformer's inner weights grow.
_PARTS = (
    _NODE2VEC,
    _part("descent", "optimiser=sgd,steps=600", "Transformer, GD"),
    _part("descent-late", "optimiser=sgd,steps=2500", "GD, 2,500 steps"),
    _part("transformer", "steps=700", "Transformer, Adam"),
    _part("no-layer-norm", "steps=700,layer_norm=false", "no layer norm"),
    _part("no-attention", "steps=700,attention=false", "no attention"),
    _part("no-residual", "steps=700,residual=false", "no residuals"),
    _part("three-layers", "steps=700,layers=3", "three layers"),
    _part("untied", "steps=700,tied=false", "untied"),
    _part("one-layer", "steps=1000", "One-layer net", "one-layer"),
    _part(
        "one-layer-descent",
        "optimiser=sgd,init_std=0.1,learning_rate=0.02,steps=20000",
        "One-layer net, GD",
        "one-layer",
    ),
)


def _ladder(
    name: str, title: str, rungs: tuple[Rung, ...], graphs: Iterable[str], *smoothings: float, bridge: bool = False
) -> Preset:
    """``bridge``: every graph without and with self-edges."""
    models = tuple(PresetModel(rung.word, rung.name, rung.title, weights="node") for rung in rungs)
    source = "section 4's question what carries over from Node2Vec"
    cells = tuple(
        Cell(graph, models, self_edges=self_edges, label_smoothing=e)
        for graph in graphs
        for self_edges in ((False, True) if bridge else (False,))
        for e in smoothings or (0.0,)
    )
    return Preset(name, title, source, cells, ladder=True)


_LADDERS = (
    _ladder("ladder", "From Node2Vec to a Transformer, part by part", RUNGS, GRAPHS),
    _ladder("depth", "Linear nets by depth and width", DEPTHS, (*GRAPHS, RANDOM)),
    _ladder("four-cells", "Tied and untied, on sparse and smoothed targets", FOUR_CELLS, ("cycle:7", CYCLE), 0.0, 0.15),
    _ladder("bridge", "Examples u -> u, untied: input and output embeddings", BRIDGE, GRAPHS, bridge=True),
    _ladder("retention", "Crossing is not retention: one layer long after its peak", RETENTION, GRAPHS),
    _ladder("starts", "Geometry or lookup: one layer by width and start", STARTS, (STAR, GRID, CYCLE)),
)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "fig1",
            "Associative, Transformer, Mamba, MLP, one-layer net and Node2Vec on four graphs",
            "figure 1 (and 12-15)",
            tuple(Cell(graph, _all(graph)) for graph in GRAPHS),
            vector_bars=True,
        ),
        Preset(
            "fig7",
            "Node2Vec: energy in the Fiedler-like vectors, and ||C e|| on them",
            "figure 7 (figure 9 in later versions)",
            tuple(Cell(graph, (_NODE2VEC,)) for graph in GRAPHS),
            vector_bars=True,
        ),
        *(
            Preset(name, f"All models on {graph}", f"figure {name.removeprefix('fig')}", (Cell(graph, _all(graph)),))
            for name, graph in zip(("fig12", "fig13", "fig14", "fig15"), GRAPHS, strict=True)
        ),
        Preset(
            "fig21",
            "Transformer: both directions of every edge against forward edges only",
            "figure 21",
            tuple(
                Cell(graph, models(graph), edges=edges)
                for graph in GRAPHS
                for edges, models in (("both", lambda g: (_transformer(g),)), ("forward", _forward))
            ),
        ),
        Preset(
            "self-edges",
            "Every node among its own targets",
            "the self-edge figures of version 2",
            tuple(Cell(graph, _self_edges(graph), self_edges=True) for graph in GRAPHS),
        ),
        Preset(
            "lookup",
            "Frozen embeddings: the associative memory, slow and in a few steps",
            "section 3.1 and its lookup in two steps",
            tuple(Cell(graph, (_associative(graph), _associative_fast(graph))) for graph in GRAPHS),
        ),
        Preset(
            "parts",
            "Where the theory stops holding: optimiser, layer norm, attention, residuals, depth, tying",
            "section 4's question what carries over from Node2Vec",
            tuple(Cell(graph, _PARTS) for graph in (CYCLE, STAR)),
        ),
        *_LADDERS,
        Preset(
            "knobs",
            "One-layer net of width 512 on the 15-cycle: what makes its memory geometric",
            "the ablation of initialisation, rate, decay and dropout",
            (
                Cell(CYCLE, _KNOBS),
                Cell(CYCLE, (_knob("small init, self-edges", "learning_rate=0.01"),), self_edges=True),
            ),
        ),
    )
}


def get_preset(name: str, graph: str | None = None, options: Mapping[str, Any] | None = None) -> Preset:
    """The preset called ``name``, on its own graphs or one, and with ``options``, see ``Preset.on``. Raises ValueError,
    suggesting the nearest, for any other name."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; {choose(name, PRESETS)}")
    return PRESETS[name] if graph is None and not options else PRESETS[name].on(graph, **(options or {}))
