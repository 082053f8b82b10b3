"""One seed of factual recall in training: a Hugging Face causal LM, AdamW and the fused linear cross-entropy.

float32; going on from a checkpoint gives the same bits as never having stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fiedler.kernels import linear_cross_entropy

from ..models.devices import check_device
from ..models.protocol import Diverged
from ..models.streams import Stream
from ..models.torch_state import learned_state, load_learned_state
from .data import IGNORED, Questions, RecallVocabulary, make_recall_data
from .model import RecallModel
from .settings import CODE_SCALE, RecallSettings

MEASURED_ROWS = 4096  # questions in one forward pass of a measurement
# Matrix products over 5 to 15 dimensions take a CPU up to three times as long as over 16: beyond so many logits a step
# the two factors are filled up with zeros, which add nothing.
LANES, MANY_LOGITS = 16, 2**18


class RecallTraining:
    """The run of ``settings`` at one ``step``. ``device``: "cpu" or "cuda".

    Leaves torch's own random state as it was. Raises ValueError for settings or an architecture that do not fit, and
    for a device that is not there.
    """

    def __init__(self, settings: RecallSettings, seed: int, *, device: str = "cpu") -> None:
        check_device(device)
        self.settings, self.seed, self.step = settings, seed, 0
        self.device = torch.device(device)
        self.data = make_recall_data(settings, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = RecallModel(settings, self.data.vocabulary, self.data.longest)
        self.model.lm.to(self.device)
        tokens, targets = self.data.encode(self.data.shown)
        self._tokens, self._targets = tokens.to(self.device), targets.to(self.device)
        self.model.check(self._tokens[:2])
        self._weights: dict[str, Tensor] = dict(self.model.lm.named_parameters())
        if settings.frozen_codes:
            with torch.no_grad():
                self.model.unembedding.mul_(CODE_SCALE)
            self.model.unembedding.requires_grad_(False)
        trained = [weight for weight in self._weights.values() if weight.requires_grad]
        self._optimiser = torch.optim.AdamW(
            trained, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._frozen = self.model.subjects.clone() if settings.frozen else None
        seeds = np.random.SeedSequence((seed, Stream.RECALL_BATCHES)).generate_state(1)
        self._generator = torch.Generator().manual_seed(int(seeds[0]))

    @property
    def parameters(self) -> int:
        """How many weights the model has."""
        return sum(weight.numel() for weight in self._weights.values())

    def advance(self) -> None:
        """One step. Raises Diverged where the loss is not finite."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.settings.rate(self.step)
        self._optimiser.zero_grad(set_to_none=True)
        rows = self._draw()
        loss = self._loss(rows) / (self._targets[rows] != IGNORED).sum()
        if not bool(torch.isfinite(loss)):
            raise Diverged(f"training diverged at step {self.step}", "lower the learning rate", self.step)
        loss.backward()
        self._optimiser.step()
        if self._frozen is not None:
            self.model.subjects.copy_(self._frozen)
        self.step += 1

    def measure(self) -> dict[str, Any]:
        """Mean loss of a target and accuracy now; with several hops the accuracy of every length, on all questions
        shown, and on those held out, through facts held out and of no hop, if there are any. Raises Diverged where the
        loss is not finite."""
        with torch.no_grad():
            parts = torch.arange(len(self._tokens), device=self.device).split(MEASURED_ROWS)
            total = sum(float(self._loss(rows)) for rows in parts)
            loss = total / int((self._targets != IGNORED).sum())
        if not np.isfinite(loss):
            raise Diverged(f"training diverged before step {self.step}", "lower the learning rate", self.step)
        each = [self.accuracy(questions) for questions in self.data.train]
        apart = {
            "held_out_accuracy": self.data.held_out,
            "unseen_facts_accuracy": self.data.unseen_facts,
            "zero_hop_accuracy": self.data.alone,
        }
        return {
            "step": self.step,
            "loss": loss,
            "accuracy": each[-1],
            "accuracy_by_hops": each,
            **{name: self.accuracy(questions) for name, questions in apart.items() if len(questions)},
        }

    def accuracy(self, questions: Questions) -> float:
        """Share of questions answered right by the most likely token; with chain of thought the model writes the
        entities in between itself."""
        right = 0
        steps = questions.path.shape[1] if self.settings.chain_of_thought else 1
        answer = self.data.vocabulary.answer(questions.words, questions.path)[:, -1]
        with torch.no_grad():
            tokens = self.data.prompt(questions).to(self.device)
            for first in range(0, len(questions), MEASURED_ROWS):
                rows = tokens[first : first + MEASURED_ROWS]
                for _ in range(steps):
                    rows = torch.cat([rows, self.model.logits(rows).argmax(dim=-1, keepdim=True)], dim=1)
                right += int((rows[:, -1].cpu().numpy() == answer[first : first + MEASURED_ROWS]).sum())
        return right / len(questions)

    def results(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What a finished run keeps: every weight under its own name."""
        return {name: weight.detach().cpu().numpy() for name, weight in self._weights.items()}, {}

    def load(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Put the weights of ``results`` into the model."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(torch.from_numpy(np.array(weights[name])))

    def state(self) -> dict[str, NDArray[Any]]:
        """What ``restore`` needs: weights, the optimiser's moments and the random state."""
        return {**learned_state(self._weights, self._optimiser), "generator": self._generator.get_state().numpy()}

    def restore(self, step: int, kept: Mapping[str, NDArray[Any]]) -> None:
        """Go on from ``state()`` of ``step``."""
        load_learned_state(self._weights, self._optimiser, kept)
        self._generator.set_state(torch.from_numpy(np.array(kept["generator"])))
        self.step = step

    def _draw(self) -> Tensor:
        """The questions of a step: all, or a random batch drawn with replacement."""
        count, total = self.settings.batch, len(self._tokens)
        if not 0 < count < total:
            return torch.arange(total, device=self.device)
        return torch.randint(total, (count,), generator=self._generator).to(self.device)

    def _loss(self, rows: Tensor) -> Tensor:
        """Summed over everything that ``rows`` ask for."""
        targets = self._targets[rows]
        asked = targets != IGNORED
        hidden, unembedding = self.model.hidden(self._tokens[rows])[asked], self.model.unembedding
        lacking = -hidden.shape[1] % LANES
        if lacking and hidden.device.type == "cpu" and len(hidden) * len(unembedding) >= MANY_LOGITS:
            hidden, unembedding = (functional.pad(one, (0, lacking)) for one in (hidden, unembedding))
        found = linear_cross_entropy(hidden, unembedding, targets[asked], reduction="sum")
        assert isinstance(found, Tensor)
        return found


def check_recall(settings: RecallSettings) -> None:
    """Raises ValueError for an architecture that is unknown or refuses the sizes, without memory for its weights, and
    for facts held out that leave nothing to show or to ask (of seed 0)."""
    if settings.held_out_facts:
        make_recall_data(settings, 0)
    few = RecallVocabulary(2, settings.relations, 2, settings.shared, settings.hops > 1)
    with torch.device("meta"):
        RecallModel(settings, few, 2 * settings.hops + 1)
