"""Token sequences of the path tasks, in the weights and in the context.

    edge            [EDGE] u                           -> v
    path            [PATH] leaf [PAUSE] ... [PAUSE]    -> root n1 ... leaf     (reverse task: leaf ... n1 root)
    in context      u v | u v | ... / root leaf >      -> root n1 ... leaf     (reverse task: leaf ... n1 root)

An in-context prompt lists the edges of a fresh random graph, parent first, in random order. A sequence's inputs are its
question and all targets but the last; a teacherless model reads "$" in the place of those targets. The loss counts
targets alone. Source: arXiv 2510.26745, sec. 2 and app. B.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..suggest import choose
from .settings import EDGE_DIRECTIONS, TASKS
from .star import StarPaths
from .tokens import Vocabulary

HARDEST = 1  # of the targets: the first node after the root


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows of one form. ``inputs`` (B, T) and ``targets`` (B, K) int64 tokens; ``positions`` (K,): the model's output
    at input ``positions[k]`` is to be target k."""

    inputs: Tensor
    targets: Tensor
    positions: Tensor

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def rows(self, index: Tensor | NDArray[np.integer]) -> Examples:
        """The rows of those numbers."""
        chosen = torch.as_tensor(index)
        return replace(self, inputs=self.inputs[chosen], targets=self.targets[chosen])

    def target(self, k: int) -> Examples:
        """The same rows with target ``k`` alone, and no input after the one it is predicted at."""
        end = int(self.positions[k]) + 1
        return Examples(self.inputs[:, :end], self.targets[:, k : k + 1], self.positions[k : k + 1])

    def to(self, device: torch.device) -> Examples:
        """The same on another device."""
        return Examples(self.inputs.to(device), self.targets.to(device), self.positions.to(device))


def edge_examples(star: StarPaths, vocabulary: Vocabulary, directions: str = "both") -> Examples:
    """One row for each edge and direction: all forward edges (away from the root), then all backward ones.

    Raises ValueError for unknown directions.
    """
    if directions not in EDGE_DIRECTIONS:
        raise ValueError(f"unknown edges {directions!r}; {choose(directions, EDGE_DIRECTIONS)}")
    parts = {"forward": [star.edges], "backward": [star.edges[:, ::-1]], "both": [star.edges, star.edges[:, ::-1]]}
    pairs = vocabulary.encode(np.concatenate(parts[directions]))
    edge = np.full(len(pairs), vocabulary.special("[EDGE]"))
    inputs = np.stack([edge, pairs[:, 0]], axis=1)
    return Examples(torch.from_numpy(inputs), torch.from_numpy(pairs[:, 1:].copy()), torch.tensor([1]))


def path_examples(
    star: StarPaths, vocabulary: Vocabulary, pause: int, task: str = "forward", teacherless: bool = False
) -> Examples:
    """One row for each path, in their order. Raises ValueError for an unknown task or fewer than no pause tokens."""
    _check_task(task)
    if pause < 0:
        raise ValueError(f"pause must be a number of tokens >= 0; got {pause}")
    nodes = vocabulary.encode(star.paths)
    targets = nodes[:, ::-1].copy() if task == "reverse" else nodes
    count = len(nodes)
    question = [np.full((count, 1), vocabulary.special("[PATH]")), nodes[:, -1:]]
    question.append(np.full((count, pause), vocabulary.special("[PAUSE]")))
    return _with_targets(torch.from_numpy(np.concatenate(question, axis=1)), torch.from_numpy(targets), vocabulary,
                         teacherless)  # fmt: skip


def context_examples(
    arms: int, length: int, count: int, vocabulary: Vocabulary, generator: torch.Generator, teacherless: bool = False,
    task: str = "forward",
) -> Examples:  # fmt: skip
    """``count`` fresh path-stars with ``arms`` arms of ``length`` nodes, the labels and the goal's arm drawn from
    ``generator``. Both tasks have the same question. Raises ValueError unless ``vocabulary`` has one token for each
    node of such a graph, and for an unknown task."""
    _check_task(task)
    step = length - 1
    n = arms * step + 1
    if vocabulary.nodes != n:
        raise ValueError(f"{arms} arms of length {length} have {n} nodes; got a vocabulary of {vocabulary.nodes}")
    children = torch.arange(1, n)
    parents = torch.where((children - 1) % step == 0, torch.zeros_like(children), children - 1)
    labels = torch.rand(count, n, generator=generator).argsort(dim=1)
    order = torch.rand(count, n - 1, generator=generator).argsort(dim=1)
    arm = torch.randint(arms, (count, 1), generator=generator)
    path = torch.cat([torch.zeros(count, 1, dtype=torch.int64), 1 + arm * step + torch.arange(step)], dim=1)

    def token(name: str, width: int = 1) -> Tensor:
        return torch.full((count, width), vocabulary.special(name))

    ends = [torch.gather(labels, 1, side[order]) for side in (parents, children)]
    listed = torch.stack([*ends, token("|", n - 1)], dim=2).flatten(1)
    targets = torch.gather(labels, 1, path)
    question = torch.cat([listed, token("/"), targets[:, :1], targets[:, -1:], token(">")], dim=1)
    targets = targets.flip(1) if task == "reverse" else targets
    return _with_targets(question, targets, vocabulary, teacherless)


def neighbour_choices(star: StarPaths, vocabulary: Vocabulary) -> Tensor:
    """(1, d) int64: the tokens of the root's neighbours, the same for every path of ``paths.examples``."""
    return torch.from_numpy(vocabulary.encode(np.unique(star.first_hops)))[None]


def context_choices(prompts: Examples, arms: int, length: int) -> Tensor:
    """(B, arms) int64: the tokens of the root's children in each of the forward ``context_examples``, as its edges list
    them."""
    listed = prompts.inputs[:, : 3 * arms * (length - 1)].unflatten(1, (-1, 3))
    root = prompts.targets[:, :1]
    return listed[..., 1][listed[..., 0] == root].view(len(prompts), arms)


def _check_task(task: str) -> None:
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; {choose(task, TASKS)}")


def _with_targets(question: Tensor, targets: Tensor, vocabulary: Vocabulary, teacherless: bool) -> Examples:
    seen = targets[:, :-1]
    if teacherless:
        seen = torch.full_like(seen, vocabulary.special("$"))
    start = question.shape[1] - 1
    return Examples(torch.cat([question, seen], dim=1), targets, start + torch.arange(targets.shape[1]))
