"""`python -m fiedler.sims.sharded`, in each process of a world."""

import sys

from ..cli.entry import print_line
from ..extras import Lacking, check_part

if __name__ == "__main__":
    try:
        check_part("sims", "fiedler.sims.sharded")
    except Lacking as error:
        print_line(str(error))
        sys.exit(2)
    from .command import main

    sys.exit(main())
