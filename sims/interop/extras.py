"""Optional libraries: imported when first needed, with one error that says how to install them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(module: str, extra: str) -> Any:
    """The imported ``module``. Raises ImportError naming the extra of fiedler that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(f'this needs {library}, which is not installed: pip install "fiedler[{extra}]"') from error
