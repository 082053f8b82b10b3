"""`fiedler report`: one self-contained HTML page from a run, a comparison, a sweep or a kernel profile."""

from .build import kind_of, parts_of, title_of
from .html import render_page, write_page

__all__ = ["kind_of", "parts_of", "render_page", "title_of", "write_page"]
