"""Where a form may send the browser next: to a path on this site, and nowhere else."""

import json
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

from quart import Quart
from quart.typing import TestClientProtocol

from app.views.responses import safe_path
from support.actions import EMAIL, PASSWORD, create_user, log_in, page, register

TARGETS = json.loads((Path(__file__).parent / "vectors/redirect_targets.json").read_text())
LEAVING = [row["next"] for row in TARGETS if row["leaves_site"]]
OWN_PATHS = [
    "/",
    "/account",
    "/account?tab=a&b=c#frag",
    "/view/?param=http://example.com",
    "/view?param=ftp://example.com",
    "/url%20with%20spaces/",
    "/login?next=/login?next=/login",
    "/%2f/evil.example",
    "/a%0d%0aSet-Cookie:%20x=1",
]


def stays_here(path: str) -> bool:
    """Return whether a browser that is redirected to the path stays on the site."""
    parts = urlsplit(urljoin("https://site.example/login", path))
    return path.startswith("/") and path[1:2] not in ("/", "\\") and parts[:2] == ("https", "site.example")


def test_a_target_that_leaves_the_site_becomes_the_front_page() -> None:
    paths = {row["next"]: safe_path(row["next"]) for row in TARGETS}

    assert [target for target in LEAVING if paths[target] != "/"] == []
    assert [path for target, path in paths.items() if path not in ("/", target) or not stays_here(path)] == []


def test_a_path_of_the_site_is_kept_and_other_text_becomes_the_front_page() -> None:
    assert [safe_path(target) for target in OWN_PATHS] == OWN_PATHS
    no_paths = [None, "", "account", "?a=b", "#top", "/a b", "/é", "/a\\b", "/a\n"]
    assert {safe_path(target) for target in no_paths} == {"/"}


async def test_no_form_redirects_off_the_site(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    for number, target in enumerate(LEAVING):  # by turns: every one costs a hash
        eve = {"email": f"eve{number}@example.com", "next": target}
        response = await (register(client, **eve) if number % 2 else log_in(client, next=target))
        assert (response.status_code, response.location) == (303, "/"), target
    for target in LEAVING[:3]:
        response = await client.post("/verify", form={"password": PASSWORD, "next": target})
        assert (response.status_code, response.location) == (303, "/"), target


async def test_only_the_form_decides_where_it_leads(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    form = {"email": EMAIL, "password": PASSWORD}
    twice = urlencode([*form.items(), ("next", "/about"), ("next", "//evil.example")])
    as_form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert (await client.post("/login", data=twice, headers=as_form)).status_code == 422
    assert (await client.post("/login?next=/about", form=form)).location == "/"
    assert (await client.post("/login?next=//evil.example", form=form | {"next": "/about"})).location == "/about"
    assert (await client.get("/login?next=/about&next=//evil.example")).location == "/about"


async def test_no_path_redirects_off_the_site(client: TestClientProtocol) -> None:
    for path in "/api", "//api", "//evil.example/api", "/%2Fevil.example/api", "//change", "/\\evil/change":
        response = await client.get("/", scope_base={"path": path})
        assert response.status_code in (303, 308, 404), path
        assert urlsplit(urljoin("http://localhost/", response.location or "/"))[:2] == ("http", "localhost"), path


async def test_no_link_redirects_off_the_site(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await log_in(client)
    for target in LEAVING:
        for path in ("/login", "/register"):
            response = await client.get(path, query_string={"next": target})
            assert (response.status_code, response.location) == (303, "/"), target


async def test_a_login_or_registration_leads_to_its_target(app: Quart, client: TestClientProtocol) -> None:
    target = "/about?a=1&b=%20#c"
    registered = await register(client, next=target)
    logged_in = await log_in(app.test_client(), next=target)
    again = await client.get("/login", query_string={"next": target})

    assert [response.location for response in (registered, logged_in, again)] == [target] * 3


async def test_the_forms_keep_the_target_and_link_to_each_other_with_it(client: TestClientProtocol) -> None:
    for path, other in ("/login", "/register"), ("/register", "/login"):
        text = await page(client, f"{path}?next=/about?a=1")
        assert 'name="next" type="hidden" value="/about?a=1"' in text
        assert f'href="{other}?next=/about?a%3D1"' in text


async def test_a_page_that_needs_a_login_leads_to_the_login_and_back(client: TestClientProtocol) -> None:
    refused = await client.get("/change?a=1&b=%C3%A9")

    assert (refused.status_code, refused.location[:12]) == (303, "/login?next=")
    assert 'value="/change?a=1&amp;b=%C3%A9"' in await page(client, refused.location)
