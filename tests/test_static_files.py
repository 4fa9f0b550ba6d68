"""Static files: their URLs while they change, and compression for clients that accept it."""

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from quart import Blueprint, Quart, url_for
from quart.typing import TestClientProtocol

from app.middleware import static_files
from site_process import Site, running_site

BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}
CSS = "/static/main.css"
TEXT = "a { color: red }\n" * 100


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: no test here depends on its kind."""
    shutil.copy(sqlite_template, tmp_path)
    return "sqlite:///app.db"


@pytest.fixture
def small(tmp_path: Path) -> Quart:
    """Return a site with one file, which a test may change."""
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
    assert (await browser.get(old)).headers["Cache-Control"] == "no-cache"
    assert "immutable" in (await browser.get(new)).headers["Cache-Control"]


async def test_a_missing_file_gets_a_version_once_it_exists(small: Quart, tmp_path: Path) -> None:
    assert await link(small, "late.css") == "/static/late.css"

    (tmp_path / "late.css").write_text("here")
    assert "?v=" in await link(small, "late.css")


async def test_a_text_file_is_compressed_for_a_client_that_accepts_gzip(browser: TestClientProtocol) -> None:
    plain, compressed = await browser.get(CSS), await browser.get(CSS, headers=BROWSER)

    assert plain.content_encoding is None
    assert compressed.content_encoding == "gzip"
    assert plain.vary.as_set() == compressed.vary.as_set() == {"accept-encoding"}
    body = await compressed.get_data(as_text=False)
    assert compressed.content_length == len(body) < len(TEXT) / 5
    assert gzip.decompress(body).decode() == await plain.get_data(as_text=True) == TEXT


@pytest.mark.parametrize(
    ("header", "is_compressed"),
    [
        ("GZIP", True),
        ("br;q=1, gzip;q=0.1", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0, *", False),
        ("gzip;q=x", False),
        ("gzip," * 10_000, False),
    ],
)
async def test_other_clients_get_the_file_as_it_is(
    browser: TestClientProtocol, header: str, *, is_compressed: bool
) -> None:
    response = await browser.get(CSS, headers={"Accept-Encoding": header})

    assert (response.content_encoding == "gzip") is is_compressed


@pytest.mark.parametrize("headers", [{}, BROWSER])
async def test_a_file_that_has_not_changed_is_not_sent_again(
    browser: TestClientProtocol, tmp_path: Path, headers: dict[str, str]
) -> None:
    revalidate = headers | {"If-None-Match": (await browser.get(CSS, headers=headers)).headers["ETag"]}
    assert (await browser.get(CSS, headers=revalidate)).status_code == 304

    (tmp_path / "main.css").write_text("newer")
    assert (await browser.get(CSS, headers=revalidate)).status_code == 200


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


async def test_a_file_is_compressed_once(browser: TestClientProtocol, tmp_path: Path) -> None:
    static_files.gzipped.cache_clear()
    for path in (CSS, CSS, f"{CSS}?v=2"):
        await browser.get(path, headers=BROWSER)
    assert static_files.gzipped.cache_info().misses == 1

    (tmp_path / "main.css").write_text("newer")
    changed = await browser.get(CSS, headers=BROWSER)
    assert gzip.decompress(await changed.get_data(as_text=False)) == b"newer"


@pytest.mark.parametrize(
    ("filename", "size"), [("photo.jpg", 9000), ("long.txt", static_files.MAX_TEXT_SIZE_BYTES + 1)]
)
async def test_other_files_are_sent_as_they_are(
    browser: TestClientProtocol, tmp_path: Path, filename: str, size: int
) -> None:
    (tmp_path / filename).write_bytes(b"x" * size)
    response = await browser.get(f"/static/{filename}", headers=BROWSER)

    assert response.content_encoding is None
    assert response.content_length == size


async def test_the_files_of_a_blueprint_are_compressed_too(small: Quart, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/notes.js").write_text(TEXT)
    small.register_blueprint(Blueprint("notes", "notes", static_folder=str(tmp_path / "notes"), url_prefix="/notes"))
    response = await small.test_client().get("/notes/notes/notes.js", headers=BROWSER)

    assert response.content_encoding == "gzip"


@pytest.mark.parametrize("path", ["/", "/login", "/api/", "/nowhere", "/static/none.css"])
async def test_pages_and_json_are_never_compressed(client: TestClientProtocol, path: str) -> None:
    """The length of a compressed page would reveal its content to another site (BREACH)."""
    response = await client.get(path, headers=BROWSER)

    assert response.content_encoding is None
    assert "Accept-Encoding" not in response.vary


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("instance")) as running:
        yield running


def test_a_real_client_reads_the_same_with_and_without_compression(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        plain = client.get("/static/css/main.css", headers={"Accept-Encoding": "identity"})
        compressed = client.get("/static/css/main.css", headers=BROWSER)
        head = client.head("/static/css/main.css", headers=BROWSER)

    assert (compressed.headers["Content-Encoding"], compressed.text) == ("gzip", plain.text)
    own = {"date", "x-request-id"}
    assert {*head.headers.items()} ^ {*compressed.headers.items()} <= {
        (name, response.headers[name]) for name in own for response in (head, compressed)
    }
