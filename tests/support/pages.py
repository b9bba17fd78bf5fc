"""What a page holds, as it is written and as a real browser shows it."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from support.browser import browser


class Page(HTMLParser):
    """The page's elements in order, with their text; a wrongly nested one fails."""

    EMPTY = {"meta", "img", "link", "br", "input", "hr"}

    def __init__(self, html: str):
        super().__init__()
        self.open: list[dict[str, Any]] = []
        self.found: list[dict[str, Any]] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open[-1]['tag']}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attributes}) == len(attributes), f"{tag} has one twice"
        parents = [each["tag"] for each in self.open]
        element = {"tag": tag, "text": "", "in": parents, **dict(attributes)}
        self.found.append(element)
        if tag not in self.EMPTY:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += data

    def all(self, *tags: str) -> list[dict[str, Any]]:
        return [each for each in self.found if each["tag"] in tags]

    def rows(self, name: str = "leaderboard") -> dict[str, list[str]]:
        """The cells of a table's rows, by the row's heading."""
        rows: dict[str, list[str]] = {}
        inside, heading = False, ""
        for each in self.found:
            if each["tag"] == "table":
                inside = each.get("class") == name
            elif inside and each["tag"] == "th" and each.get("scope") == "row":
                heading = each["data-value"]
            elif inside and each["tag"] == "td" and heading:
                rows.setdefault(heading, []).append(" ".join(each["text"].split()))
        return rows


def browse(path: Path, script: str = "", harmless: str = "\0") -> Page:
    """A page after Chromium has run it and `script`.

    Nothing may have been complained of, but for what has the words `harmless`.
    """
    html = path.read_text().rsplit("</body>", 1)
    shown = path.with_name(f"browsed-{path.name}")
    shown.write_text(f"{script}</body>".join(html))
    try:
        found, said = browser().show(shown.absolute().as_uri())
    finally:
        shown.unlink()
    assert not [each for each in said if harmless not in each]
    return Page(found)


def dead(path: Path) -> list[str]:
    """The links and pictures of a page that lead nowhere."""
    page = Page(path.read_text())
    ids = {each["id"] for each in page.found if "id" in each}
    lost = []
    for each in page.found:
        address = each.get("href") or each.get("src") or ""
        if address.startswith("#"):
            found = unquote(address[1:]) in ids
        else:
            there = address.startswith(("data:image/png;base64,", "https://arxiv.org/abs/"))
            found = not address or there or (path.parent / unquote(address)).exists()
        if not found:
            lost.append(address)
    return lost
