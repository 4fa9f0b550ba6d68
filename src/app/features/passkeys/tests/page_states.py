"""The pages of passkeys in every state, for tests/support/page_states.py."""

from app.features.passkeys.tests.authenticator import JSON, PAGE, Authenticator
from support.browser_user import BrowserUser
from support.page_states import State, after, at, pressed, refused, registered, user

INDEX, EDIT = "passkeys/index.html", "passkeys/edit.html"
NAME = "Augusta Ada King-Noel, Countess of Lovelace: phone"


async def added(browser_user: BrowserUser) -> None:
    """Add a passkey over HTTP, without opening a page."""
    request, url = browser_user.page.context.request, browser_user.site.url + PAGE
    options = await (await request.post(f"{url}/options", headers=JSON)).json()
    credential = Authenticator().create(options)
    response = await request.post(url, data={"credential": credential, "name": NAME}, headers=JSON)
    assert response.status == 201


async def renaming(browser_user: BrowserUser) -> None:
    await browser_user.press(PAGE, "ul.rows a")


async def renamed_to_nothing(browser_user: BrowserUser) -> None:
    await renaming(browser_user)
    await browser_user.send(name="")


with_one = after(registered, added)
STATES = [
    State("no passkeys", INDEX, user(at(PAGE))),
    State("a passkey", INDEX, after(with_one, at(PAGE))),
    State("passkeys after removing one", INDEX, after(with_one, pressed(PAGE, "ul.rows button"))),
    State("renaming a passkey", EDIT, after(with_one, renaming)),
    refused("renaming a passkey to nothing", EDIT, after(with_one, renamed_to_nothing)),
    State("password or passkey again", "reauthentication/new.html", after(with_one, at("/verify"))),
]
