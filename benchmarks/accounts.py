"""People on the sites: they register, log in, and look at the front page."""

import re

import httpx
from sites import Site
from wrk import Ask, BenchError

PASSWORD = "correct-horse-battery"
PEOPLE = 20  # who do something one after the other


def register(site: Site, email: str) -> str:
    """Open an account and return the cookie of its log-in. Raises BenchError when the front page does not know it."""
    with httpx.Client(base_url=site.url) as client:
        client.post("/register", data={"email": email, "password": PASSWORD, "password_confirm": PASSWORD})
        client.get("/")  # which shows what the site has to say to them once
        cookie = as_header(client.cookies)
    check(site, cookie, email)
    return cookie


def register_people(site: Site, number: int = PEOPLE) -> dict[str, str]:
    """Return the cookies of so many people, by e-mail."""
    emails = [f"person{number}@example.com" for number in range(1, number + 1)]
    return {email: register(site, email) for email in emails}


def log_ins_of(site: Site, emails: list[str] | dict[str, str]) -> tuple[Ask, ...]:
    """Return the log-ins of people, each with a browser that they used before."""
    return tuple(Ask("/login", known_browser(site, email), {"email": email, "password": PASSWORD}) for email in emails)


def known_browser(site: Site, email: str) -> str:
    """Log in and return the cookies of a browser that has done so before, but is not logged in now."""
    with httpx.Client(base_url=site.url) as client:
        if client.post("/login", data={"email": email, "password": PASSWORD}).status_code not in (302, 303):
            raise BenchError(f"nobody can log in to {site.name}")
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items() if name == "device")


def as_header(cookies: httpx.Cookies) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def check(site: Site, cookie: str, words: str) -> None:
    page = httpx.get(site.url, headers={"Cookie": cookie} if cookie else {}).text
    if not re.search(words, page):
        raise BenchError(f"{site.name} does not show {words!r}: {page[:500]}")
