"""The program `fiedler`, also `python -m fiedler.sims.cli`: Ctrl-C in the seconds of its imports, and its end."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line of this process and return its exit code, as ``commands.main``."""
    try:
        from ..runs.stopping import left_running
        from .commands import main as run
    except KeyboardInterrupt:
        print("fiedler: interrupted", file=sys.stderr, flush=True)
        os._exit(130)  # half-imported modules do not end in peace
    code = run()
    if left_running():  # a thread in a library's call, which the interpreter would wait for or trip over
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
