"""The oldest version of everything that an install of fiedler asks for, as constraints for pip (`make compat`).

    python lowest_versions.py sims > lowest.txt

reads the lower bounds in pyproject.toml of the base install and the extras named.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOUND = re.compile(r"^(?P<name>[\w.-]+)(\[[^\]]*\])?\s*>=\s*(?P<version>[\w.]+)")


def lowest(extras: list[str]) -> dict[str, str]:
    """name -> version, the extras that an extra names among them. Raises ValueError for a requirement without a lower
    bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found, left = {}, [*project["dependencies"], *(f"fiedler[{extra}]" for extra in extras)]
    while left:
        text = left.pop(0)
        if text.startswith("fiedler["):
            for extra in text.partition("[")[2].partition("]")[0].split(","):
                left += project["optional-dependencies"][extra.strip()]
            continue
        bound = BOUND.match(text)
        if bound is None:
            raise ValueError(f"pyproject.toml: {text!r} has no lower bound, NAME>=VERSION")
        found[bound["name"]] = bound["version"]
    return found


if __name__ == "__main__":
    for name, version in lowest(sys.argv[1:]).items():
        print(f"{name}=={version}")
