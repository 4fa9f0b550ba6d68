"""Whether it matters how many people there are."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple

import sites
from accounts import PASSWORD, check, log_ins_of
from measuring import Bench, Row, against
from quart_auth import QuartAuth
from sites import Site
from wrk import Ask, Load, put_load_on

from app.app_factory import create_app
from app.services.passwords import PasswordHasher
from mariadb_server import MariaDB

SESSIONS_EACH = 3
LOOKED_AT, LOGGING_IN = 1_000, 20  # so many of all, from everywhere in the table
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ROOM = {"innodb_buffer_pool_size": 2 << 30, "innodb_log_file_size": 512 << 20}


class Crowd(NamedTuple):
    """A site with so many people, and the cookies of some of their sessions."""

    site: Site
    database: str
    people: int
    cookies: list[str]


def crowd(bench: Bench) -> Iterator[Row]:
    """The logged-in page and the log-in with a million users and three million sessions, against a thousand."""
    with ExitStack() as stack:
        bench = stack.enter_context(roomy(bench))
        few = stack.enter_context(crowded(bench, "few", 1_000))
        many = stack.enter_context(crowded(bench, "many", bench.number(1_000_000, brief=5_000)))
        each = (many, few)
        what = f"{many.people:,} users and {many.people * SESSIONS_EACH:,} sessions"

        log_ins = {one.site: Load(8, bench.seconds, asks=log_ins_of(one.site, some_emails(one.people))) for one in each}
        yield against(bench, f"log-ins, {what}", many.site, few.site, goal=0.95, loads=log_ins)
        pages = {
            one.site: Load(seconds=bench.seconds, asks=tuple(Ask("/", cookie) for cookie in one.cookies))
            for one in each
        }
        for one in each:
            put_load_on(one.site.url, pages[one.site])  # every page of the tables is in memory afterwards
            seen_just_now(bench.mariadb, one)
        yield against(bench, f"a logged-in page, {what}", many.site, few.site, goal=0.95, loads=pages)


@contextmanager
def roomy(bench: Bench) -> Iterator[Bench]:
    """Give the crowds a MariaDB of their own that keeps all rows in memory, or it is the disk that is measured."""
    mariadb = replace(bench.mariadb)
    with mariadb.running(bench.folder / "roomy-mariadb"):
        mariadb.execute(*(f"SET GLOBAL {name} = {size}" for name, size in ROOM.items()))
        yield replace(bench, mariadb=mariadb)


@contextmanager
def crowded(bench: Bench, database: str, people: int) -> Iterator[Crowd]:
    """Run our site with so many people."""
    url, folder = bench.url(database), bench.folder / database
    name = f"{people:,} and {people * SESSIONS_EACH:,}"
    with sites.ours(url, folder, name=name) as site:
        fill(bench.mariadb, database, people)
        app = create_app({"INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": url})
        signing: QuartAuth = app.extensions["QUART_AUTH"][0]
        tokens = [signing.dump_token(f"secret-{number}", app) for number in some_sessions(people)]
        cookies = [f"{signing.cookie_name}={token}" for token in tokens]
        check(site, cookies[-1], "Logged in as")
        yield Crowd(site, database, people, cookies)


def fill(mariadb: MariaDB, database: str, people: int) -> None:
    """Add people, who share a hash, and their sessions, whose secrets are secret-1, secret-2 and so on."""
    email, now, sessions = "concat('user', seq, '@example.com')", "utc_timestamp()", people * SESSIONS_EACH
    hashed, somebody = mariadb.quote(PasswordHasher().hash(PASSWORD)), f"seq * 7919 % {people} + 1"
    mariadb.execute(
        "INSERT INTO user (id, email, email_key, password, active, created_on, confirmed_on, language)"
        f" SELECT seq, {email}, {email}, {hashed}, 1, {now}, {now}, 'en' FROM seq_1_to_{people}",
        "INSERT INTO user_session (user_id, digest, remember, created_on, last_seen_on, authenticated_on, expires_on,"
        f" ip, user_agent) SELECT {somebody}, sha2(concat('secret-', seq), 256), seq % 2, {now}, {now}, {now},"
        f" {now} + interval 43200 + seq % 43200 second, '192.0.2.1', '{USER_AGENT}' FROM seq_1_to_{sessions}",
        "ANALYZE TABLE user, user_session",
        database=database,
    )


def some_emails(people: int) -> list[str]:
    return [f"user{number}@example.com" for number in range(1, people + 1, people // LOGGING_IN)]


def some_sessions(people: int) -> range:
    return range(1, people * SESSIONS_EACH + 1, people * SESSIONS_EACH // LOOKED_AT)


def seen_just_now(mariadb: MariaDB, one: Crowd) -> None:
    """Spare the pages the note that their people were there, which each session gets once a minute."""
    some = ", ".join(f"sha2('secret-{number}', 256)" for number in some_sessions(one.people))
    seen = f"UPDATE user_session SET last_seen_on = utc_timestamp() WHERE digest IN ({some})"
    mariadb.execute(seen, database=one.database)
