"""The links of a built site: every page, anchor, image, style sheet and script that a page asks for is in the site.

    python tests/site_links.py site

Nothing is fetched: of an address elsewhere only the form is checked. A page may not load anything from elsewhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "video": "src"}
ELSEWHERE = ("http", "https", "mailto")
HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?|localhost(:\d+)?")


@dataclass
class Page(HTMLParser):
    """What a page defines and asks for."""

    anchors: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    without_text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if name := given.get("id"):
            (self.repeated if name in self.anchors else self.anchors).add(name)
        if tag == "a" and "name" in given:
            self.anchors.add(given["name"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        # Where the page itself lies, and which page is next, is no request.
        elif given.get(LOADED.get(tag, "")) and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(given[LOADED[tag]])
        if tag == "img" and not given.get("alt"):
            self.without_text.append(given.get("src", ""))


def read_page(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    return page


def problems(site: Path) -> Iterator[str]:
    """One line for each link, anchor, image or script that is not there."""
    pages = {path: read_page(path) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: no page"
    for path, page in pages.items():
        if path.name == "404.html":  # is shown at any depth: its links begin at the root of the server
            continue
        here = path.relative_to(site)
        for name in sorted(page.repeated):
            yield f"{here}: two elements have the id {name!r}"
        for source in page.without_text:
            yield f"{here}: the image {source!r} has no text"
        for address in page.loads:
            if urlsplit(address).scheme in ("http", "https") or address.startswith("//"):
                yield f"{here}: loads {address} from elsewhere"
            elif wrong := _missing(path, address, site, pages):
                yield f"{here}: {wrong}"
        for address in page.links:
            if wrong := _missing(path, address, site, pages):
                yield f"{here}: {wrong}"


def _missing(path: Path, address: str, site: Path, pages: dict[Path, Page]) -> str | None:
    parts = urlsplit(address)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc:
        if parts.scheme not in ELSEWHERE or (parts.scheme != "mailto" and not HOST.fullmatch(parts.netloc)):
            return f"{address} is no address"
        return None
    if parts.path.startswith("/"):
        return f"{address} begins at the root, where the site need not be"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target = target / "index.html"
    if not target.is_relative_to(site.resolve()) or not target.is_file():
        return f"{address} is not in the site"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"{address}: {target.name} has no place {anchor!r}"
    return None


def main(arguments: list[str]) -> int:
    site = Path(arguments[0]).resolve()
    found = list(problems(site))
    for line in found:
        print(line)
    print(f"{len(list(site.rglob('*.html')))} pages, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
