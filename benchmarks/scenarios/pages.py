"""The front page, against the peer and the floors."""

from collections.abc import Iterator
from contextlib import ExitStack

import sites
from accounts import check, register
from measuring import Bench, Row, against
from sites import Site
from wrk import Load

SECRET = "of-the-bare-floor"


def pages(bench: Bench) -> Iterator[Row]:
    """The front page, for a stranger and for somebody who is logged in."""
    with ExitStack() as stack:
        database = bench.url("pages")
        us = stack.enter_context(sites.ours(database, bench.folder / "ours"))
        them = stack.enter_context(sites.peer(bench.peer_url("pages_peer"), bench.folder / "peer"))
        bare = stack.enter_context(sites.floor("bare", bench.folder / "bare", FLOOR_DATABASE=database))
        empty = stack.enter_context(sites.floor("empty", bench.folder / "empty"))

        yield against(bench, "a stranger's page", us, them, goal=1.0)
        yield against(bench, "a stranger's page", us, bare, goal=0.75)
        yield against(bench, "a stranger's page", us, empty, goal=0.0)
        cookies = {site: register(site, "ada@example.com") for site in (us, them)}
        cookies[bare] = log_in_to_bare(bench, bare)
        loads = {site: Load(seconds=bench.seconds, cookie=cookie) for site, cookie in cookies.items()}
        yield against(bench, "a logged-in page", us, them, goal=1.5, loads=loads)
        yield against(bench, "a logged-in page", us, bare, goal=0.75, loads=loads)


def log_in_to_bare(bench: Bench, bare: Site) -> str:
    digest, soon = f"sha2('{SECRET}', 256)", "utc_timestamp() + interval 1 day"
    columns = "user_id, digest, remember, created_on, last_seen_on, authenticated_on, expires_on, ip, user_agent"
    values = f"id, {digest}, 0, utc_timestamp(), utc_timestamp(), utc_timestamp(), {soon}, '', ''"
    bench.mariadb.execute(f"INSERT INTO user_session ({columns}) SELECT {values} FROM user LIMIT 1", database="pages")
    cookie = f"secret={SECRET}"
    check(bare, cookie, "Logged in as")
    return cookie
