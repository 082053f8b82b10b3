"""The gate without a card: code of the GPU paths executed where there is none, in processes of its own.

The short set belongs to ``make triton``; the whole one, far more shapes and options, is marked ``long`` as well. The
child process sees which it is in the variable FIEDLER_GATE.
"""

from __future__ import annotations

import os

from interpreted import run_interpreted

WHOLE = os.environ.get("FIEDLER_GATE") == "whole"


def run_short(file: str) -> None:
    """Run the interpreted tests of ``file``, the short set."""
    run_interpreted(file, FIEDLER_GATE="short")


def run_whole(file: str) -> None:
    """Run the interpreted tests of ``file``, all of them."""
    run_interpreted(file, FIEDLER_GATE="whole")
