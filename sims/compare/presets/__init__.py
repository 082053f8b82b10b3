"""The paper's sets of runs, and the numbers it published."""

from typing import TYPE_CHECKING

from ...lazy import attach

if TYPE_CHECKING:
    from .definitions import PRESETS as PRESETS
    from .definitions import Preset as Preset
    from .definitions import get_preset as get_preset
    from .folder import read_preset as read_preset
    from .run import describe_preset as describe_preset
    from .run import run_preset as run_preset

__getattr__, __dir__, __all__ = attach(__name__, __file__)
