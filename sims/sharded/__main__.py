"""`python -m fiedler.sims.sharded`, in each process of a world."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
