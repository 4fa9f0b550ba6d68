"""The main job, in a real browser on a real server: register, log in, see who one is, change the password, log out."""

import re

import pytest
from playwright.async_api import Page, expect

from browsers import PASSWORD, OpenWindow, fill
from site_process import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_person_registers_changes_the_password_logs_out_and_in_again(
    page: Page, request: pytest.FixtureRequest
) -> None:
    email = f"ada-{abs(hash(request.node.name))}@example.com"

    await page.goto("/")
    await page.get_by_role("navigation").get_by_role("link", name="Register").click()
    await fill(page, email=email, password=PASSWORD, password_confirm=PASSWORD)
    await expect(page.get_by_role("status").first).to_have_text("Welcome. Your account is open and you are logged in.")
    await expect(page.get_by_text("Logged in as")).to_contain_text(email)

    await page.get_by_role("link", name="Account", exact=True).click()
    await page.get_by_role("link", name="Change password").click()
    await fill(page, password=PASSWORD, new_password="another horse", new_password_confirm="another horse")
    await expect(page.get_by_role("status").first).to_contain_text("Your password is changed.")

    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_text("You are not logged in.")).to_be_visible()
    await page.goto("/change")
    await expect(page).to_have_url(re.compile(r"/login\?next=/change$"))
    await fill(page, email=email, password="another horse")
    await expect(page).to_have_url(re.compile(r"/change$"))


async def test_a_mistake_is_said_beside_its_field(page: Page) -> None:
    await page.goto("/login")

    await fill(page, email="nobody@example.com", password=PASSWORD)

    field = page.get_by_label("Password")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description("The address or the password is wrong.")
    await expect(page.get_by_label("E-mail address")).to_have_value("nobody@example.com")


async def test_the_button_of_the_front_page_answers_in_the_page(page: Page, request: pytest.FixtureRequest) -> None:
    await page.goto("/")

    await page.get_by_role("button", name="Click Me").click()

    with_script = "with JavaScript" in request.node.name
    await expect(page.locator("#home-page-answer")).to_have_text(re.compile("Hello!") if with_script else "")


@pytest.mark.parametrize("width", [320, 1280])
async def test_a_dozen_languages_have_room(open_window: OpenWindow, site: Site, width: int) -> None:
    window = await open_window(base_url=site.url, viewport={"width": width, "height": 700})
    page = await window.new_page()
    await page.goto("/")

    await page.evaluate("""() => {
        const last = document.querySelector("footer button:last-of-type");
        for (let more = 0; more < 12; more += 1) last.after(last.cloneNode(true));
    }""")

    assert await page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/about", "/login", "/register", "/nowhere"])
async def test_no_page_is_wider_than_its_window(
    open_window: OpenWindow, site: Site, path: str, scheme: str, width: int
) -> None:
    window = await open_window(
        base_url=site.url,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 700},
    )
    page = await window.new_page()

    await page.goto(path)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width
