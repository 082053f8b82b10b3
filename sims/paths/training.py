"""One seed of a path task in training: a Hugging Face causal LM, AdamW, and batches drawn from the seed.

On the CPU in float32, and going on from a checkpoint gives the same bits as never having stopped; on CUDA under
bfloat16 autocast with a compiled trunk. On both the loss is the fused linear cross-entropy, which never stores the
logits of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fiedler.kernels import graph_cross_entropy, linear_cross_entropy
from fiedler.kernels.linear.heads import output_head, trunk
from fiedler.kernels.linear.own_loss import verify_head
from fiedler.theory import Graph

from ..models.architectures import build_causal_lm, mamba_sizes
from ..models.devices import check_device
from ..models.guidance import make_guidance
from ..models.protocol import Diverged
from ..models.streams import Stream
from ..models.switches import Switches
from ..models.torch_state import learned_state, load_learned_state
from ..runs.one_run import record_steps
from ..tasks.task import Task
from .data import Batch, InWeightsData, make_data
from .film import Film
from .neighbours import NeighbourTargets
from .settings import PathSettings

SMALL = 64  # tokens of the vocabulary and the context where only the other sizes matter


class PathTraining:
    """The run of ``settings`` on ``graph`` at one ``step``. ``device``: "cpu" or "cuda".

    Leaves torch's own random state as it was. Raises ValueError for a graph, settings or an architecture that do not
    fit, and for a device that is not there.
    """

    def __init__(self, graph: Graph, settings: PathSettings, seed: int, *, device: str = "cpu") -> None:
        check_device(device)
        self.settings, self.seed, self.step = settings, seed, 0
        self.device = torch.device(device)
        self.data = make_data(graph, settings, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = build_path_model(settings, self.data.vocabulary.size, self.data.longest)
            self._nodes = torch.from_numpy(np.array(self.data.vocabulary.node_tokens))
            guidance = make_guidance(settings.geometry, settings.geometry_strength, Task(graph))
            if guidance is not None:
                rows = self.model.get_input_embeddings().weight.detach()
                rows[self._nodes] = guidance.start(rows[self._nodes])
        self.model = self.model.to(self.device)
        self._nodes, self._guidance = self._nodes.to(self.device), guidance and guidance.to(self.device)
        few = self.data.batches(settings.edge_steps, torch.Generator())[0].inputs
        verify_head(self.model, few.to(self.device))
        if output_head(self.model).scale != 1.0 or output_head(self.model).logit_softcap is not None:
            raise ValueError(f"{settings.arch} scales or caps its logits; use gpt2, gpt-neox, llama or mamba")
        self._weights = dict(self.model.named_parameters())
        whole = trunk(self.model)
        self._trunk = torch.compile(whole, dynamic=False) if self.device.type == "cuda" else whole
        # Fused: one call for all weights, which are small.
        self._optimiser = torch.optim.AdamW(
            [weight for weight in self.model.parameters() if weight.requires_grad],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        seeds = np.random.SeedSequence((seed, Stream.PATH_BATCHES)).generate_state(1)
        self._generator = torch.Generator().manual_seed(int(seeds[0]))
        star = self.data.star if isinstance(self.data, InWeightsData) else None
        self._film = None if star is None else Film(star, settings.width, record_steps(settings))

    @property
    def parameters(self) -> int:
        """How many weights the model has, a tied one once."""
        return sum(weight.numel() for weight in self.model.parameters())

    def advance(self) -> None:
        """One step. Raises Diverged where the loss is not finite."""
        self.model.train()
        for group in self._optimiser.param_groups:
            group["lr"] = self.settings.rate(self.step)
        self._optimiser.zero_grad(set_to_none=True)
        batches = [batch.to(self.device) for batch in self.data.batches(self.step, self._generator)]
        loss = torch.stack([self._loss(batch) for batch in batches]).sum()
        if self._guidance is not None and self._guidance.adds_loss:
            loss = loss + self._guidance.penalty(self.model.get_input_embeddings().weight[self._nodes])
        if not bool(torch.isfinite(loss)):
            raise Diverged(f"training diverged at step {self.step}", "lower the learning rate", self.step)
        loss.backward()
        self._optimiser.step()
        self.step += 1

    def measure(self) -> dict[str, Any]:
        """Every metric now, with the step. Raises Diverged where a loss is not finite."""
        self.model.eval()
        with torch.no_grad():
            record = {"step": self.step, **self.data.measure(self._predict, self.device)}
        if not np.isfinite(record["loss"]):
            raise Diverged(f"training diverged before step {self.step}", "lower the learning rate", self.step)
        if self._film is not None:
            self._film.take(self.step, self.embedding())
        return record

    def embedding(self) -> NDArray[np.float32]:
        """The token embeddings of the nodes, in the order of the nodes: (n, width) float32."""
        weight = self.model.get_input_embeddings().weight.detach().float().cpu().numpy()
        return np.ascontiguousarray(weight[self.data.vocabulary.node_tokens])

    def results(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What a finished run keeps: the embeddings of the nodes, and the film of them."""
        film = {} if self._film is None else self._film.arrays()
        return {"embedding": self.embedding(), **film}, {}

    def state(self) -> dict[str, NDArray[Any]]:
        """What ``restore`` needs: weights, the optimiser's moments, the random state and the film."""
        film = {} if self._film is None else self._film.state()
        state = learned_state(self._weights, self._optimiser)
        return {**state, "generator": self._generator.get_state().numpy(), **film}

    def restore(self, step: int, kept: Mapping[str, NDArray[Any]]) -> None:
        """Go on from ``state()`` of ``step``."""
        load_learned_state(self._weights, self._optimiser, kept)
        self._generator.set_state(torch.from_numpy(np.array(kept["generator"])))
        if self._film is not None:
            self._film.restore(kept)
        self.step = step

    def _loss(self, examples: Batch) -> Tensor:
        with self._precision():
            head = output_head(self.model)
            hidden = self._hidden(examples.inputs, examples.positions)
            if isinstance(examples, NeighbourTargets):
                return graph_cross_entropy(
                    hidden[:, 0], head.weight, examples.target, bias=head.bias, row_weight=examples.weight,
                    reduction="mean",
                )  # fmt: skip
            found = linear_cross_entropy(hidden, head.weight, examples.targets, bias=head.bias)
        assert isinstance(found, Tensor)
        return found

    def _predict(self, tokens: Tensor, positions: Tensor) -> Tensor:
        # Lengths change from call to call in a greedy search, so the plain trunk answers, not the compiled one.
        head = output_head(self.model)
        with self._precision():
            hidden = trunk(self.model)(input_ids=tokens).last_hidden_state[:, positions]
            return torch.nn.functional.linear(hidden, head.weight, head.bias)

    def _hidden(self, tokens: Tensor, positions: Tensor) -> Tensor:
        hidden: Tensor = self._trunk(input_ids=tokens).last_hidden_state
        return hidden[:, positions]

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast("cuda", dtype=torch.bfloat16) if self.device.type == "cuda" else nullcontext()


def build_path_model(settings: PathSettings, vocabulary: int, longest: int) -> Any:
    """The untrained model for inputs of up to ``longest`` tokens, weights from torch's current random state.

    Input and output embeddings are tied. Raises ValueError for an architecture that is unknown or refuses the sizes.
    """
    return build_causal_lm(
        settings.arch,
        vocabulary=vocabulary,
        positions=longest,
        width=settings.width,
        layers=settings.layers,
        heads=settings.heads,
        init_std=settings.init_std,
        dropout=0.0,
        switches=Switches(frozen=settings.frozen),
        **mamba_sizes(settings.arch, settings.state_size, settings.expand),
    )


def check_model(settings: PathSettings) -> None:
    """Raises ValueError for an architecture that is unknown or refuses the sizes, without memory for its weights."""
    with torch.device("meta"):
        build_path_model(settings, SMALL, SMALL)
