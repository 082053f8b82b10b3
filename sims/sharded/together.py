"""The run loop in several processes at once: all of them save and stop where one is to."""

from __future__ import annotations

from typing import Any

import torch

from fiedler.kernels.sharded.ring import ALIKE, Ring

from ..runs.control import Restart, Watch
from ..runs.loop import Course, Flags, run_course
from ..runs.stopping import Interrupted


def run_together(course: Course, restart: Restart, watch: Watch, ring: Ring, device: Any) -> None:
    """``runs.loop.run_course`` on every process of ``ring``; an interrupt carries the note that all raise it alike."""

    def raised_anywhere(flags: Flags) -> Flags:
        of_all = ring.gather(torch.tensor(flags, dtype=torch.int64, device=device)).amax(dim=0)
        stop, save = of_all.tolist()
        return bool(stop), bool(save)

    try:
        run_course(course, restart.checkpoint_every, watch, raised_anywhere)
    except Interrupted as error:
        error.add_note(ALIKE)
        raise
