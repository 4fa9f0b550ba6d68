"""The front page, compared with the peer, with the floors, and under other servers."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import sites
from accounts import LOGGED_IN, check, register
from measuring import Bench, Row, ratios
from sites import Site
from wrk import Load, Request

TOKEN = "of-the-bare-floor"


def pages(bench: Bench) -> Iterator[Row]:
    """The front page, anonymous and logged in, compared with the peer and the floors."""
    with ExitStack() as stack:
        database = bench.url("pages")
        ours = stack.enter_context(sites.ours(database, bench.folder / "ours"))
        peer = stack.enter_context(sites.peer(bench.peer_url("pages_peer"), bench.folder / "peer"))
        bare = stack.enter_context(sites.floor("bare", bench.folder / "bare", FLOOR_DATABASE=database))
        empty = stack.enter_context(sites.floor("empty", bench.folder / "empty"))

        own, *others = bench.per_second(dict.fromkeys((ours, peer, bare, empty), Load(seconds=bench.seconds)))
        for site, goal, figures in zip((peer, bare, empty), (1.0, None, None), others, strict=True):
            yield Row("front page, anonymous", site.name, ratios(own, figures), goal)

        cookies = {site: register(site, "ada@example.com") for site in (ours, peer)}
        own, *others = bench.per_second(logged_in(bench, cookies | {bare: log_in_to_bare(bench, bare)}))
        for site, goal, figures in zip((peer, bare), (1.15, None), others, strict=True):
            yield Row("front page, logged in", site.name, ratios(own, figures), goal)


def servers(bench: Bench) -> Iterator[Row]:
    """The same site under uvicorn and under granian, compared with run.py, which uses Hypercorn."""
    with ExitStack() as stack:
        database, folder = bench.url("servers"), bench.folder / "servers"
        ours = stack.enter_context(sites.ours(database, folder, name="run.py"))
        uvicorn = stack.enter_context(sites.ours(database, folder, name="uvicorn", command=sites.UVICORN))
        granian = stack.enter_context(sites.ours(database, folder, name="granian", command=sites.GRANIAN))
        each = (ours, uvicorn, granian)
        cookies = register(ours, "ada@example.com")
        for site in each:
            check(site, cookies, LOGGED_IN)
        loads = {
            "front page, anonymous": dict.fromkeys(each, Load(seconds=bench.seconds)),
            "front page, logged in": logged_in(bench, dict.fromkeys(each, cookies)),
        }
        for what, load in loads.items():
            own, *others = bench.per_second(load)
            for site, figures in zip((uvicorn, granian), others, strict=True):
                yield Row(f"{what}, {site.name}", ours.name, ratios(figures, own))


def logged_in(bench: Bench, cookies: Mapping[Site, str]) -> dict[Site, Load]:
    return {site: Load(seconds=bench.seconds, requests=(Request("/", own),)) for site, own in cookies.items()}


def log_in_to_bare(bench: Bench, bare: Site) -> str:
    """Insert a session for the one user, and return its cookie."""
    digest, expires_on = f"sha2('{TOKEN}', 256)", "utc_timestamp() + interval 1 day"
    columns = "user_id, digest, remember, created_on, last_seen_on, authenticated_on, expires_on, ip, user_agent"
    values = f"id, {digest}, 0, utc_timestamp(), utc_timestamp(), utc_timestamp(), {expires_on}, '', ''"
    bench.mariadb.execute(f"INSERT INTO user_session ({columns}) SELECT {values} FROM user LIMIT 1", database="pages")
    cookie = f"token={TOKEN}"
    check(bare, cookie, LOGGED_IN)
    return cookie
