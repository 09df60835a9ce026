"""An HTML page as a browser would see it, and what must hold for every page of ours."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"br", "circle", "img", "link", "meta", "path", "rect", "use"}


class ParsedPage(HTMLParser):
    """Nesting, tags with attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.wrong = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)

    def names(self):
        return [tag for tag, _ in self.tags]


def whole(text):
    """The page, parsed: well-formed, without a script, and all it shows is inside."""
    page = ParsedPage(text)
    assert (page.open, page.wrong) == ([], [])
    assert not {"script", "link"} & set(page.names())
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"|http-equiv', "", text)
    assert "@import" not in text
    addresses = [given[name] for _, given in page.tags for name in ("src", "href", "xlink:href") if name in given]
    addresses += re.findall(r"url\(([^)]{,30})", text)
    assert all(address.startswith(("#", "data:image/")) for address in addresses)
    assert all(given["alt"] for tag, given in page.tags if tag == "img")
    return page
