"""Which versions of Triton the kernels are compiled with before a release, and what is said about others.

PyTorch chooses the Triton it comes with, so an upper bound on Triton would be one on PyTorch. A newer compiler gives
the same results; what may change is speed, for tiles are chosen to leave no registers over.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

# All of these are compiled by ``make gate``, for every architecture.
TESTED = ("3.6.0", "3.7.1", "3.8.0", "3.9.0")


def untested(version: str) -> str | None:
    """What to tell the user of this version of Triton; None for one between the first and the last of ``TESTED``."""
    try:
        minor = tuple(int(word) for word in version.split(".")[:2])
    except ValueError:
        minor = (0, 0)
    first, last = (tuple(int(word) for word in known.split(".")[:2]) for known in (TESTED[0], TESTED[-1]))
    if first <= minor <= last:
        return None
    return (
        f"the kernels of fiedler are compiled and checked with Triton {TESTED[0]} to {TESTED[-1]}, this is {version}: "
        "results do not depend on it, but kernels may spill registers and run slower; "
        "python -m fiedler.kernels.compile_report lists those that do"
    )


@lru_cache(maxsize=1)
def warn_if_untested() -> None:
    """Warn, once in a process, if the installed Triton is older or newer than those tested."""
    import triton

    said = untested(triton.__version__)
    if said is not None:
        warnings.warn(said, RuntimeWarning, stacklevel=3)
