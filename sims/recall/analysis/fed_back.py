"""Whether what a model answers can be asked again: output embeddings of entities against their input embeddings.

    alignment = sum_u <e_u, o_u> / (|e| |o|)

of the entities' input embeddings e and output embeddings o is 1 where each is read as it is written. Then the answer to
one hop, the mean of o under the softmax, can stand in the place of a subject's embedding and be asked the next
relation: two hops by two passes, with no token in between. In linear models examples u -> u make it so (arXiv
2509.24653).
"""

from __future__ import annotations

import torch

from ..data import Questions, RecallData
from ..model import RecallModel


def fed_back_scores(model: RecallModel, data: RecallData) -> dict[str, float]:
    """``alignment``; and of the longest questions, asked hop by hop that way, the share answered right: of those shown,
    ``fed_back_shown``, and of those through facts held out, if there are any, ``fed_back_unseen``."""
    asked = {"fed_back_shown": data.train[-1], "fed_back_unseen": data.unseen_facts}
    with torch.no_grad():
        inputs, outputs = model.subjects, model.unembedding[: data.vocabulary.subjects]
        alignment = float((inputs * outputs).sum() / (inputs.norm() * outputs.norm()))
        return {"alignment": alignment} | {
            name: _accuracy(model, questions) for name, questions in asked.items() if len(questions)
        }


def _accuracy(model: RecallModel, questions: Questions) -> float:
    device = model.embedding.device
    words = torch.from_numpy(questions.words).to(device)
    size = model.subjects.norm(dim=1).mean()  # answers are averages: shorter than any one
    asked = model.subjects[torch.from_numpy(questions.subjects).to(device)]
    for hop in range(questions.hops):
        logits = model.answers(asked, words[:, hop])
        written = torch.softmax(logits, dim=1) @ model.unembedding
        asked = size * written / written.norm(dim=1, keepdim=True)
    right = logits.argmax(dim=1).cpu().numpy() == questions.path[:, -1]
    return float(right.mean())
