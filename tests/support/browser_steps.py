"""How a user comes to a page: single steps, and what several of them make together."""

from collections.abc import Awaitable, Callable

from support.actions import PASSWORD
from support.browser_user import BrowserUser

Way = Callable[[BrowserUser], Awaitable[None]]

NEW_PASSWORD = "another horse battery staple"
NEW = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
FROM_ELSEWHERE = '<!doctype html><title>Elsewhere</title><main><form method="post" action="{}/logout"></form></main>'


def at(path: str) -> Way:
    return lambda user: user.go(path)


def sent(path: str, **typed: str) -> Way:
    """Send the form of a page with this in its fields; `{email}` in it is that of the user."""
    return lambda browser_user: browser_user.send(
        path, **{name: browser_user.fill_in(text) for name, text in typed.items()}
    )


def posted(path: str, **typed: str) -> Way:
    """Do the same over HTTP."""
    return lambda browser_user: browser_user.post(
        path, **{name: browser_user.fill_in(text) for name, text in typed.items()}
    )


def pressed(path: str, button: str) -> Way:
    return lambda user: user.press(path, button)


def after(*steps: Way) -> Way:
    async def one_by_one(browser_user: BrowserUser) -> None:
        for step in steps:
            await step(browser_user)

    return one_by_one


def opened(purpose: str) -> Way:
    """Open the newest mailed link of a kind."""

    async def open_link(browser_user: BrowserUser) -> None:
        await browser_user.go(await browser_user.link(purpose))

    return open_link


def answered(purpose: str, **typed: str) -> Way:
    """Open the newest mailed link of a kind, and send the form there."""

    async def answer(browser_user: BrowserUser) -> None:
        await browser_user.send(await browser_user.link(purpose), **typed)

    return answer


def spent(purpose: str, **typed: str) -> Way:
    """Open a link once more after it was used."""

    async def spend(browser_user: BrowserUser) -> None:
        path = await browser_user.link(purpose)
        await browser_user.post(path, **typed)
        await browser_user.go(path)

    return spend


def user(*steps: Way) -> Way:
    """Register, and go on from there."""
    return after(signed_up, *steps)


signed_up = posted("/register", email="{email}", password=PASSWORD, password_confirm=PASSWORD)
logged_out = posted("/logout")
reset_asked = after(signed_up, logged_out, posted("/reset", email="{email}"))
password_changed = after(signed_up, posted("/change", password=PASSWORD, **NEW), logged_out)
new_address_asked = posted("/change-email", email="new-{email}")


async def follow_to_the_new_address(browser_user: BrowserUser) -> None:
    await browser_user.post(await browser_user.link("change-email"))


address_changed = after(signed_up, new_address_asked, follow_to_the_new_address, logged_out)


async def in_another_browser(browser_user: BrowserUser) -> None:
    await browser_user.page.context.clear_cookies()


async def logged_in_twice_more(browser_user: BrowserUser) -> None:
    await browser_user.log_in_elsewhere(PHONE)
    await browser_user.log_in_elsewhere("an-unknown-browser/" * 9)


async def sent_by_another_site(browser_user: BrowserUser) -> None:
    await browser_user.page.set_content(FROM_ELSEWHERE.format(browser_user.site.url))
    await browser_user.send()


async def logged_out_meanwhile(browser_user: BrowserUser) -> None:
    """Send a form that was opened before the session ended."""
    await browser_user.go("/account")
    await browser_user.page.context.clear_cookies(name="auth")
    await browser_user.send(name="Ada Lovelace")


async def known_but_the_database_is_away(browser_user: BrowserUser) -> None:
    """Bring the session of another site: a cookie is of a host, whatever the port."""
    away, browser_user.site = browser_user.site, browser_user.sites["ordinary"]
    await signed_up(browser_user)
    browser_user.site = away
    await browser_user.go("/account")
