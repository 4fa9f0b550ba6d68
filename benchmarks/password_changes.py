"""People who change their passwords to and fro. Each change brings a new cookie, which wrk cannot keep: httpx does."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
from wrk import BenchError

OTHER = "another-horse-battery"


def changes_per_second(url: str, cookies: Sequence[str], password: str, *, seconds: float) -> float:
    """Return how many changes a second the site bore. Raises BenchError when one was not taken."""
    since = time.monotonic()

    def change_again_and_again(cookie: str) -> int:
        changes, old, new = 0, password, OTHER
        with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, verify=False) as browser:  # noqa: S501 # plain http
            for name, value in (pair.split("=", 1) for pair in cookie.split("; ")):
                browser.cookies.set(name, value, domain=browser.base_url.host)  # which the next one replaces
            while time.monotonic() < since + seconds:
                change(browser, old, new)
                changes, old, new = changes + 1, new, old
        return changes

    with ThreadPoolExecutor(len(cookies)) as people:
        changes = sum(people.map(change_again_and_again, cookies))
    return changes / (time.monotonic() - since)


def change(browser: httpx.Client, old: str, new: str) -> None:
    form = {"password": old, "new_password": new, "new_password_confirm": new}
    answer = browser.post("/change", data=form, timeout=20)
    if answer.status_code not in (302, 303) or "/login" in answer.headers["location"]:
        raise BenchError(f"a password was not changed: {answer.status_code} {answer.text[:500]}")
