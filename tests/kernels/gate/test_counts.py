"""Launches, allocations and waits of every public path on a card, compared with the file that lists them."""

from __future__ import annotations

import json

import pytest
import torch

from gate_counted_calls import COUNTED
from gate_counts import FILE, count

pytestmark = pytest.mark.triton
HOW = "if that is meant, say so: python tests/support/gate_counts.py"


@pytest.fixture(scope="module")
def listed() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_file_lists_these_calls(listed: dict) -> None:
    assert list(listed) == list(COUNTED), HOW


@pytest.mark.parametrize("call", COUNTED)
def test_counts(call: str, listed: dict) -> None:
    found = count(COUNTED[call])
    for name, part in found.items():
        for what, numbers in part.items():
            assert numbers == listed[call][name][what], f"{call}, {name}: {what} changed; {HOW}"


# The calls that wait today: float64 graphs, for which no kernel is made, and the loss over shards, which reads targets.
WAITING = ("vocabulary-parallel", "fp64")


@pytest.mark.parametrize("call", [call for call in COUNTED if not any(word in call for word in WAITING)])
def test_the_kernels_paths_never_wait(call: str, listed: dict) -> None:
    for name, part in listed[call].items():
        assert part["waits"] == {}, f"{call}, {name}"


# Planted faults.


def changed(run: object, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What differs from the plain counts when the flash path does ``run`` as well."""
    from fiedler.kernels.linear import cuda

    call = COUNTED["linear, flash, bf16"]
    plain, before = count(call)["forward"], cuda.flash_path

    def more(task: object) -> object:
        run(task)  # type: ignore[operator]
        return before(task)

    monkeypatch.setattr(cuda, "flash_path", more)
    now = count(call)["forward"]
    return {name for name in now if now[name] != plain[name]}


def test_one_launch_more_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from fiedler.kernels.gpu.scale import scale

    assert "launches" in changed(lambda task: scale(task.input, task.terms.scale).run(), monkeypatch)


def test_one_allocation_more_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "allocations" in changed(lambda task: task.input.to(torch.float32), monkeypatch)


@pytest.mark.parametrize(
    "wait", [lambda t: t.terms.scale.item(), lambda t: t.terms.target.tolist(), lambda t: t.input.nonzero(),
             lambda t: bool(t.terms.scale > 0), lambda t: t.terms.scale.cpu()],
)  # fmt: skip
def test_one_wait_is_seen(wait: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "waits" in changed(wait, monkeypatch)


def test_a_grid_too_large_is_seen_while_counting() -> None:
    with pytest.raises(ValueError, match="would run over a grid"):
        count(lambda: (too_large, None))


def too_large() -> None:
    from fiedler.kernels.gpu.target import target_logit

    x, y = torch.empty(2**31, 8, device="cuda"), torch.empty(2**31, dtype=torch.int64, device="cuda")
    target_logit(x, x, None, y, x[:, 0], cap=None).run()
