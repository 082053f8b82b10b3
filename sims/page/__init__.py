"""`fiedler report`: one self-contained HTML page from a run, a comparison, a sweep or a kernel profile."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .build import kind_of as kind_of
    from .build import parts_of as parts_of
    from .build import title_of as title_of
    from .html import render_page as render_page
    from .html import write_page as write_page

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
