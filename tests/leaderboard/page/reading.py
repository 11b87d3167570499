"""A written page as a parser sees it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """Its tags in order with their attributes, and the text of each script and style."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.title = ""
        self._within = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))
        self._within = tag
        if tag in ("script", "style"):
            self.texts.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave it."""
        self._within = ""

    def handle_data(self, data: str) -> None:
        """Note a script's, a style's or the title's text."""
        if self._within in ("script", "style"):
            tag, attrs, text = self.texts[-1]
            self.texts[-1] = (tag, attrs, text + data)
        elif self._within == "title":
            self.title += data

    @property
    def data(self) -> Any:
        """What the page carries."""
        return json.loads(next(text for _, attrs, text in self.texts if attrs.get("id") == "data"))

    @property
    def policy(self) -> dict[str, list[str]]:
        """The sources of its Content-Security-Policy by directive."""
        content = next(a["content"] for _, a in self.tags if a.get("http-equiv") == "Content-Security-Policy")
        parts = [part.split() for part in (content or "").split("; ")]
        return {part[0]: part[1:] for part in parts}
