"""The links to static files while the files change: a link may be a second old, what it leads to never is."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
from quart import Quart, render_template_string, url_for

from app.middleware import static_files
from app.middleware.addresses import Addresses


class Seconds(SimpleNamespace):
    """A clock that stands still until it is moved."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    seconds = Seconds()
    monkeypatch.setattr(static_files, "time", seconds)
    return seconds


@pytest.fixture
def small(tmp_path: Path, seconds: Seconds) -> Quart:
    """Return a site with one file, which a test may change."""
    (tmp_path / "main.css").write_text("old")
    site = Quart("small", static_folder=str(tmp_path), static_url_path="/static")
    static_files.init_app(site)
    return site


async def link(site: Quart, filename: str = "main.css") -> str:
    async with site.test_request_context("/"):
        return url_for("static", filename=filename)


async def fetch(site: Quart, path: str) -> tuple[str, bool]:
    """Return what a file says, and whether a browser may keep it for ever."""
    answer = await site.test_client().get(path)
    return await answer.get_data(as_text=True), "immutable" in answer.headers["Cache-Control"]


async def test_a_link_names_the_new_version_a_second_after_the_file_has_changed(
    small: Quart, seconds: Seconds, tmp_path: Path
) -> None:
    old = await link(small)
    (tmp_path / "main.css").write_text("newer")
    seconds.now += 0.9
    assert await link(small) == old

    seconds.now += 0.1
    new = await link(small)
    assert new != old
    assert await fetch(small, new) == ("newer", True)


async def test_a_page_links_to_what_a_view_would_link_to(small: Quart, seconds: Seconds, tmp_path: Path) -> None:
    for content, root_path in itertools.product(["old", "newer"], ["", "/below"]):
        (tmp_path / "main.css").write_text(content)
        seconds.now += 1
        async with small.test_request_context(f"{root_path}/", root_path=root_path):
            for values in ({}, {"v": "1"}, {"_anchor": "top"}, {"_external": True}):
                page = await render_template_string(
                    "{{ url_for('static', filename='main.css', **values)|safe }}", values=values
                )
                assert page == url_for("static", filename="main.css", **values)
            assert (
                await render_template_string("{{ url_for('static', filename='none') }}") == f"{root_path}/static/none"
            )


async def test_a_file_that_has_changed_may_not_be_kept_under_its_old_name(small: Quart, tmp_path: Path) -> None:
    old = await link(small)
    assert await fetch(small, old) == ("old", True)

    (tmp_path / "main.css").write_text("newer")
    assert await link(small) == old
    assert await fetch(small, old) == ("newer", False)


async def test_a_file_that_was_missing_is_named_as_soon_as_it_is_there(small: Quart, tmp_path: Path) -> None:
    assert await link(small, "late.css") == "/static/late.css"

    (tmp_path / "late.css").write_text("here")
    assert "?v=" in await link(small, "late.css")


async def test_names_of_files_that_are_not_there_fill_no_memory(small: Quart, tmp_path: Path) -> None:
    versions = static_files.Versions(str(tmp_path))
    addresses = Addresses(versions.version_lately)
    async with small.test_request_context("/"):
        assert addresses.url_for("static", filename="none.css") == "/static/none.css"
    assert versions.lately == {}
    assert addresses.known == {}
