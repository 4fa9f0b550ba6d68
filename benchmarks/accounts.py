"""Users of the measured sites: they register, log in and load the front page."""

from collections.abc import Iterable

from browser import Browser
from sites import Site
from wrk import BenchError, Request

PASSWORD = "correct-horse-battery"
LOGGED_IN = "Logged in as"  # on the front page of every site
USERS = 20


def register(site: Site, email: str) -> str:
    """Register a user and return the cookies of the new session. Raises BenchError when it is not logged in."""
    with Browser(site.url) as browser:
        browser.submit("/register", {"email": email, "password": PASSWORD, "password_confirm": PASSWORD})
        browser.open("/")  # shows the flashed messages, which are in a cookie until then
        cookies = browser.cookie_header()
    check(site, cookies, email)
    return cookies


def register_users(site: Site, number: int = USERS) -> dict[str, str]:
    """Register several users and return their cookies by e-mail address."""
    emails = [f"member{n}@example.com" for n in range(1, number + 1)]
    return {email: register(site, email) for email in emails}


def login_requests(site: Site, emails: Iterable[str]) -> tuple[Request, ...]:
    """Return one login for each user, from a device that the site already trusts."""
    form = {"password": PASSWORD}
    return tuple(Request("/login", trusted_device(site, email), form | {"email": email}) for email in emails)


def trusted_device(site: Site, email: str) -> str:
    """Log in, and return the cookies that a browser still has after the session ended."""
    with Browser(site.url) as browser:
        if browser.submit("/login", {"email": email, "password": PASSWORD}).status_code not in (302, 303):
            raise BenchError(f"{email} cannot log in to {site.name}")
        return browser.cookie_header("device")  # the peer has none


def check(site: Site, cookies: str, text: str) -> None:
    """Raise BenchError when the front page does not contain the text."""
    with Browser(site.url) as browser:
        response = browser.open("/", cookies=cookies)
    if response.status_code != 200 or text not in response.text:
        raise BenchError(f"{site.name} does not show {text!r}: {response.status_code} {response.text[:500]}")
