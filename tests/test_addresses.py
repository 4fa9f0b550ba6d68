"""Addresses in templates are those that a view gets, though they are put together once."""

from typing import Any

import pytest
from quart import Blueprint, Quart, render_template_string, request, url_for

from app.middleware import addresses, static_files

TEMPLATE = "{{ url_for('home') }} {{ url_for('pages.home') }} {{ url_for('page', number=1) }} {{ url_for('twice') }}"


@pytest.fixture
def site() -> Quart:
    async def none() -> str:
        return ""

    site, pages = Quart("small"), Blueprint("pages", "pages", url_prefix="/<language>")
    pages.add_url_rule("/", "home", none, defaults={"language": "en"})
    site.add_url_rule("/", "home", none)
    site.add_url_rule("/page/<int:number>", "page", none)
    site.add_url_rule("/get", "twice", none, methods=["GET"])
    site.add_url_rule("/post", "twice", none, methods=["POST"])
    site.register_blueprint(pages)
    static_files.init_app(site)
    return site


@pytest.fixture
def put_together(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The endpoints whose addresses were put together."""
    done: list[str] = []

    def note(endpoint: str, **values: Any) -> str:
        done.append(endpoint)
        return url_for(endpoint, **values)

    monkeypatch.setattr(addresses, "url_for", note)
    return done


async def addresses_on_a_page(site: Quart, path: str = "/", template: str = TEMPLATE, **scope: Any) -> list[str]:
    async with site.test_request_context(path, **scope):
        return (await render_template_string(template)).split()


async def test_an_address_is_put_together_once(site: Quart, put_together: list[str]) -> None:
    for _ in range(3):
        assert await addresses_on_a_page(site, template="{{ url_for('home') }}") == ["/"]

    assert put_together == ["home"]


async def test_it_is_that_of_a_site_below_a_path_and_of_this_request(site: Quart) -> None:
    for _ in range(2):
        assert await addresses_on_a_page(site) == ["/", "/en/", "/page/1", "/get"]
        assert await addresses_on_a_page(site, method="POST") == ["/", "/en/", "/page/1", "/post"]
        below = await addresses_on_a_page(site, "/below/", root_path="/below")
        assert below == ["/below/", "/below/en/", "/below/page/1", "/below/get"]


async def test_a_point_in_front_means_the_blueprint_of_this_request(site: Quart) -> None:
    for _ in range(2):
        assert await addresses_on_a_page(site, "/en/", "{{ url_for('.home') }}") == ["/en/"]
        assert await addresses_on_a_page(site, "/", "{{ url_for('.home') }}") == ["/"]


async def test_a_site_that_fills_in_values_gets_the_address_of_each_request(site: Quart) -> None:
    @site.url_defaults
    def language(_endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("from", request.args["from"])

    for name in ("ada", "eve"):
        assert await addresses_on_a_page(site, f"/?from={name}", "{{ url_for('home') }}") == [f"/?from={name}"]


async def test_an_address_that_could_not_be_made_is_made_when_it_can_be(site: Quart) -> None:
    site.url_build_error_handlers.append(lambda *_: request.args["instead"])

    for instead in ("/a", "/b"):
        assert await addresses_on_a_page(site, f"/?instead={instead}", "{{ url_for('none') }}") == [instead]


async def test_without_a_request_there_is_no_address_to_remember(site: Quart) -> None:
    site.config["SERVER_NAME"] = "example.com"
    for _ in range(2):
        async with site.app_context():
            assert await render_template_string("{{ url_for('home') }}") == "http://example.com/"


async def test_a_site_with_several_names_is_linked_to_by_the_one_that_is_needed(site: Quart) -> None:
    site.subdomain_matching, site.config["SERVER_NAME"] = True, "example.com"
    site.add_url_rule("/api", "api", subdomain="api")

    for _ in range(2):
        for name, expected in [("api", "/api"), ("www", "http://api.example.com/api")]:
            found = await addresses_on_a_page(
                site, template="{{ url_for('api') }}", headers={"Host": f"{name}.example.com"}
            )
            assert found == [expected]


async def test_a_full_address_names_the_host_of_each_request(site: Quart) -> None:
    site.add_websocket("/chat", "chat")
    for _ in range(2):
        for host in ("www.example.net", "example.com"):
            found = await addresses_on_a_page(site, template="{{ url_for('chat') }}", headers={"Host": host})
            assert found == [f"ws://{host}/chat"]
