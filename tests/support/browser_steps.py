"""How a visitor comes to a page: single steps, and what several of them make together."""

from collections.abc import Awaitable, Callable

from support.actions import PASSWORD
from support.visitor import Visitor

Way = Callable[[Visitor], Awaitable[None]]

NEW_PASSWORD = "another horse battery staple"
NEW = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
FROM_ELSEWHERE = '<!doctype html><title>Elsewhere</title><main><form method="post" action="{}/logout"></form></main>'


def at(path: str) -> Way:
    return lambda visitor: visitor.go(path)


def sent(path: str, **typed: str) -> Way:
    """Send the form of a page with this in its fields; `{email}` in it is the visitor's."""
    return lambda visitor: visitor.send(path, **{name: visitor.fill_in(text) for name, text in typed.items()})


def posted(path: str, **typed: str) -> Way:
    """Do the same over HTTP."""
    return lambda visitor: visitor.post(path, **{name: visitor.fill_in(text) for name, text in typed.items()})


def pressed(path: str, button: str) -> Way:
    return lambda visitor: visitor.press(path, button)


def after(*steps: Way) -> Way:
    async def one_by_one(visitor: Visitor) -> None:
        for step in steps:
            await step(visitor)

    return one_by_one


def opened(purpose: str) -> Way:
    """Open the newest mailed link of a kind."""

    async def open_link(visitor: Visitor) -> None:
        await visitor.go(await visitor.link(purpose))

    return open_link


def answered(purpose: str, **typed: str) -> Way:
    """Open the newest mailed link of a kind, and send the form there."""

    async def answer(visitor: Visitor) -> None:
        await visitor.send(await visitor.link(purpose), **typed)

    return answer


def spent(purpose: str, **typed: str) -> Way:
    """Open a link once more after it was used."""

    async def spend(visitor: Visitor) -> None:
        path = await visitor.link(purpose)
        await visitor.post(path, **typed)
        await visitor.go(path)

    return spend


def user(*steps: Way) -> Way:
    """Register, and go on from there."""
    return after(signed_up, *steps)


signed_up = posted("/register", email="{email}", password=PASSWORD, password_confirm=PASSWORD)
logged_out = posted("/logout")
reset_asked = after(signed_up, logged_out, posted("/reset", email="{email}"))
password_changed = after(signed_up, posted("/change", password=PASSWORD, **NEW), logged_out)
new_address_asked = posted("/change-email", email="new-{email}")


async def follow_to_the_new_address(visitor: Visitor) -> None:
    await visitor.post(await visitor.link("change-email"))


address_changed = after(signed_up, new_address_asked, follow_to_the_new_address, logged_out)


async def in_another_browser(visitor: Visitor) -> None:
    await visitor.page.context.clear_cookies()


async def logged_in_twice_more(visitor: Visitor) -> None:
    await visitor.log_in_elsewhere(PHONE)
    await visitor.log_in_elsewhere("an-unknown-browser/" * 9)


async def sent_by_another_site(visitor: Visitor) -> None:
    await visitor.page.set_content(FROM_ELSEWHERE.format(visitor.site.url))
    await visitor.send()


async def logged_out_meanwhile(visitor: Visitor) -> None:
    """Send a form that was opened before the session ended."""
    await visitor.go("/account")
    await visitor.page.context.clear_cookies(name="auth")
    await visitor.send(name="Ada Lovelace")


async def known_but_the_database_is_away(visitor: Visitor) -> None:
    """Bring the session of another site: a cookie is of a host, whatever the port."""
    away, visitor.site = visitor.site, visitor.sites["ordinary"]
    await signed_up(visitor)
    visitor.site = away
    await visitor.go("/account")
