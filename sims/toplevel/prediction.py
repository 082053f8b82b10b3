"""``fiedler.predict``: what the theory says of a graph, as `fiedler theory` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from fiedler.theory import TiedOptimum

from ..extras import check_part
from ..foreign import visible
from ..predict.describe import LAPLACIAN, describe_theory
from ..suggest import choose
from ..tasks.optimum import reference_optimum, task_optimum
from ..tasks.search import TIME_LIMIT, Search
from ..tasks.task import Task
from .given import TaskOptions, make_task
from .shown import closed, frame, table_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRAMES = ("modes", "spectrum", "optimum", "flow")
LEADING = 5  # eigenvalues that a summary shows


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What is predicted for ``task``. ``answer``: everything, as `fiedler theory --json` prints it (docs/guide.md)."""

    task: Task
    answer: Mapping[str, Any]
    search: Search

    @cached_property
    def optimum(self) -> TiedOptimum:
        """The certified tied optimum with its Gram matrix and embedding, found where it is asked for. Raises ValueError
        for an untied prediction, whose optimum ``answer`` describes."""
        if self.answer["model"] != "tied":
            raise ValueError("the optimum of untied logits is no embedding: see answer['optimum']")
        decay = float(self.answer["weight_decay"])
        return reference_optimum(self.task, decay, self.search) if decay else task_optimum(self.task, self.search)

    @property
    def mode_times(self) -> list[float]:
        """When each growing mode of the early phase reaches order one, in flow time (learning rate x steps)."""
        return [float(time) for time in self.answer.get("mode_times", ())]

    def to_frame(self, of: str = "modes") -> Any:
        """A pandas DataFrame ``of`` the early phase's "modes" (rate, multiplicity, time), the Laplacian's "spectrum",
        the eigenvalues of the "optimum", or the "flow" (time, loss per node). Raises ValueError for what was left out,
        ImportError without pandas."""
        answer = self.answer
        found = {"modes": "growth_rates", "spectrum": "spectrum", "optimum": "optimum", "flow": "flow"}
        if of not in found:
            raise ValueError(f"unknown frame {of!r}; {choose(of, FRAMES)}")
        if found[of] not in answer:
            remedy = "predict(graph, until=...)" if of == "flow" else "predict(graph, optimum=True)"
            raise ValueError(f"the prediction was made without its {of}: {remedy}")
        if of == "modes":
            return frame([{**one, "time": t} for one, t in zip(answer["growth_rates"], self.mode_times, strict=True)])
        if of == "optimum":
            return frame([{"eigenvalue": value} for value in answer["optimum"]["eigenvalues"]])
        if of == "flow":
            return frame([{key: one[key] for key in ("time", "loss_per_node")} for one in answer["flow"]["points"]])
        return frame(answer["spectrum"])

    def plot(self) -> Figure:
        """Spectrum of the optimum's Gram matrix, mode times of the early phase, and the predicted embedding in its
        plane. Raises ImportError without matplotlib."""
        check_part("sims", "Prediction.plot")
        from .prediction_figure import plot_prediction

        return closed(plot_prediction(self.task, self.answer, lambda: self.optimum))

    def summary(self) -> list[tuple[str, str]]:
        """What is most asked for, as name and text."""
        answer = self.answer
        rows = [("spectrum", f"{len(answer['spectrum'])} distinct eigenvalues shown")]
        if "optimum" in answer:
            optimum = answer["optimum"]
            low, high = optimum["rank_low"], optimum["rank_high"]
            leading = ", ".join(f"{value:.4g}" for value in optimum["eigenvalues"][:LEADING])
            more = ", ..." if len(optimum["eigenvalues"]) > LEADING else ""
            rows = [
                ("loss per node", f"{optimum['loss_per_node']:.10g}"),
                ("attained", {True: "yes", False: "no", None: "not known"}[optimum["attained"]]),
                ("rank", str(low) if low == high else f"{low} to {high} (this point: {optimum['rank']})"),
                (f"eigenvalues, {optimum['eigenvalues_of']}", leading + more),
                ("relative duality gap", f"{optimum['relative_gap']:.1e}"),
            ]
        if self.mode_times:
            rows.append(("mode times", ", ".join(f"{time:.4g}" for time in self.mode_times[:LEADING])))
        return rows

    def __repr__(self) -> str:
        facts = dict(self.summary())
        parts = [f"{name} {facts[name]}" for name in ("loss per node", "rank", "relative duality gap") if name in facts]
        return f"Prediction({', '.join([_size(self.task), *parts])})"

    def _repr_html_(self) -> str:
        model = f"{self.answer['model']}, weight decay {self.answer['weight_decay']:g}"
        return table_html(f"Prediction for {_size(self.task)} ({model})", (), self.summary())


def _size(task: Task) -> str:
    return f"{visible(task.title)}: {task.graph.n} nodes, {task.graph.edge_count} edges"


def predict(
    graph: Any,
    *,
    tied: bool = True,
    weight_decay: float = 0.0,
    init_scale: float = 0.01,
    until: float | None = None,
    modes: int | None = None,
    optimum: bool = True,
    tolerance: float | None = None,
    time_limit: float = TIME_LIMIT,
    symmetrize: bool = False,
    laplacian: str = LAPLACIAN,
    **options: Unpack[TaskOptions],
) -> Prediction:
    """Spectrum, certified optimum and mode times of Node2Vec on ``graph``, as `fiedler theory` finds them.

    ``graph``: a NetworkX graph, a SciPy sparse or square NumPy matrix, a graph word such as "karate", a file.
    ``tied``: logits V V' or V U'; ``until``: also the flow up to that time (learning rate x steps); the other
    arguments: as the options of the command, which `fiedler theory --help` explains. Needs no PyTorch.

    Raises TypeError and ValueError for bad input, saying what to give instead.

    >>> import fiedler
    >>> prediction = fiedler.predict("cycle:15")
    >>> round(prediction.answer["optimum"]["loss_per_node"], 6), prediction.answer["optimum"]["rank"]
    (1.434918, 2)
    >>> [round(time, 2) for time in prediction.mode_times]
    [2.52, 3.44, 7.45]
    """
    search = Search(True, tolerance, time_limit)
    task = make_task(graph, symmetrize, options, dense=False)
    answer = describe_theory(
        task,
        tied=tied,
        weight_decay=weight_decay,
        init_scale=init_scale,
        laplacian=laplacian,
        until=until,
        modes=modes,
        optimum=optimum,
        search=search,
    )
    return Prediction(task, answer, search)
