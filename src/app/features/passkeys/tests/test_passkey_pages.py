"""Passkeys in Chromium, with its virtual authenticator, and the accessibility of the pages."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.features.passkeys.tests.virtual_authenticator import Device
from support.accessibility import NARROW_DARK, WIDE_LIGHT, Look, arm, check, enlarge, expect_none, take, violations
from support.app import SECRET_KEY, UNLIMITED
from support.browser_user import BrowserUser
from support.browsers import PASSWORD, Pages, fill
from support.journeys import log_in, log_out, new_email
from support.mariadb_server import free_port
from support.page_states import State, after, at, registered
from support.served_sites import ServedSite, served

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGE, BUTTON = "/account/passkeys", "#passkeys button"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def passkey_site(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedSite]:
    """Serve a site at the origin of its BASE_URL, as passkeys require."""
    folder, port = tmp_path_factory.mktemp("passkeys"), free_port()
    shutil.copy(sqlite_template, folder / "app.db")
    needed = {"INSTANCE_PATH": str(folder), "SECRET_KEY": SECRET_KEY, "BASE_URL": f"http://localhost:{port}"}
    async with served(UNLIMITED | needed, port=port) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def ada(request: pytest.FixtureRequest, pages: Pages, passkey_site: ServedSite) -> AsyncIterator[BrowserUser]:
    async with pages.borrowed(request.node, base_url=passkey_site.url) as page:
        user = BrowserUser(page, passkey_site, {"ordinary": passkey_site}, new_email())
        page.on("response", user.note_status)
        yield user
        page.remove_listener("response", user.note_status)


@pytest_asyncio.fixture(loop_scope="session")
async def device(ada: BrowserUser) -> AsyncIterator[Device]:
    device = Device(await ada.page.context.new_cdp_session(ada.page))
    await device.connect(touched=True)
    yield device
    await device.devtools.send("WebAuthn.disable")
    await device.devtools.detach()


async def add_passkey(page: Page, name: str = "Laptop") -> None:
    await page.goto(PAGE)
    await page.fill("#name", name)
    await page.click(BUTTON)
    await expect(page.get_by_role("status").first).not_to_be_empty()
    await expect(page.get_by_text(name)).to_be_visible()


async def choose_by_button(page: Page, device: Device) -> None:
    """Press the button of the login page while the e-mail field offers the passkey too."""
    await device.touch(touched=False)
    async with page.expect_response("**/options"):
        await page.goto("/login?next=/account")
    await expect(page.locator("#email")).to_have_attribute("autocomplete", "username webauthn")
    await device.touch(touched=True)  # for the next request
    await page.get_by_role("button", name="Log in with a passkey").click()


async def test_a_user_adds_a_passkey_logs_in_with_it_and_removes_it(ada: BrowserUser, device: Device) -> None:
    page = ada.page
    await registered(ada)
    await add_passkey(page)
    assert [each["userName"] for each in await device.credentials()] == [ada.email]
    await log_out(page)

    await choose_by_button(page, device)
    await expect(page).to_have_url(re.compile(r"\d/account$"))

    await page.goto(PAGE)
    await page.get_by_role("button", name="Remove: Laptop").click()
    await expect(page.get_by_text("You have no passkeys yet.")).to_be_visible()
    await log_out(page)
    await choose_by_button(page, device)
    await expect(page.get_by_role("alert")).to_have_text(re.compile("This passkey was removed from its account"))
    await device.touch(touched=False)
    await log_in(page, ada.email)


async def test_a_user_chooses_a_passkey_in_the_email_field(ada: BrowserUser, device: Device) -> None:
    await registered(ada)
    await add_passkey(ada.page)
    await log_out(ada.page)

    await ada.page.goto("/login?next=/account")  # the device chooses its only passkey

    await expect(ada.page).to_have_url(re.compile(r"\d/account$"))


async def test_a_passkey_reauthenticates(ada: BrowserUser, device: Device) -> None:
    page, freshness = ada.page, ada.site.app.config["SECURITY_FRESHNESS"]
    await registered(ada)
    await page.goto("/verify?next=/about")
    async with page.expect_response("**/options"):
        pass
    await expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()  # the user has none
    await add_passkey(page)
    ada.site.app.config["SECURITY_FRESHNESS"] = -1
    await page.goto("/account/delete")
    await expect(page).to_have_url(re.compile("/verify"))
    ada.site.app.config["SECURITY_FRESHNESS"] = freshness

    await page.get_by_role("button", name="Use a passkey").click()

    await expect(page).to_have_url(re.compile(r"\d/account/delete$"))


async def test_a_refused_or_repeated_passkey_is_explained(ada: BrowserUser, device: Device) -> None:
    page = ada.page
    await registered(ada)
    await add_passkey(page)
    await page.fill("#name", "Again")
    await page.get_by_role("button", name="Add a passkey").click()
    await expect(page.get_by_role("alert")).to_have_text("This device already has a passkey for your account.")

    await device.devtools.send("WebAuthn.setUserVerified", {"authenticatorId": device.id, "isUserVerified": False})
    await page.goto("/verify")
    await page.get_by_role("button", name="Use a passkey").click()
    await expect(page.get_by_role("alert")).to_have_text("The request was cancelled or timed out. Try again.")
    await fill(page, password=PASSWORD)
    await expect(page).to_have_url(re.compile(r"\d/$"))


async def test_the_pages_work_without_javascript(ada: BrowserUser, pages: Pages, request: Any) -> None:
    async with pages.borrowed(request.node, base_url=ada.site.url, java_script_enabled=False) as page:
        await registered(BrowserUser(page, ada.site, ada.sites, ada.email))
        await page.goto(PAGE)
        await expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
        await expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
        await log_out(page)
        await page.goto("/login")
        await expect(page.get_by_role("button", name="Log in with a passkey")).to_be_hidden()
        await log_in(page, ada.email)


async def refused_by_the_device(user: BrowserUser) -> None:
    await add_passkey(user.page)
    await user.page.click(BUTTON)
    await expect(user.page.get_by_role("alert")).to_be_visible()


async def refused_at_the_login(user: BrowserUser) -> None:
    await refused_by_the_device(user)
    await user.page.context.clear_cookies()
    await user.page.route("**/login/passkey", lambda route: route.abort())
    await user.page.goto("/login")
    await expect(user.page.get_by_role("alert")).to_be_visible()


STATES = [
    State("a passkey that was not added", "passkeys/index.html", after(registered, refused_by_the_device)),
    State("a login that was refused", "login/new.html", after(registered, refused_at_the_login)),
    State("a choice at /verify", "reauthentication/new.html", after(registered, refused_by_the_device, at("/verify"))),
]
LOOKS = [Look(width, scheme) for width in (WIDE_LIGHT.width, NARROW_DARK.width) for scheme in ("light", "dark")]


@pytest.mark.parametrize("state", STATES, ids=str)
async def test_everything_that_the_script_shows_is_accessible(state: State, ada: BrowserUser, device: Device) -> None:
    """The states without the script are in page_states.py."""
    await state.come(ada)
    await arm(ada.page)

    problems = await check(ada.page, "structure", "errors")
    for look in LOOKS:
        await take(ada.page, look)
        problems += [f"{look}: {line}" for line in await check(ada.page, "width") + await violations(ada.page)]
    await enlarge(ada.page)
    expect_none(problems + await check(ada.page, "width"))
