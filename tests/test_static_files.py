"""Static files: their URLs while they change, and compression for clients that accept it."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Quart, session, url_for
from quart.typing import TestClientProtocol

from app.auth import public
from app.lib.web import static_files
from support.app import serving

BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}
CSS = "/static/main.css"
TEXT = "a { color: red }\n" * 100


@pytest.fixture
def small(tmp_path: Path) -> Quart:
    (tmp_path / "main.css").write_text(TEXT)
    site = Quart("small", static_folder=str(tmp_path), static_url_path="/static")
    static_files.init_app(site)
    return site


@pytest.fixture
def browser(small: Quart) -> TestClientProtocol:
    return small.test_client()


async def link(site: Quart, filename: str = "main.css") -> str:
    async with site.test_request_context("/"):
        return url_for("static", filename=filename)


async def test_a_link_names_the_version_of_a_file(small: Quart, browser: TestClientProtocol, tmp_path: Path) -> None:
    old = await link(small)
    (tmp_path / "main.css").write_text("newer")
    new = await link(small)

    assert old != new
    assert (await browser.get(new)).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in (old, CSS):
        assert (await browser.get(path)).headers["Cache-Control"] == "no-cache"
    assert await link(small, "missing.css") == "/static/missing.css"


async def test_a_text_file_is_compressed_for_a_client_that_accepts_gzip(browser: TestClientProtocol) -> None:
    plain, compressed = await browser.get(CSS), await browser.get(CSS, headers=BROWSER)

    assert plain.content_encoding is None
    assert compressed.content_encoding == "gzip"
    assert plain.vary.as_set() == compressed.vary.as_set() == {"accept-encoding"}
    body = await compressed.get_data(as_text=False)
    assert compressed.content_length == len(body) < len(TEXT) / 5
    assert gzip.decompress(body).decode() == await plain.get_data(as_text=True) == TEXT
    assert (await browser.head(CSS, headers=BROWSER)).headers == compressed.headers


async def test_other_clients_get_the_file_as_it_is(browser: TestClientProtocol) -> None:
    compressed = {"GZIP": True, "br;q=1, gzip;q=0.1": True, "*": True, "": False, "br": False}
    compressed |= {"gzip;q=0, *": False, "gzip;q=x": False, "gzip," * 10_000: False}

    for header, is_compressed in compressed.items():
        response = await browser.get(CSS, headers={"Accept-Encoding": header})
        assert (response.content_encoding == "gzip") is is_compressed, header[:20]


@pytest.mark.parametrize("headers", [{}, BROWSER])
async def test_a_file_is_sent_again_only_when_it_has_changed(
    browser: TestClientProtocol, tmp_path: Path, headers: dict[str, str]
) -> None:
    revalidate = headers | {"If-None-Match": (await browser.get(CSS, headers=headers)).headers["ETag"]}
    assert (await browser.get(CSS, headers=revalidate)).status_code == 304

    (tmp_path / "main.css").write_text("newer")
    changed = await browser.get(CSS, headers=revalidate)
    body = await changed.get_data(as_text=False)
    assert (gzip.decompress(body) if headers else body) == b"newer"


async def test_a_range_request_gets_bytes_of_the_plain_file(browser: TestClientProtocol) -> None:
    part = await browser.get(CSS, headers=BROWSER | {"Range": "bytes=2-6"})

    assert part.status_code == 206
    assert part.content_encoding is None
    assert await part.get_data(as_text=True) == "{ col"


async def test_no_range_is_joined_to_compressed_bytes(browser: TestClientProtocol) -> None:
    """A client that holds a part of the compressed bytes has their ETag, and no date."""
    compressed = await browser.get(CSS, headers=BROWSER)
    resume = BROWSER | {"Range": "bytes=10-", "If-Range": compressed.headers["ETag"]}

    assert (await browser.get(CSS, headers=resume)).status_code == 200
    assert compressed.headers["ETag"].startswith("W/")
    assert "Last-Modified" not in compressed.headers


async def test_other_files_are_sent_as_they_are(browser: TestClientProtocol, tmp_path: Path) -> None:
    for filename, size in ("photo.jpg", 9000), ("long.txt", static_files.MAX_TEXT_SIZE_BYTES + 1):
        (tmp_path / filename).write_bytes(b"x" * size)
        response = await browser.get(f"/static/{filename}", headers=BROWSER)
        assert (response.headers.get("Content-Encoding"), response.content_length) == (None, size)


async def test_the_files_of_a_blueprint_are_compressed_too(small: Quart, tmp_path: Path) -> None:
    small.register_blueprint(Blueprint("notes", "notes", static_folder=str(tmp_path), url_prefix="/notes"))
    response = await small.test_client().get(f"/notes/{tmp_path.name}/main.css", headers=BROWSER)

    assert response.content_encoding == "gzip"


async def test_a_view_that_is_named_static_is_a_page(settings: dict[str, Any]) -> None:
    notes_bp = Blueprint("notes", __name__)

    @notes_bp.get("/notes/<int:number>")
    @public
    async def static(number: int) -> str:
        session["last"] = number
        return "content " * 100

    async with serving(settings, lambda app: app.register_blueprint(notes_bp)) as app:
        response = await app.test_client().get("/notes/1", headers=BROWSER)

    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    assert response.content_encoding is None
    assert "session=" in response.headers["Set-Cookie"]


async def test_pages_and_json_are_never_compressed(client: TestClientProtocol) -> None:
    """The length of a compressed page would reveal its content to another site (BREACH)."""
    for path in "/", "/login", "/api/", "/nowhere", "/static/none.css":
        response = await client.get(path, headers=BROWSER)
        assert response.content_encoding is None, path
        assert "Accept-Encoding" not in response.vary, path
