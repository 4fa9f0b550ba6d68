"""Whether the number of users matters."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple

import sites
from accounts import LOGGED_IN, check, login_requests, register
from browser import NAVIGATION
from measuring import Bench, Row, ratios
from quart_auth import QuartAuth
from sites import Site
from wrk import Load, Request, put_load_on

from app.app_factory import create_app
from support.mariadb_server import MariaDB

SESSIONS_EACH = 3
VISITING, LOGGING_IN = 1_000, 20  # sessions and users that are used, from all over the table
ROOM = {"innodb_buffer_pool_size": 2 << 30, "innodb_log_file_size": 512 << 20}


class Population(NamedTuple):
    """A site with a number of users, and the cookies of some of their sessions."""

    site: Site
    database: str
    users: int
    cookies: list[str]


def many_users(bench: Bench) -> Iterator[Row]:
    """The login and the logged-in page with a million users and three million sessions, compared with a thousand."""
    with ExitStack() as stack:
        bench = stack.enter_context(roomy(bench))
        many = stack.enter_context(populated(bench, "many", bench.number(1_000_000, brief=5_000)))
        few = stack.enter_context(populated(bench, "few", 1_000))
        each = (many, few)
        what = f"{many.users:,} users and {many.users * SESSIONS_EACH:,} sessions"

        logins = {one.site: login_requests(one.site, some_emails(one.users)) for one in each}
        loads = {site: Load(bench.password_clients, bench.seconds, requests) for site, requests in logins.items()}
        yield Row(f"logins, {what}", few.site.name, ratios(*bench.per_second(loads)), 0.95)

        loads = {one.site: Load(16, bench.seconds, tuple(Request("/", own) for own in one.cookies)) for one in each}
        for one in each:
            put_load_on(one.site.url, loads[one.site])  # brings every page of the tables into memory
            mark_as_seen(bench.mariadb, one)
        yield Row(f"front page, logged in, {what}", few.site.name, ratios(*bench.per_second(loads)), 0.95)


@contextmanager
def roomy(bench: Bench) -> Iterator[Bench]:
    """Run a second MariaDB that keeps all rows in memory, otherwise the disk is measured."""
    mariadb = replace(bench.mariadb)
    with mariadb.running(bench.folder / "roomy-mariadb"):
        mariadb.execute(*(f"SET GLOBAL {name} = {size}" for name, size in ROOM.items()))
        yield replace(bench, mariadb=mariadb)


@contextmanager
def populated(bench: Bench, database: str, users: int) -> Iterator[Population]:
    """Run our site with a number of users."""
    url, folder = bench.url(database), bench.folder / database
    with sites.ours(url, folder, name=f"{users:,} and {users * SESSIONS_EACH:,}") as site:
        register(site, "user1@example.com")
        fill(bench, database, users)
        app = create_app({"INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": url})
        signing: QuartAuth = app.extensions["QUART_AUTH"][0]
        tokens = [signing.dump_token(f"token-{number}", app) for number in some_sessions(users)]
        cookies = [f"{signing.cookie_name}={token}" for token in tokens]
        check(site, cookies[-1], LOGGED_IN)
        yield Population(site, database, users, cookies)


def fill(bench: Bench, database: str, users: int) -> None:
    """Add users with the password hash of the first, and sessions whose tokens are token-1, token-2 and so on."""
    email, now, sessions = "concat('user', seq, '@example.com')", "utc_timestamp()", users * SESSIONS_EACH
    quote = bench.mariadb.quote
    password, user_agent = quote(bench.stored_hash(database)), quote(NAVIGATION["User-Agent"])
    bench.mariadb.execute(
        "INSERT INTO user (email, email_key, password, active, created_on, confirmed_on, language)"
        f" SELECT {email}, {email}, {password}, 1, {now}, {now}, 'en' FROM seq_2_to_{users}",
        "INSERT INTO user_session (user_id, digest, remember, created_on, last_seen_on, authenticated_on, expires_on,"
        f" ip, user_agent) SELECT seq * 7919 % {users} + 1, sha2(concat('token-', seq), 256), seq % 2,"
        f" {now}, {now}, {now}, {now} + interval 43200 + seq % 43200 second, '192.0.2.1', {user_agent}"
        f" FROM seq_1_to_{sessions}",
        "ANALYZE TABLE user, user_session",
        database=database,
    )


def some_emails(users: int) -> list[str]:
    return [f"user{number}@example.com" for number in range(1, users + 1, users // LOGGING_IN)]


def some_sessions(users: int) -> range:
    return range(1, users * SESSIONS_EACH + 1, users * SESSIONS_EACH // VISITING)


def mark_as_seen(mariadb: MariaDB, population: Population) -> None:
    """Set last_seen_on, so that the measured pages do not write it: each session does once a minute."""
    digests = ", ".join(f"sha2('token-{number}', 256)" for number in some_sessions(population.users))
    seen = f"UPDATE user_session SET last_seen_on = utc_timestamp() WHERE digest IN ({digests})"
    mariadb.execute(seen, database=population.database)
