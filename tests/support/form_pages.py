"""What the form of a page contains, as a browser would send it."""

from html.parser import HTMLParser

from quart.typing import TestClientProtocol

from support.actions import page


class MainForm(HTMLParser):
    """Collect the fields in the main part of a page, the hidden ones for themselves."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.hidden: dict[str, str] = {}
        self.textarea: str | None = None
        self.feed(html.split("<main", 1)[1].split("</main>", 1)[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        kind, name = given.get("type"), given.get("name") or ""
        if tag == "textarea":
            self.textarea, self.fields[name] = name, ""
        elif tag == "input" and "disabled" not in given and (kind != "checkbox" or "checked" in given):
            fields = self.hidden if kind == "hidden" else self.fields
            fields[name] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self.textarea is not None:
            self.fields[self.textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.textarea is not None:
            text = self.fields[self.textarea]
            self.fields[self.textarea] = text.removeprefix("\r").removeprefix("\n")  # as HTML says
            self.textarea = None


async def hidden_in(client: TestClientProtocol, path: str) -> dict[str, str]:
    return MainForm(await page(client, path)).hidden


async def filled_in(client: TestClientProtocol, path: str) -> dict[str, str]:
    """Return the fields of the form of a page, without the hidden ones."""
    return MainForm(await page(client, path)).fields
