"""What is trained on: a graph with its target, and the optimum that runs on it are scored against."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .optimum import reference_optimum as reference_optimum
    from .search import Search as Search
    from .task import Task as Task

__getattr__, __dir__, __all__ = attach(__name__, __file__)
