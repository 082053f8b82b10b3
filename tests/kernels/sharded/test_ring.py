"""The ring: every block visits every process, sums come home, and an error of one process is one of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist

from fiedler.kernels.sharded.ring import ALIKE, ERROR_BYTES, Ring, RingSum
from thread_rings import ThreadRing, in_threads

WIDTH = 3
SIZES = {1: (4,), 2: (1, 3), 3: (2, 5, 1), 4: (3, 0, 2, 1)}
worlds = pytest.mark.parametrize("world", SIZES)


def block(owner: int, rows: int) -> list[torch.Tensor]:
    """Tensors of one process: two of another shape and dtype each."""
    numbers = torch.arange(rows * WIDTH, dtype=torch.float64).reshape(rows, WIDTH) + 100.0 * owner
    return [numbers, torch.arange(rows) + 10 * owner]


@worlds
def test_every_block_visits_every_process_in_order(world: int) -> None:
    sizes = SIZES[world]

    def visit(ring: ThreadRing) -> list[tuple[int, list[torch.Tensor]]]:
        blocks = ring.blocks(block(ring.rank, sizes[ring.rank]), sizes)
        return [(owner, [tensor.clone() for tensor in tensors]) for owner, tensors in blocks]

    for rank, visits in enumerate(in_threads(world, visit)):
        assert [owner for owner, _ in visits] == [(rank - step) % world for step in range(world)]
        for owner, tensors in visits:
            for tensor, exact in zip(tensors, block(owner, sizes[owner]), strict=True):
                assert torch.equal(tensor, exact)
                assert tensor.dtype == exact.dtype


def test_a_block_lives_for_two_steps() -> None:
    """It is on its way to the next process while it is computed with: it may not be overwritten meanwhile."""
    sizes = (2, 2, 2, 2)

    def visit(ring: ThreadRing) -> bool:
        previous: tuple[int, list[torch.Tensor]] | None = None
        whole = True
        for owner, tensors in ring.blocks(block(ring.rank, 2), sizes):
            for number, seen in (previous, (owner, tensors)) if previous else ((owner, tensors),):
                whole &= all(torch.equal(a, b) for a, b in zip(seen, block(number, 2), strict=True))
            previous = owner, tensors
        return whole

    assert in_threads(4, visit) == [True] * 4


def test_rows_that_do_not_lie_together_are_sent_as_they_are() -> None:
    def visit(ring: ThreadRing) -> torch.Tensor:
        own = block(ring.rank, 4)[0].T  # (WIDTH, 4), not contiguous
        return [tensors[0].clone() for _, tensors in ring.blocks([own], (WIDTH, WIDTH))][1]

    assert torch.equal(in_threads(2, visit)[0], block(1, 4)[0].T)


@worlds
def test_sums_come_home(world: int) -> None:
    """Process r adds r + 1 times the block: the owner ends with the sum over all processes."""
    sizes = SIZES[world]

    def add(ring: ThreadRing) -> torch.Tensor:
        total = RingSum(ring, sizes, WIDTH, torch.zeros(0, dtype=torch.float64))
        for owner, (numbers, _) in ring.blocks(block(ring.rank, sizes[ring.rank]), sizes):
            part = total.part(owner)
            assert not part.any()
            part += (ring.rank + 1) * numbers
            total.add(owner, part)
        return total.home().clone()

    factor = world * (world + 1) // 2
    for rank, home in enumerate(in_threads(world, add)):
        assert torch.equal(home, factor * block(rank, sizes[rank])[0])


@pytest.mark.parametrize("world", [2, 3])
def test_gathering_keeps_the_order_of_ranks(world: int) -> None:
    def gather(ring: ThreadRing) -> list[int]:
        return [note["rank"] for note in ring.agree({"rank": ring.rank}, None, "cpu")]

    assert in_threads(world, gather) == [list(range(world))] * world


def test_facts_in_any_script_arrive_whole() -> None:
    facts = {"name": 'Zürich "λ"\n', "numbers": [1, 2.5, None], "nothing": {}}
    assert in_threads(2, lambda ring: ring.agree(facts, None, "cpu")) == [[facts, facts]] * 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("no"), ValueError),
        (FileNotFoundError(2, "No such file"), OSError),
        (MemoryError("no"), MemoryError),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), ValueError),
        (KeyError("no"), RuntimeError),
    ],
)
def test_an_error_of_one_process_is_raised_by_all(error: Exception, kind: type[Exception]) -> None:
    answers = in_threads(3, lambda ring: ring.agree({}, error if ring.rank == 1 else None, "cpu"))
    for answer in answers:
        assert type(answer) is kind
        assert str(answer) == f"process 1: {error}"
        assert answer.__notes__ == [ALIKE]
    assert answers[1].__cause__ is error


def test_the_first_of_several_errors_is_named_and_one_of_all_names_no_process() -> None:
    several = in_threads(3, lambda ring: ring.agree({}, [None, TypeError("b"), ValueError("c")][ring.rank], "cpu"))
    assert [(type(answer), str(answer)) for answer in several] == [(TypeError, "process 1: b")] * 3
    common = in_threads(2, lambda ring: ring.agree({}, ValueError("the same"), "cpu"))
    assert [str(answer) for answer in common] == ["the same"] * 2


@pytest.mark.parametrize("text", ["x" * 5000, "x" + "λ" * 5000, '"' * 5000, "two\nlines"])
def test_a_long_error_is_cut_to_one_line_that_fits(text: str) -> None:
    for answer in in_threads(2, lambda ring: ring.agree({}, ValueError(text), "cpu")):
        said = str(answer)
        assert type(answer) is ValueError
        assert " ".join(text.split()).startswith(said)
        assert len(said.encode()) in range(min(ERROR_BYTES, len(text)) - 1, ERROR_BYTES + 1)  # a letter of two bytes


def test_facts_that_have_to_be_the_same() -> None:
    def agree(ring: ThreadRing) -> Any:
        return ring.agree({"width": 5, "rows": ring.rank, "tied": ring.rank < 2}, None, "cpu", same=("width", "tied"))

    message = "the processes disagree on the tied: True on process 0, False on process 2; give all the same"
    assert [(type(answer), str(answer)) for answer in in_threads(3, agree)] == [(ValueError, message)] * 3
    assert len(in_threads(2, agree)[0]) == 2  # rows may differ


def test_a_call_that_fails_on_one_process_fails_on_all() -> None:
    called: list[int] = []

    def work(ring: ThreadRing) -> Any:
        def call() -> int:
            called.append(ring.rank)
            if ring.rank == 1:
                raise OSError(28, "No space left on device")
            return 10 * ring.rank

        return ring.together(call, "cpu")

    answers = in_threads(3, work)
    assert sorted(called) == [0, 1, 2]
    assert [type(answer) for answer in answers] == [OSError] * 3
    assert {str(answer) for answer in answers} == {"process 1: [Errno 28] No space left on device"}
    assert in_threads(3, lambda ring: ring.together(lambda: 10 * ring.rank, "cpu")) == [0, 10, 20]


def test_alone_nothing_is_sent_and_errors_are_the_caller_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a message")

    for name in ("all_gather", "batch_isend_irecv"):
        monkeypatch.setattr(dist, name, never)
    ring = Ring.of()
    assert (ring.rank, ring.world) == (0, 1)
    assert [owner for owner, _ in ring.blocks([torch.ones(2)], (2,))] == [0]
    assert ring.agree({"a": 1}, None, "cpu", same=("a",)) == [{"a": 1}]
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        ring.agree({}, error, "cpu")
    assert caught.value is error
    assert error.__notes__ == [ALIKE]


@pytest.mark.parametrize(
    ("group", "kind", "message"),
    [
        (lambda: dist.GroupMember.NON_GROUP_MEMBER, ValueError, "this process is no member"),
        (lambda: "gloo", TypeError, "must be a torch.distributed process group or None; got 'gloo'"),
    ],
)
def test_what_is_no_group(group: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Ring.of(group())
