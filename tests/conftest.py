"""What every test shares: the marker of slow tests, and a folder for temporary files that is fast."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

import slow_tests

# Tests write many small files that are put on the disk one by one, which a disk of memory does at once. It has to be
# large: where it is small (64 MB in a container) the system's temporary folder is used.
MEMORY, ENOUGH = Path("/dev/shm"), 4 * 2**30

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


# So many examples of a test function belong to the fast ones; make unit runs them all.
FAST_EXAMPLES = 8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow, examples = slow_tests.read_list(), Counter[str]()
    for item in items:
        function = slow_tests.function_of(item.nodeid)
        examples[function] += 1
        if function in slow or examples[function] > FAST_EXAMPLES:
            item.add_marker(pytest.mark.slow)
