"""`python -m fiedler.sims.parallel_transformer`, in each process of a world."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
