"""Check that every link within a built site leads to a page, and to a place on it.

python docs/links.py out/docs
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, and the places on it that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            if name in ("href", "src") and value:
                self.links.add(value)


def broken(site: Path) -> list[str]:
    """Return links that lead nowhere, each with the page that it is on."""
    written = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = {path.resolve(): Page(path) for path in written}
    said = []
    for path, page in pages.items():
        for link in sorted(page.links):
            its = urlsplit(link)
            if its.scheme or its.netloc:
                continue
            target = (path.parent / unquote(its.path)).resolve() if its.path else path
            place = unquote(its.fragment)
            if not target.exists() or (
                place and target in pages and place not in pages[target].places
            ):
                said.append(f"{path.relative_to(site.resolve())}: {link}")
    return said


if __name__ == "__main__":
    found = broken(Path(sys.argv[1]))
    print("\n".join(found), file=sys.stderr)
    sys.exit(bool(found))
